"""Rollouts: what is drawn, when it stops, and that packing changes nothing."""

import dataclasses
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import keys
from pa_jax.core import mesh as meshes
from pa_jax.infer import decode, sampler, sampling, score

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
RNG = np.random.default_rng(0)
LENGTHS, LIMIT = (8, 16, 32, 64), 8


def some(*lengths):
    return [RNG.integers(3, 128, n).tolist() for n in lengths]


PROMPTS = some(5, 8, 1, 3, 7, 2)
LONG, TOLD = some(13, 24)
# One dialogue at several of its turns, with more behind; it is kept apart as a piece.
TURNS = [[*TOLD[:cut], *more] for cut, more in zip((24, 20, 24, 17), some(0, 6, 3, 8), strict=True)]


@pytest.fixture(scope="module")
def loaded():
    return models.load("random:tiny", dtype="float32")


def with_ends(loaded, *ids):
    """The same model with a tokenizer of other end tokens."""
    decoded = loaded.tokenizer.decode if loaded.tokenizer else str
    tokenizer = types.SimpleNamespace(eos_ids=ids, decode=decoded)
    return types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=tokenizer)


def made(model, **changes):
    return sampler.Sampler(model, **({"rows": 2, "lengths": LENGTHS} | changes))


@pytest.fixture(scope="module")
def ending(loaded):
    """Every twelfth token ends a completion."""
    return with_ends(loaded, *range(0, 512, 12))


@pytest.fixture(scope="module")
def two(ending):
    """A sampler of two prompts a call."""
    return made(ending)


def generate(run, prompts, **changes):
    how = {"n": 3, "max_new_tokens": LIMIT, "temperature": 1.0, "seed": 11}
    return run.generate(prompts, **(how | changes))


def argmax_loop(loaded, prompt, steps):
    """Greedy continuation by a full forward pass a token, without sampler or cache."""
    graph, state = nnx.split(loaded.module)
    width = len(prompt) + steps

    @jax.jit
    def last(state, ids, length):
        module, slot = nnx.merge(graph, state), jnp.arange(width)
        end = jnp.where(slot < length, length, slot + 1)[None]
        hidden = module.on_rows(ids, end, slot[None]).hidden
        return jnp.argmax(module.logits(hidden[0, length - 1]))

    ids = list(prompt)
    for _ in range(steps):
        row = np.zeros((1, width), np.int32)
        row[0, : len(ids)] = ids
        ids.append(int(last(state, jnp.asarray(row), len(ids))))
    return ids[len(prompt) :]


def test_greedy_equals_an_argmax_loop_over_full_forwards(loaded):
    run = made(with_ends(loaded))
    out = generate(run, [PROMPTS[0], PROMPTS[1]], temperature=0.0)
    for i in (0, 1):
        want = argmax_loop(loaded, PROMPTS[i], LIMIT)
        assert out.ids[i].tolist() == [want] * 3
    assert not out.finished.any() and (out.lengths == LIMIT).all()
    first = generate(run, [PROMPTS[0], PROMPTS[1]], top_k=1)
    np.testing.assert_array_equal(first.ids, out.ids)


@pytest.mark.parametrize("name", ["qwen2", "qwen3_untied", "qwen3_moe"])
def test_log_probs_of_what_is_drawn_are_the_scorers(name):
    """Of prompts alone and of some that leave one dialogue at its turns, in every family."""
    loaded = models.load(str(GOLDEN / name), dtype="float32")
    prompts = [*TURNS, PROMPTS[0]]
    out = generate(made(with_ends(loaded), rows=8, lengths=(64,)), prompts, n=2)
    drawn = [[row.tolist() for row in of] for of in out.ids]
    for of, scored in zip(out.logprobs, score.logprobs(loaded, prompts, drawn), strict=True):
        np.testing.assert_allclose(of, scored, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prompts", [PROMPTS[:4], TURNS], ids=["apart", "of one dialogue"])
def test_draws_depend_on_a_prompts_key_alone(two, prompts, temperature):
    """Not on its place, its company, or how many fit a call; so neither do greedy ones."""
    key_n = keys.row_keys(keys.stream_key(11, keys.Stream.ROLLOUT, 0), np.arange(4, dtype=np.int32))
    key_ng, how = sampler.branch_keys(key_n, 2), sampling.settings(temperature)
    got = {}
    for order in ([0], [3, 0], [1, 3], [1, 0, 2, 3], [3, 2, 0, 1]):
        several = [prompts[i] for i in order]
        out = two.sample(several, key_ng[np.array(order)], how, LIMIT, count=4)
        for row, i in enumerate(order):
            got.setdefault(i, []).append((out.ids[row], out.lengths[row], out.logprobs[row]))
    for i, seen in got.items():
        assert len(seen) > 1
        for ids, lengths, logp in seen[1:]:
            np.testing.assert_array_equal(ids, seen[0][0], err_msg=f"prompt {i}")
            np.testing.assert_array_equal(lengths, seen[0][1])
            np.testing.assert_allclose(logp, seen[0][2], atol=1e-5)


def test_generate_keeps_the_prompts_order_over_calls_and_rows(two, ending):
    """Prompt i draws by i alone: the same prompts with one more behind give the same draws."""
    prompts = [PROMPTS[0], LONG, *TURNS, PROMPTS[2]]
    one, more = generate(two, prompts), generate(two, [*prompts, PROMPTS[4]])
    other = generate(made(ending, rows=8, lengths=(64,)), prompts)
    for out in (more, other):
        np.testing.assert_array_equal(one.ids, out.ids[: len(prompts)])
        np.testing.assert_array_equal(one.lengths, out.lengths[: len(prompts)])
        np.testing.assert_allclose(one.logprobs, out.logprobs[: len(prompts)], atol=1e-5)


def test_what_prompts_share_is_computed_once(ending):
    run = made(ending, rows=8, lengths=(16, 32, 64))
    generate(run, TURNS)
    # 24 + 6 + 3 + 8 tokens in one row, not four of 24 to 27 in a row each
    assert run.prefilled == 64


@pytest.mark.parametrize(
    "sizes", [(2, 2, 2), *(pytest.param(x, marks=pytest.mark.slow) for x in [(8, 1, 1), (1, 2, 4)])]
)
def test_sharded_equals_unsharded(sizes):
    loaded = models.load(str(GOLDEN / "qwen3_moe"), dtype="float32")
    mesh = meshes.make(meshes.MeshConfig(*sizes), jax.devices()[:8])
    prompts = [*TURNS, *PROMPTS]
    plain, cut = (
        generate(made(with_ends(loaded), rows=8, mesh=on), prompts, n=2) for on in (None, mesh)
    )
    np.testing.assert_array_equal(cut.ids, plain.ids)
    np.testing.assert_allclose(cut.logprobs, plain.logprobs, atol=1e-5)


def test_seeds_steps_streams_prompts_and_branches_all_draw_apart(two):
    same = [PROMPTS[0], PROMPTS[0]]
    base = generate(two, same)
    np.testing.assert_array_equal(base.ids, generate(two, same).ids)
    flat = [row.tolist() for row in base.ids.reshape(-1, LIMIT)]
    assert len({tuple(row) for row in flat}) == 6
    for change in ({"seed": 12}, {"step": 1}, {"stream": keys.Stream.EVAL}):
        other = generate(two, same, **change)
        assert (other.ids[..., 0] != base.ids[..., 0]).any(), change


def test_completions_end_with_their_end_token_and_nothing_follows(two):
    out = generate(two, PROMPTS)
    assert out.finished.any() and not out.finished.all()
    for i, g in np.ndindex(*out.lengths.shape):
        length, ids = int(out.lengths[i, g]), out.ids[i, g]
        ends = [t for t in range(length) if ids[t] % 12 == 0]
        assert ends == ([length - 1] if out.finished[i, g] else [])
        assert length == LIMIT or out.finished[i, g]
        assert not ids[length:].any() and not out.logprobs[i, g, length:].any()
        assert (out.logprobs[i, g, :length] < 0).all()


def test_texts_leave_the_end_token_out(two, loaded):
    out = generate(two, PROMPTS[:2])
    for i, g in np.ndindex(*out.lengths.shape):
        ids = out.ids[i, g, : out.lengths[i, g]].tolist()
        want = ids[:-1] if out.finished[i, g] else ids
        assert out.texts[i][g] == loaded.tokenizer.decode(want)


def test_max_new_tokens_cuts_inside_a_width(two):
    full, cut = generate(two, PROMPTS[:2]), generate(two, PROMPTS[:2], max_new_tokens=2)
    assert cut.ids.shape == (2, 3, 2)
    np.testing.assert_array_equal(cut.ids, full.ids[..., :2])
    np.testing.assert_array_equal(cut.lengths, np.minimum(full.lengths, 2))
    np.testing.assert_array_equal(cut.finished, full.finished & (full.lengths <= 2))


def test_a_call_whose_branches_all_end_at_once_has_length_one(loaded):
    out = generate(made(with_ends(loaded, *range(512))), PROMPTS[:3])
    assert (out.lengths == 1).all() and out.finished.all()
    assert not out.ids[..., 1:].any()


def test_new_parameters_are_sampled_from_at_once(ending, loaded):
    run = made(ending)
    before = generate(run, PROMPTS[:2], temperature=0.0)
    run.update(jax.tree.map(lambda x: -x, nnx.state(loaded.module)))
    after = generate(run, PROMPTS[:2], temperature=0.0)
    assert (before.ids[..., 0] != after.ids[..., 0]).any()


def test_settings_are_data_and_widths_few(loaded):
    """Prompts of one to eight tokens: no program more for another temperature, seed or limit."""
    run = made(with_ends(loaded, 2), rows=4, lengths=(32,))
    generate(run, PROMPTS)
    before = decode.rollout._cache_size()
    for temperature, seed, limit in ((1.0, 0, 8), (0.0, 1, 5), (0.5, 2, 7)):
        how = {"temperature": temperature, "seed": seed, "max_new_tokens": limit}
        generate(run, PROMPTS, **how)
        generate(run, PROMPTS, top_k=seed, top_p=0.9, **how)
    assert decode.rollout._cache_size() == before


def test_an_empty_prompt_names_its_place(two):
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        generate(two, [[1], []])


def test_a_prompt_past_the_largest_row_names_the_limit_and_the_key(loaded):
    run = made(loaded, lengths=(32,), key="rollout.lengths")
    with pytest.raises(ValueError, match=r"prompt 1 .*rollout.lengths.* of 33 tokens, at most 32"):
        generate(run, [[1], [1] * 33])


def test_no_prompts_give_no_completions(two):
    out = generate(two, [])
    assert out.ids.shape == (0, 3, LIMIT) and out.texts == []


def test_without_a_tokenizer_nothing_ends_early(loaded):
    run = made(dataclasses.replace(loaded, tokenizer=None))
    out = generate(run, PROMPTS[:2])
    assert (out.lengths == LIMIT).all() and not out.finished.any()
    assert out.texts == [[""] * 3] * 2
