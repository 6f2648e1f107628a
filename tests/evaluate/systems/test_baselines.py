"""What each system puts before the model, and what the memories find."""

import collections
import math

import numpy as np
import pytest

from pa_jax.dialogue import schema
from pa_jax.evaluate.systems import baselines, memory

HISTORY = tuple(
    schema.Message(("user", "assistant")[i % 2], text)
    for i, text in enumerate(
        [
            "I never eat meat.",
            "Understood, no meat.",
            "What is the capital of France?",
            "Paris.",
            "Write a poem about rain.",
            "Rain, rain.",
        ]
    )
)
REQUEST = baselines.Request(
    id="r",
    history=HISTORY,
    question="Where can I eat meat-free food in Rome?",
    form=" A or B?",
    gold=("The user eats no meat.",),
    session=4,
)


def built(name, tools, request=REQUEST):
    (chat,) = baselines.SYSTEMS[name].prompts([request], tools.model, tools.cfg)
    assert chat[0].role == "system" and chat[-1].role == "user"
    assert chat[-1].content.endswith(request.form)
    assert request.question in chat[-1].content
    return chat


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("no_history", ()),
        ("zero_shot", HISTORY[4:]),
        ("full_history", HISTORY),
        ("reminder", HISTORY[4:]),
        ("cot", HISTORY[4:]),
        ("retrieval", HISTORY[4:]),
        ("rag", HISTORY),
        ("rag_embedding", HISTORY),
        ("memory_bank", HISTORY[4:]),
        ("oracle", HISTORY[4:]),
        ("inferred", HISTORY[4:]),
    ],
)
def test_every_system_sees_its_part_of_the_dialogue(name, seen, tools):
    assert built(name, tools)[1:-1] == seen


def test_hints_stand_where_the_benchmark_puts_them(tools):
    question = REQUEST.question
    assert built("zero_shot", tools)[-1].content == question + REQUEST.form
    assert built("reminder", tools)[-1].content == question + baselines.REMINDER + REQUEST.form
    assert built("cot", tools)[-1].content == baselines.REASONING + question + REQUEST.form


def test_self_critic_shows_the_model_its_answer_and_its_critique(tools):
    chat = built("self_critic", tools)
    (draft,) = tools.model.reply([built("zero_shot", tools)])
    assert chat[: len(chat) - 4] == built("zero_shot", tools)
    assert chat[-4].content == draft.text
    assert [m.role for m in chat[-4:]] == ["assistant", "user", "assistant", "user"]
    assert chat[-3].content == baselines.CRITIQUE


def test_only_the_oracle_is_told_the_truth(tools):
    told = {name: str(built(name, tools)) for name in baselines.SYSTEMS if name != "self_critic"}
    assert [n for n, text in told.items() if "The user eats no meat." in text] == ["oracle"]


def test_retrieval_brings_back_what_was_said_long_ago(tools):
    for name in ("retrieval", "rag", "memory_bank"):
        assert "I never eat meat." in built(name, tools)[-1].content
        assert "capital of France" not in built(name, tools)[-1].content


def test_the_nearest_vectors_come_first_whatever_all_share():
    common = np.full(3, 100.0)
    vectors = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 0, 1]]) + common
    found = memory.nearest_vectors(HISTORY[:4], vectors, np.array([0, 1.0, 0]) + common, 2)
    assert found == [HISTORY[1], HISTORY[2]]
    assert memory.nearest_vectors((), np.zeros((0, 3)), common, 2) == []


def test_unknown_systems_are_named():
    with pytest.raises(ValueError, match="zero_shot"):
        baselines.choose(["zeroshot"])


def test_relevance_is_bm25():
    texts = ["red wine and cheese", "white wine", "a walk in the park with the dog", "cheese"]
    index = memory.BM25()
    for text in texts:
        index.add(text)
    bags = [collections.Counter(memory.stems(text)) for text in texts]
    mean = sum(bag.total() for bag in bags) / 4

    def slow(bag):
        total = 0.0
        for word in memory.stems("cheese wine"):
            n = sum(word in other for other in bags)
            idf = math.log(1 + (4 - n + 0.5) / (n + 0.5))
            total += idf * bag[word] * 2.5 / (bag[word] + 1.5 * (0.25 + 0.75 * bag.total() / mean))
        return total

    assert index.scores("cheese wine") == pytest.approx([slow(bag) for bag in bags])
    assert index.scores("the of") == [0.0] * 4


def test_a_memory_that_is_recalled_outlives_one_that_is_not():
    bank = memory.MemoryBank()
    bank.add("user: I love tea", 0.0)
    bank.add("user: I love tea", 0.0)
    assert len(bank.recall("tea?", 1.0, 1)) == 1  # the newer of the two
    kept, forgotten = bank.memories[1], bank.memories[0]
    assert (kept.strength, kept.seen) == (2.0, 1.0)
    assert (forgotten.strength, forgotten.seen) == (1.0, 0.0)
    held = [memory.retention(3.0 - m.seen, m.strength) for m in (kept, forgotten)]
    assert held == pytest.approx([math.exp(-2 / 2), math.exp(-3)])
