"""Rollouts: what is drawn, when it stops, and that batching changes nothing."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import keys
from pa_jax.infer import buckets, engine, openings, sampling
from pa_jax.models import tree

RNG = np.random.default_rng(0)
PROMPTS = [RNG.integers(3, 512, n).tolist() for n in (5, 8, 1, 3, 7, 2)]
LONG = RNG.integers(3, 512, 13).tolist()
SLOTS, LIMIT = 8, 8


@pytest.fixture(scope="module")
def loaded():
    return models.load("random:tiny", dtype="float32")


def with_ends(loaded, *ids):
    """The same model and tokenizer with other end tokens."""
    tokenizer = types.SimpleNamespace(eos_ids=ids, decode=loaded.tokenizer.decode)
    return types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def two(loaded):
    """An engine of two rows whose every twelfth token ends a completion."""
    return engine.Engine(with_ends(loaded, *range(0, 512, 12)), rows=2, trunks=(8, 16))


def generate(run, prompts, **changes):
    how = {"n": 3, "max_new_tokens": LIMIT, "temperature": 1.0, "seed": 11}
    return run.generate(prompts, **(how | changes))


def argmax_loop(loaded, prompt, steps):
    """Greedy continuation by a full forward pass a token, without engine or cache."""
    graph, state = nnx.split(loaded.module)
    width = len(prompt) + steps

    @jax.jit
    def last(state, ids, length):
        module = nnx.merge(graph, state)
        hidden = module.on_tree(ids, tree.TreeSpec(width), tree.lengths(length))
        return jnp.argmax(module.logits(hidden[0, length[0] - 1]))

    ids = list(prompt)
    for _ in range(steps):
        row = np.zeros((1, width), np.int32)
        row[0, : len(ids)] = ids
        ids.append(int(last(state, jnp.asarray(row), jnp.array([len(ids)]))))
    return ids[len(prompt) :]


def test_greedy_equals_an_argmax_loop_over_full_forwards(loaded):
    run = engine.Engine(with_ends(loaded), rows=2, trunks=(8, 16))
    out = generate(run, [PROMPTS[0], PROMPTS[1]], temperature=0.0)
    for i in (0, 1):
        want = argmax_loop(loaded, PROMPTS[i], LIMIT)
        assert out.ids[i].tolist() == [want] * 3
    assert not out.finished.any() and (out.lengths == LIMIT).all()
    first = generate(run, [PROMPTS[0], PROMPTS[1]], top_k=1)
    np.testing.assert_array_equal(first.ids, out.ids)


def test_draws_do_not_depend_on_place_or_company(two, loaded):
    four = engine.Engine(two.model, rows=4, trunks=(8, 16))
    how = sampling.settings(1.0)
    base = keys.stream_key(11, keys.Stream.ROLLOUT, 0)

    def rows(run, order):
        ids = np.zeros((len(order), 8), np.int32)
        for row, i in enumerate(order):
            ids[row, : len(PROMPTS[i])] = PROMPTS[i]
        lengths = np.array([len(PROMPTS[i]) for i in order], np.int32)
        key_ng = engine.branch_keys(keys.row_keys(base, np.array(order, np.int32)), 3)
        return jax.device_get(run.decode((ids, lengths), key_ng, how, (LIMIT, SLOTS)))

    got = {}
    for run, order in ((two, [3, 0]), (two, [1, 3]), (four, [1, 0, 2, 3]), (four, [3, 2, 0, 1])):
        out = rows(run, order)
        for row, i in enumerate(order):
            got.setdefault(i, []).append((out.ids[row], out.lengths[row], out.logprobs[row]))
    for i, seen in got.items():
        assert len(seen) > 1
        for ids, lengths, logp in seen[1:]:
            np.testing.assert_array_equal(ids, seen[0][0], err_msg=f"prompt {i}")
            np.testing.assert_array_equal(lengths, seen[0][1])
            np.testing.assert_allclose(logp, seen[0][2], atol=1e-5)


def behind(run, trunks, beginnings, rests, key_n, temperature):
    """Completions behind parts of cached trunks; beginnings are rows and lengths (None: whole)."""
    ids, trunk_len = buckets.pad_rows(trunks, 8)
    row, length = beginnings
    length = trunk_len[row] if length is None else length
    opened = openings.packed(rests, count=len(row), widths=(16, 32))
    draws = (
        engine.branch_keys(key_n, 1).reshape(len(row), -1),
        sampling.settings(temperature),
        (LIMIT, SLOTS),
    )
    cached = openings.cache(run, (ids, trunk_len))
    return jax.device_get(openings.complete(run, cached, (row, length), opened, draws, width=8))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_branches_leave_a_cached_trunk_anywhere(two, temperature):
    """Rows behind parts of one trunk and of another, as each path is alone."""
    trunks, cut = [PROMPTS[1], PROMPTS[0]], [(1, 2), (0, len(PROMPTS[1])), (1, 1)]
    rests = [[PROMPTS[3], PROMPTS[2]], [PROMPTS[4], PROMPTS[5]], [PROMPTS[2], PROMPTS[0]]]
    whole = [[*trunks[r][:k], *o] for (r, k), of in zip(cut, rests, strict=True) for o in of]
    want = generate(two, whole, n=1, temperature=temperature)
    flat = keys.row_keys(keys.stream_key(11, keys.Stream.ROLLOUT, 0), np.arange(6))
    rows, lengths = np.array(cut, np.int32).T
    out = behind(two, trunks, (rows, lengths), rests, flat, temperature)
    np.testing.assert_array_equal(out.ids.reshape(want.ids[:, 0].shape), want.ids[:, 0])
    np.testing.assert_allclose(out.logprobs.reshape(6, -1), want.logprobs[:, 0], atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_openings_behind_a_shared_trunk_equal_whole_prompts(two, temperature):
    """Ragged trunks, openings and a missing branch, against each path as a prompt of its own."""
    trunks = [PROMPTS[1], PROMPTS[0]]
    rests = [[PROMPTS[3], PROMPTS[2], PROMPTS[5]], [PROMPTS[4], PROMPTS[3]]]
    whole = [[*t, *o] for t, of in zip(trunks, rests, strict=True) for o in of]
    want = generate(two, whole, n=1, temperature=temperature)
    flat = keys.row_keys(keys.stream_key(11, keys.Stream.ROLLOUT, 0), np.arange(6))
    out = behind(two, trunks, (np.arange(2), None), rests, flat, temperature)
    assert out.lengths[1, 2] == 0 and out.finished[1, 2]
    for i, (row, g) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        np.testing.assert_array_equal(out.ids[row, g], want.ids[i, 0], err_msg=f"path {i}")
        assert out.lengths[row, g] == want.lengths[i, 0]
        assert out.finished[row, g] == want.finished[i, 0]
        np.testing.assert_allclose(out.logprobs[row, g], want.logprobs[i, 0], atol=1e-5)


def test_generate_keeps_the_prompts_order_over_batches_and_buckets(two):
    """Prompt i draws by i alone: the same prompts with one more behind give the same draws."""
    prompts = [PROMPTS[0], LONG, PROMPTS[1], PROMPTS[2], PROMPTS[3]]
    one, more = generate(two, prompts), generate(two, [*prompts, PROMPTS[4]])
    np.testing.assert_array_equal(one.ids, more.ids[:5])
    np.testing.assert_array_equal(one.lengths, more.lengths[:5])


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


def test_max_new_tokens_cuts_inside_a_bucket(two):
    full, cut = generate(two, PROMPTS[:2]), generate(two, PROMPTS[:2], max_new_tokens=2)
    assert cut.ids.shape == (2, 3, 2)
    np.testing.assert_array_equal(cut.ids, full.ids[..., :2])
    np.testing.assert_array_equal(cut.lengths, np.minimum(full.lengths, 2))
    np.testing.assert_array_equal(cut.finished, full.finished & (full.lengths <= 2))


def test_a_batch_whose_branches_all_end_at_once_has_length_one(loaded):
    run = engine.Engine(with_ends(loaded, *range(512)), rows=2, trunks=(8, 16))
    out = generate(run, PROMPTS[:3])
    assert (out.lengths == 1).all() and out.finished.all()
    assert not out.ids[..., 1:].any()


def test_new_parameters_are_sampled_from_at_once(two, loaded):
    run = engine.Engine(two.model, rows=2, trunks=(8, 16))
    before = generate(run, PROMPTS[:2], temperature=0.0)
    run.update(jax.tree.map(lambda x: -x, nnx.state(loaded.module)))
    after = generate(run, PROMPTS[:2], temperature=0.0)
    assert (before.ids[..., 0] != after.ids[..., 0]).any()


def test_ragged_prompts_compile_one_program_a_bucket(loaded):
    run = engine.Engine(with_ends(loaded, 2), rows=3, trunks=(8, 16))
    before = engine.rollout._cache_size()
    for temperature, seed, limit in ((1.0, 0, 8), (0.0, 1, 5), (0.5, 2, 7)):
        how = {"temperature": temperature, "seed": seed, "max_new_tokens": limit}
        generate(run, PROMPTS, **how)
        generate(run, [LONG, *PROMPTS[:seed]], top_k=seed, **how)
    assert engine.rollout._cache_size() - before == 2


def test_an_empty_prompt_names_its_place(two):
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        generate(two, [[1], []])


def test_a_prompt_past_the_largest_bucket_names_the_limit(two):
    with pytest.raises(ValueError, match="prompt 1 of 17 tokens, at most 16"):
        generate(two, [[1], [1] * 17])


def test_no_prompts_give_no_completions(two):
    out = generate(two, [])
    assert out.ids.shape == (0, 3, LIMIT) and out.texts == []


def test_without_a_tokenizer_nothing_ends_early(loaded):
    run = engine.Engine(dataclasses.replace(loaded, tokenizer=None), rows=2, trunks=(8, 16))
    out = generate(run, PROMPTS[:2])
    assert (out.lengths == LIMIT).all() and not out.finished.any()
    assert out.texts == [[""] * 3] * 2
