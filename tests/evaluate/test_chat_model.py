"""Chats that go in together against each alone, and prompts cut to the window."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.core import keys
from pa_jax.dialogue import schema, template
from pa_jax.evaluate import chat_model
from pa_jax.infer import sampler as samplers

LABELS = ("A", "B", "C", "D")
LENGTHS = (256, 768)


def model_of(tiny, tools):
    """One that has computed nothing yet."""
    return chat_model.ChatModel(tiny, tools.model.cfg, lengths=LENGTHS)


def chat(*texts, system="Be brief."):
    roles = ["user" if (len(texts) - i) % 2 else "assistant" for i in range(len(texts))]
    messages = [schema.Message(role, text) for role, text in zip(roles, texts, strict=True)]
    return (schema.Message("system", system), *messages)


@functools.partial(jax.jit, static_argnums=0)
def whole(graph, state, ids, length):
    """Log-probs of what follows one sequence in a row of its own, and its mean hidden state."""
    module, slot = nnx.merge(graph, state), jnp.arange(ids.shape[0])
    end = jnp.where(slot < length, length, slot + 1)
    hidden = module.on_rows(ids[None], end[None], slot[None]).hidden[0]
    mean = jnp.where(slot[:, None] < length, hidden, 0).sum(axis=0) / length
    return jax.nn.log_softmax(module.logits(hidden[length - 1])), mean


def after(model, ids):
    padded = jnp.array(ids + [0] * (256 - len(ids)))
    return whole(*nnx.split(model.module), padded, jnp.int32(len(ids)))


def alone(model, messages, opening):
    encode = model.tokenizer.encode
    ids = template.encode_chat(model.tokenizer, messages, add_generation_prompt=True)
    logp, _ = after(model, ids + encode(opening))
    return np.array([logp[encode(label)[0]] for label in LABELS])


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
    model = model_of(tiny, tools)
    groups = [[chat(f"My {x}.", "Noted.", f"What {i}?") for i in range(2)] for x in ("dog", "cat")]
    together = model.labels(groups, LABELS)
    computed = model.prefilled
    apart = [model.labels([[one]], LABELS)[0] for of in groups for one in of]
    assert computed < 0.6 * (model.prefilled - computed)
    for (one,), other in zip(apart, [one for of in together for one in of], strict=True):
        np.testing.assert_allclose(one.logp, other.logp, atol=1e-4)


def test_replies_scored_as_leaves_equal_those_of_whole_prompts(tiny, tools):
    """Two chats of one dialogue and one of another, replies of their own: one sequence each."""
    talk = ["I eat no meat.", "Noted.", "What is 7 x 8?", "It is 56." * 5]
    groups = [[chat(*talk, "Dinner?"), chat(*talk, "Lunch, then?")], [chat("Well?")]]
    texts = [[("Rice.", "A steak, rare"), ("Soup", "No lunch at all for me")], [("Yes", "Yes!")]]
    model = model_of(tiny, tools)
    got = model.reply_logprobs(groups, texts)
    for chats, replies, scored in zip(groups, texts, got, strict=True):
        for messages, of, one in zip(chats, replies, scored, strict=True):
            ids = template.encode_chat(tiny.tokenizer, messages, add_generation_prompt=True)
            for text, logp in zip(of, one.logp, strict=True):
                new, total = tiny.tokenizer.encode(text), 0.0
                for k, token in enumerate(new):
                    total += float(after(tiny, ids + new[:k])[0][token])
                np.testing.assert_allclose(logp, total, atol=1e-4)
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
    assert model_of(tiny, tools).reply(chats[1:2]) == first[1:2]


def test_labels_of_questions_about_several_replies_equal_those_of_whole_sequences(tiny, tools):
    """Replies of unlike lengths and numbers of questions, and a request of its own."""
    asked = "A user who eats no meat at all asked what to cook tonight, and then got this reply: "
    groups = [
        [chat(asked + reply + end) for end in (" Kind?", " Right, would you say?")[:questions]]
        for reply, questions in (("Rice.", 2), ("A steak, " * 4, 1), ("Soup, or nothing.", 2))
    ]
    groups.append([chat("Who are you?")])
    model = model_of(tiny, tools)
    got = model.labels(groups, LABELS)
    computed = model.prefilled
    for chats, scored in zip(groups, got, strict=True):
        for messages, one in zip(chats, scored, strict=True):
            np.testing.assert_allclose(one.logp, alone(tiny, messages, ""), atol=1e-4)
    for of in groups:
        model.labels([of], LABELS)
    assert computed < model.prefilled - computed


def test_levels_of_a_dialogue_reply_as_whole_prompts_do(tiny, tools):
    """A dialogue asked after two, four and six messages, by two systems."""
    talk = ["I eat no meat.", "Noted.", "Is it six?", "Six. " * 9, "And now?", "It is ten. " * 9]
    chats = [chat(*talk[:n], "Dinner?" + hint) for n in (2, 4, 6) for hint in ("", " Mind me!")]
    model = model_of(tiny, tools)
    got = model.reply(chats)
    computed = model.prefilled
    one_by_one = model_of(tiny, tools)
    assert got == [one_by_one.reply([one])[0] for one in chats]
    assert computed < 0.6 * one_by_one.prefilled


def dialogues():
    """Two dialogues, each asked by two systems at two of its turns, and one asked once more."""
    talks = [["I eat no meat.", "Noted.", f"What is {n} x 8?", "A number." * n] for n in (5, 9)]
    chats = [
        chat(*talk[:turns], "Dinner?" + hint)
        for talk in talks
        for turns in (2, 4)
        for hint in ("", " Mind what I told!")
    ]
    return [*chats, chat(*talks[0], "And lunch, then?")]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_replies_behind_shared_dialogues_equal_those_of_prompts_alone(tiny, tools, temperature):
    model, chats = model_of(tiny, tools), dialogues()
    got = model.reply(chats, temperature=temperature, seed=3, step=2)
    one_a_call = samplers.Sampler(tiny, rows=1, lengths=LENGTHS)
    want = one_a_call.generate(
        [model.fit(one)[0] for one in chats],
        n=1,
        max_new_tokens=model.cfg.max_new_tokens,
        temperature=temperature,
        seed=3,
        stream=keys.Stream.EVAL,
        step=2,
    )
    assert [one.text for one in got] == [texts[0].strip() for texts in want.texts]
    assert [one.finished for one in got] == want.finished[:, 0].tolist()
    assert model.prefilled < 0.5 * one_a_call.prefilled


def test_greedy_replies_are_the_likeliest_tokens_of_whole_sequences(tiny, tools):
    model, chats = model_of(tiny, tools), dialogues()
    for one, reply in zip(chats, model.reply(chats), strict=True):
        ids = model.fit(one)[0]
        start = len(ids)
        while len(ids) < start + model.cfg.max_new_tokens and ids[-1] not in tiny.tokenizer.eos_ids:
            ids = [*ids, int(jnp.argmax(after(tiny, ids)[0]))]
        new = [token for token in ids[start:] if token not in tiny.tokenizer.eos_ids]
        assert reply.text == tiny.tokenizer.decode(new).strip()


def test_draws_do_not_hang_on_how_many_go_in_at_once(tiny, tools):
    chats, drawn = dialogues(), []
    for rows in (1, 3, 48):
        cfg = chat_model.ChatConfig(rows=rows, max_new_tokens=4)
        model = chat_model.ChatModel(tiny, cfg, lengths=LENGTHS)
        drawn.append(model.reply(chats, temperature=1.0, seed=1))
    assert drawn[0] == drawn[1] == drawn[2]
    assert drawn[0] != tools.model.reply(chats, temperature=1.0, seed=2)


def test_vectors_are_means_of_hidden_states_and_kept(tiny, tools):
    model, texts = model_of(tiny, tools), ["I eat no meat.", "I eat no fish at all.", "", "Well?"]
    got = model.vectors([*texts, texts[0]])
    assert model.asked == sum(len(tiny.tokenizer.encode(text or "\n")) for text in texts)
    np.testing.assert_array_equal(got[0], got[4])
    for text, vector in zip(texts, got, strict=False):
        _, mean = after(tiny, tiny.tokenizer.encode(text or "\n"))
        np.testing.assert_allclose(vector, mean, atol=1e-5)
    long, beginning = model.vectors(["word " * 700, "word " * 600])
    np.testing.assert_allclose(long, beginning, atol=1e-5)  # of which both have the same 512 tokens
    computed = model.prefilled
    model.vectors(texts)
    assert model.prefilled == computed


def test_the_window_leaves_room_for_the_reply(tiny):
    positions = tiny.config.max_positions
    cfg = chat_model.ChatConfig(rows=1, max_new_tokens=8)
    assert chat_model.ChatModel(tiny, cfg, lengths=(64, 10**6)).window == positions - 8
    with pytest.raises(ValueError, match="ask for fewer"):
        chat_model.ChatModel(tiny, chat_model.ChatConfig(1, positions), lengths=(64,))
