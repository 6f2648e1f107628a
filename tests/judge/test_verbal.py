"""The verbal judge against one plain sequence a question."""

import jax.numpy as jnp
import numpy as np
import pytest

from pa_jax import judge, models
from pa_jax.dialogue import schema, snippet
from pa_jax.judge import rubric


@pytest.fixture(scope="module")
def tiny():
    return models.load("random:tiny", dtype="float32")


def case(**changed):
    made = {
        "id": "a/0",
        "user_id": "a",
        "profile": ("The user has a cat.",),
        "context": "",
        "user": "Trains for me.",
        "gold": "The user prefers trains.",
    }
    return schema.Episode(**(made | changed))


def group(words, texts, **changed):
    return rubric.Group(case(**changed), tuple(tuple(words.encode(t)) for t in texts), tuple(texts))


def test_scores_are_label_expectations_at_the_end_of_each_question(tiny):
    words = tiny.tokenizer
    text = "The user likes trains."
    one = judge.Judge("verbal", model=tiny)
    scores = one.score([group(words, (text, "Tea."))])
    trunk, cues = one._judge._framed(case(), 40)
    expected = []
    for cue in cues:
        ids = jnp.asarray([trunk + words.encode(text) + words.encode("\n") + cue])
        t = ids.shape[1]
        passed = tiny.module.on_rows(ids, jnp.full_like(ids, t), jnp.arange(t)[None])
        logits = np.asarray(tiny.module.logits(passed.hidden)[0, -1], np.float64)
        chance = np.exp([logits[words.encode(label)[0]] for label in "12345"])
        expected.append((chance / chance.sum()) @ [0, 0.25, 0.5, 0.75, 1])
    expected[3] *= expected[1]  # consistency, times no hallucination
    np.testing.assert_allclose(scores.values[0, 0], expected, atol=1e-4)


def test_the_chat_is_whole_and_the_note_lies_inside_the_users_message(tiny):
    words = tiny.tokenizer
    trunk, cues = judge.Judge("verbal", model=tiny)._judge._framed(case(), 40)
    for cue, one in zip(cues, rubric.RUBRIC, strict=True):
        text = words.hf.decode(trunk + words.encode("NOTE\n") + cue)
        asked, shown = text.index(one.question), text.index(one.example)
        assert asked < shown < text.index("The user prefers trains.") < text.index("NOTE")
        user, start, answer = text.rpartition("<|im_start|>assistant\n")
        assert text.count("<|im_start|>") == 2 and user.index("NOTE\n<|im_end|>")
        assert answer.lower() == one.name.replace("_", " ") + ": "


def test_what_is_known_gives_way_to_the_turn_where_a_row_is_short(tiny):
    words = tiny.tokenizer
    profile = tuple(f"The user has {k} cats." for k in range(6))
    whole, _ = judge.Judge("verbal", model=tiny)._judge._framed(case(profile=profile), 40)
    short = judge.Judge("verbal", model=tiny, lengths=(len(whole),))
    trunk, cues = short._judge._framed(case(profile=profile), 40)
    text = words.hf.decode(trunk)
    assert "has 5 cats" in text and "has 0 cats" not in text and "Trains for me." in text
    assert len(trunk) + 40 + max(map(len, cues)) <= len(whole)
    with pytest.raises(ValueError, match="see lengths"):
        short.score([group(words, ("Tea.",), user="Trains " * 200)])


def test_grammar_failures_score_zero_and_groups_keep_their_order(tiny):
    words = tiny.tokenizer
    groups = [
        group(words, ("Tea.", "", snippet.NOTHING)),
        group(words, ("The user likes trains very much.",), user="Trains " * 40),
        group(words, (snippet.NOTHING, "Tea."), gold=snippet.NOTHING),
    ]
    scores = judge.Judge("verbal", model=tiny).score(groups)
    assert scores.failed.tolist() == [[False] * 3, [False, True, True], [False, False, True]]
    assert (scores.values[0, 1:] == 0).all()
    assert (scores.values[2, 0] == 1).all() and (scores.values[2, 1] == 0).all()
    alone = judge.Judge("verbal", model=tiny).score(groups[1:2])
    np.testing.assert_allclose(scores.values[1, :1], alone.values[0], atol=1e-5)


def test_groups_that_are_settled_never_reach_the_model_and_change_no_score(tiny):
    words = tiny.tokenizer
    settled = [
        group(words, ("", ":")),
        group(words, (snippet.NOTHING, "Tea."), gold=snippet.NOTHING),
    ]
    unsettled = group(words, ("The user likes trains.", ""))
    one = judge.Judge("verbal", model=tiny)
    scores = one.score(settled)
    assert one._judge.scorer.slots == 0
    assert scores.values[..., 0].tolist() == [[0, 0], [1, 0]] and not scores.failed.any()
    alone = one.score([unsettled])
    slots = one._judge.scorer.slots
    among = one.score([settled[0], unsettled, settled[1]])
    assert one._judge.scorer.slots == 2 * slots > 0
    np.testing.assert_array_equal(among.values[1], alone.values[0])
    np.testing.assert_array_equal(among.values[[0, 2]], scores.values)
