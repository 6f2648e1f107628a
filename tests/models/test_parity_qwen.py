"""Real weights: Qwen2.5-Coder-0.5B continues 20 chats as transformers does on the same weights."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transformers

from pa_jax import models
from pa_jax.dialogue import schema, template
from pa_jax.infer import sampler
from pa_jax.models.io import kept, source
from tests.models import test_parity_smollm2

SOURCE = "pypi:qwen2.5-coder-0.5b-instruct"
NEW_TOKENS = 64
TOLERANCE = 2e-4  # of a logit, both in float32

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def optimised():
    """Real sizes are worth compiling well."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def weights() -> pathlib.Path:
    """The dequantised weights, which both sides read."""
    pytest.importorskip("torch", reason="transformers computes with torch, which is not installed")
    try:
        folder = kept.floats(source.resolve(SOURCE))
    except ValueError as error:
        if "could not be fetched" not in str(error):
            raise
        pytest.skip(f"the weights cannot be had: {error}")
    if not folder.is_dir():
        pytest.skip("no room on the disk to keep the dequantised weights")
    return folder


@pytest.fixture(scope="module")
def prompts(weights) -> list[list[int]]:
    """The chats of the SmolLM2 test, encoded by this model's template."""
    words = models.load(SOURCE, dtype="float32").tokenizer
    return [
        template.encode_chat(
            words, [schema.Message(*m) for m in item["messages"]], add_generation_prompt=True
        )
        for item in test_parity_smollm2.recorded()
    ]


@pytest.fixture(scope="module")
def theirs(weights, prompts) -> list[tuple[list[int], np.ndarray]]:
    """Of each prompt, transformers' greedy ids and the logits along prompt and reply."""
    import torch

    model = transformers.AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    found = []
    for ids in prompts:
        out = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
        )[0]
        with torch.no_grad():
            logits = model(out[None]).logits[0].numpy()
        found.append((out[len(ids) :].tolist(), logits))
    return found


def test_greedy_tokens(prompts, theirs):
    model = models.load(SOURCE, dtype="float32")
    out = sampler.Sampler(model).generate(
        prompts, n=1, max_new_tokens=NEW_TOKENS, temperature=0.0, seed=0
    )
    ours = [
        ids[:length].tolist() for ids, length in zip(out.ids[:, 0], out.lengths[:, 0], strict=True)
    ]
    assert len(ours) == 20
    assert ours == [ids for ids, _ in theirs]


def test_logits(prompts, theirs):
    module = models.load(SOURCE, dtype="float32").module
    width = max(len(logits) for _, logits in theirs)

    @jax.jit
    def logits_of(module, ids_nt, length_n):
        slot = jnp.arange(width)[None]
        end_nt = jnp.where(slot < length_n[:, None], length_n[:, None], slot + 1)
        return module.logits(module.on_rows(ids_nt, end_nt, slot).hidden)

    for prompt, (ids, wanted) in zip(prompts, theirs, strict=True):
        row = np.asarray([*prompt, *ids])
        padded = jnp.asarray(np.pad(row, (0, width - len(row)))[None], jnp.int32)
        ours = np.asarray(logits_of(module, padded, jnp.asarray([len(row)])))[0, : len(row)]
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=TOLERANCE)
