"""Label scores of shared trees against whole sequences, and prompts cut to the window."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.core import keys
from pa_jax.dialogue import schema, template
from pa_jax.evaluate import prompt_trees, speaker
from pa_jax.infer import engine, score
from pa_jax.models import tree

LABELS = ("A", "B", "C", "D")
QUESTIONS = ([3], [4, 4], [5, 5, 5], [6, 6, 6, 6])


def chat(*texts, system="Be brief."):
    roles = ["user" if (len(texts) - i) % 2 else "assistant" for i in range(len(texts))]
    said = [schema.Message(role, text) for role, text in zip(roles, texts, strict=True)]
    return (schema.Message("system", system), *said)


@functools.partial(jax.jit, static_argnums=0)
def whole(graph, state, ids, length):
    """Log-probs of the next token after one sequence, no tree."""
    module = nnx.merge(graph, state)
    hidden = module.on_tree(ids, tree.TreeSpec(ids.shape[1]), tree.lengths(length[None]))
    return jax.nn.log_softmax(module.logits(hidden[0, length - 1]))


def alone(model, messages, opening):
    words = model.tokenizer
    ids = template.encode_chat(words, messages, add_generation_prompt=True) + words.encode(opening)
    padded = jnp.array([ids + [0] * (256 - len(ids))])
    logp = whole(*nnx.split(model.module), padded, jnp.int32(len(ids)))
    return np.array([logp[words.encode(label)[0]] for label in LABELS])


def test_labels_of_shared_trees_equal_those_of_whole_sequences(tiny, tools):
    talk = ["I eat no meat.", "Noted.", "What is 7 x 8?", "It is 56." * 5]
    groups = [
        [chat(*talk, "Dinner?"), chat(*talk, "Dinner? Mind it.")],
        [chat("Dinner?", system="They eat no meat at all."), chat("A quick lunch?", system="Hm.")],
    ]
    got = tools.model.labels(groups, LABELS, opening="<choice>")
    assert [len(of) for of in got] == [2, 2]
    for chats, scored in zip(groups, got, strict=True):
        for messages, one in zip(chats, scored, strict=True):
            np.testing.assert_allclose(one.logp, alone(tiny, messages, "<choice>"), atol=1e-4)
            assert one.cut == 0


def test_what_the_chats_of_a_group_share_is_computed_once(tiny, tools):
    model = speaker.Speaker(tiny, tools.model.cfg)
    groups = [[chat(f"My {x}.", "Noted.", f"What {i}?") for i in range(2)] for x in ("dog", "cat")]
    together = model.labels(groups, LABELS)
    computed = model.prefilled
    apart = model.labels([[one] for of in groups for one in of], LABELS)
    assert computed < 0.6 * (model.prefilled - computed)
    for (one,), other in zip(apart, [one for of in together for one in of], strict=True):
        np.testing.assert_allclose(one.logp, other.logp, atol=1e-4)


def test_replies_scored_as_leaves_equal_those_of_whole_prompts(tiny, tools):
    """Two chats of one dialogue and one of another, replies of their own: one sequence each."""
    talk = ["I eat no meat.", "Noted.", "What is 7 x 8?", "It is 56." * 5]
    groups = [[chat(*talk, "Dinner?"), chat(*talk, "Lunch, then?")], [chat("Well?")]]
    texts = [[("Rice.", "A steak, rare"), ("Soup", "No lunch at all for me")], [("Yes", "Yes!")]]
    model = speaker.Speaker(tiny, tools.model.cfg)
    got = model.reply_logprobs(groups, texts)
    words = tiny.tokenizer
    for chats, replies, scored in zip(groups, texts, got, strict=True):
        ids = [template.encode_chat(words, one, add_generation_prompt=True) for one in chats]
        want = score.logprobs(tiny, ids, [[words.encode(text) for text in of] for of in replies])
        for one, logp in zip(scored, want, strict=True):
            np.testing.assert_allclose(one.logp, [x.sum() for x in logp], atol=1e-4)
    computed = model.prefilled
    for chats, replies in zip(groups, texts, strict=True):
        for one, of in zip(chats, replies, strict=True):
            for text in of:
                model.reply_logprobs([[one]], [[(text,)]])
    assert computed < 0.6 * (model.prefilled - computed)
    with pytest.raises(ValueError, match="empty"):
        model.reply_logprobs([[chat("Well?")]], [[("Yes", "")]])


def test_labels_that_begin_alike_are_refused(tools):
    with pytest.raises(ValueError, match="begin with different tokens"):
        tools.model.labels([[chat("Well?")]], ("Yes", "Yes!"))


def test_the_oldest_messages_go_first_and_the_question_never(tiny, tools):
    model = tools.model
    talk = [f"message {i} " + "x" * 150 for i in range(12)]
    ids, cut = model.fit(chat(*talk, "The question?"))
    text = tiny.tokenizer.hf.decode(ids)
    assert len(ids) <= model.window and cut > 0
    assert "Be brief." in text and "The question?" in text
    kept = [i for i in range(12) if f"message {i} " in text]
    assert kept == list(range(cut, 12))
    assert cut % 2 == 0  # what is left begins with the user
    assert model.fit(chat("Hello", "Hi", "The question?"))[1] == 0


def test_a_question_longer_than_the_window_loses_its_beginning(tiny, tools):
    ids, cut = tools.model.fit(chat("beginning " + "word " * 3000 + "the end?"))
    text = tiny.tokenizer.hf.decode(ids)
    assert len(ids) <= tools.model.window and cut == 1
    assert "the end?" in text and "beginning" not in text


def test_greedy_replies_are_computed_once_and_do_not_depend_on_their_company(tiny, tools):
    chats = [chat("Hello"), chat("And now?"), chat("Hello")]
    first = tools.model.reply(chats)
    assert first[0] == first[2]
    computed = tools.model.prefilled
    assert tools.model.reply(chats[:1]) == first[:1]
    assert tools.model.prefilled == computed
    assert speaker.Speaker(tiny, tools.model.cfg).reply(chats[1:2]) == first[1:2]


def test_a_long_prompt_is_no_branch_beside_a_short_one_that_it_begins_like():
    """Two items behind no noise and much noise, each asked in two ways: a tree for each pair."""
    noise = list(range(1000, 1900))
    prompts = [
        [7, 7, *range(100 * item, 100 * item + 80), *between, 1, 2, 3, *hint]
        for item in (1, 2)
        for between in ((), noise)
        for hint in ((4, 5), (6, 6, 6))
    ]
    found = prompt_trees.with_replies([prompts], [[[[n]] for n in range(8)]])
    names = [[[(0, k)], [(0, k + 1)]] for k in (0, 2, 4, 6)]
    assert sorted(one.names for one in found) == names
    for one in found:
        places = [place for ((_, place),) in one.names]
        assert [one.trunk + branch for branch in one.branches] == [prompts[p] for p in places]
        assert one.leaves == [[[p]] for p in places]
        assert min(map(len, one.branches)) >= 1 and max(map(len, one.branches)) <= 5


def test_questions_about_replies_to_one_request_are_one_tree():
    """Two requests, three replies to each, four questions about a reply: branches and leaves."""
    groups = [
        [
            [7, *range(100 * item, 100 * item + 60), *reply, 1, 2, *question]
            for question in QUESTIONS
        ]
        for item in (1, 2)
        for reply in ([30] * 50, [40] * 60, [50] * 55)
    ]
    found = prompt_trees.of_questions(groups)
    assert [one.names for one in found] == [
        [[(k, place) for place in range(4)] for k in of] for of in ((0, 1, 2), (3, 4, 5))
    ]
    for one in found:
        assert len(one.trunk) == 61
        for branch, leaves, names in zip(one.branches, one.leaves, one.names, strict=True):
            whole = [one.trunk + branch + leaf for leaf in leaves]
            assert whole == [groups[group][place] for group, place in names]
    alone = prompt_trees.of_questions([groups[0], groups[3]])
    assert [one.names for one in alone] == [[[(k, place) for place in range(4)]] for k in (0, 1)]


def test_labels_of_questions_about_several_replies_equal_those_of_whole_sequences(tiny, tools):
    """Replies of unlike lengths and numbers of questions, and a request of its own."""
    asked = "A user who eats no meat at all asked what to cook tonight, and then got this reply: "
    groups = [
        [chat(asked + reply + end) for end in (" Kind?", " Right, would you say?")[:questions]]
        for reply, questions in (("Rice.", 2), ("A steak, " * 4, 1), ("Soup, or nothing.", 2))
    ]
    groups.append([chat("Who are you?")])
    model = speaker.Speaker(tiny, tools.model.cfg)
    got = model.labels(groups, LABELS)
    computed = model.prefilled
    for chats, scored in zip(groups, got, strict=True):
        for messages, one in zip(chats, scored, strict=True):
            np.testing.assert_allclose(one.logp, alone(tiny, messages, ""), atol=1e-4)
    for of in groups:
        model.labels([of], LABELS)
    assert computed < model.prefilled - computed


def test_a_family_is_one_dialogue_asked_anywhere_along_it():
    """Two items behind no, some and much noise, each asked in two ways: a trunk an item."""
    noise = list(range(1000, 1900))
    prompts = [
        [7, 7, *range(100 * item, 100 * item + 80), *noise[:pairs], 1, 2, 3, *hint]
        for item in (1, 2)
        for pairs in (0, 300, 900)
        for hint in ((4, 5), (6, 6, 6))
    ]
    dialogues = ["one"] * 6 + ["two"] * 6 + ["three"]
    found = prompt_trees.families([*prompts, [8] * 40], dialogues, 100)
    assert [[level.places for level in one.levels] for one in found] == [
        [[4, 5], [2, 3], [0, 1]],
        [[10, 11], [8, 9], [6, 7]],
        [[12]],
    ]
    for one in found[:2]:
        assert [level.length for level in one.levels] == [985, 382, 82]
        for level in one.levels:
            whole = [one.trunk[: level.length] + rest for rest in level.rest]
            assert whole == [prompts[place] for place in level.places]
    assert found[2].levels == [prompt_trees.Level(39, [12], [[8]])]
    tight = prompt_trees.families(prompts[:6], dialogues[:6], 10)
    assert [level.places for level in tight[0].levels] == [[4, 5], [3], [2], [1], [0]]


def test_levels_of_a_dialogue_reply_as_whole_prompts_do(tiny, tools):
    """A dialogue asked after two, four and six messages, by two systems."""
    talk = ["I eat no meat.", "Noted.", "Is it six?", "Six. " * 9, "And now?", "It is ten. " * 9]
    chats = [chat(*talk[:n], "Dinner?" + hint) for n in (2, 4, 6) for hint in ("", " Mind me!")]
    model = speaker.Speaker(tiny, tools.model.cfg)
    got = model.reply(chats)
    computed = model.prefilled
    one_by_one = speaker.Speaker(tiny, tools.model.cfg)
    assert got == [one_by_one.reply([one])[0] for one in chats]
    assert computed < 0.6 * one_by_one.prefilled


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_replies_behind_shared_dialogues_equal_those_of_whole_prompts(tiny, tools, temperature):
    """Two systems of two dialogues, one asked by a third: the engine's own, prompt by prompt."""
    cfg = tools.model.cfg
    talks = [["I eat no meat.", "Noted.", f"What is {n} x 8?", "A number." * n] for n in (5, 9)]
    chats = [chat(*talk, "Dinner?" + hint) for talk in talks for hint in ("", " Mind what I told!")]
    chats.append(chat(*talks[0], "And lunch, then?"))
    model = speaker.Speaker(tiny, cfg)
    got = model.reply(chats, temperature=temperature, seed=3)
    whole = engine.Engine(tiny, rows=1, trunks=cfg.trunks).generate(
        [model.fit(one)[0] for one in chats],
        n=1,
        max_new_tokens=cfg.max_new_tokens,
        temperature=temperature,
        seed=3,
        stream=keys.Stream.EVAL,
    )
    assert [one.text for one in got] == [texts[0].strip() for texts in whole.texts]
    assert [one.finished for one in got] == whole.finished[:, 0].tolist()
    assert model.prefilled < 0.7 * len(chats) * cfg.trunks[0]


def test_a_window_past_the_model_is_refused(tiny):
    with pytest.raises(ValueError, match="at most"):
        speaker.Speaker(tiny, speaker.SpeakerConfig(1, 64, (1_000_000,), 8))
