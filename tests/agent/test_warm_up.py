"""After warm-up nothing is compiled, whatever is said, by however many at once."""

import datetime

import jaxtyping
import pytest

from pa_jax import models
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import draft, inferencer
from pa_jax.core import timing

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ROWS = 3
TEXTS = [
    "The user likes tea.",
    "\n".join(f"The user likes the colour of the number {i}." for i in range(4)),
    "The user likes very, very, very long walks.",
    "The user wants zq.",
]


@pytest.fixture(scope="module")
def tiny():
    return models.load("random:tiny", dtype="float32")


def observed(i, words):
    return draft.Observed(f"u{i}", 0, 0, "What now? " * (i % 3), words, ())


@pytest.mark.slow
def test_inference_compiles_nothing_after_it(tiny):
    cfg = inferencer.InferConfig(
        rows=ROWS,
        prompt_tokens=768,
        max_new_tokens=60,  # more than the longest line of TEXTS has, in tokens of a byte
        profile_chars=200,
        context_chars=200,
        user_chars=500,
        examples=(),
        grounding=-100.0,
        stated=0.6,
        place_lexical=0.0,
        place_sure=1.0,  # the model is always asked
        place_categories=2,
        place_least=0.0,
    )
    infer = inferencer.Inferencer(tiny, cfg, lengths=(256, 1024))
    jaxtyping.config.update("jaxtyping_disable", True)  # jit.lower puts no arrays into trees
    try:
        infer.warm_up()
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    words = ["I like tea.", "long " * 3000, "many words " * 20, "x"]
    with timing.CompileCounter() as compiles:
        for count in (1, ROWS, ROWS + 1):
            seen = [observed(i, words[i % 4]) for i in range(count)]
            infer.infer(seen, now=NOW, seed=0)
            found = infer.read(seen, [TEXTS[(i + count) % 4] for i in range(count)])
            assert all(one.ops for one in found)
    assert compiles.compiled == []


def test_deciding_compiles_nothing_after_it(tiny):
    names = ("lexical", "lexical_peers", "topical", "topical_peers", "bias", "echo", "relevant")
    names += ("sure", "near", "remains", "gain", "cost")
    numbers = dict.fromkeys(names, 0.5)
    cfg = rule.AskConfig(words_chars=400, keep=40, budget=2, cooldown=1, **numbers)
    decider = rule.Proactive(tiny, cfg, lengths=(128, 512))
    decider.warm_up()
    nothing = frozenset()
    with timing.CompileCounter() as compiles:
        for count in (1, 2, 5):
            for words in ("Hi", "a flight to Rome " * 6, "long " * 300):
                asked = [rule.Request(words, (), nothing, nothing, 0, 0)] * count
                assert len(decider.decide(asked, now=NOW)) == count
    assert compiles.compiled == []
