"""Rows side by side draw what a sampler draws for each request alone, whoever joins and leaves."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from pa_jax import models
from pa_jax.core import keys
from pa_jax.core import mesh as meshes
from pa_jax.infer import decode, sampler
from pa_jax.infer.serving import slots, widths
from pa_jax.models import lora

RNG = np.random.default_rng(4)
LENGTHS = (5, 140, 1, 33, 128, 129, 77, 2)
PROMPTS = [RNG.integers(3, 512, n).tolist() for n in LENGTHS]
SETTINGS = [  # temperature, top_k, top_p, tokens allowed
    (0.0, 0, 1.0, 12),
    (1.0, 0, 1.0, 16),
    (0.7, 5, 1.0, 9),
    (1.3, 0, 0.8, 16),
    (0.0, 3, 0.5, 1),
    (1.0, 40, 0.9, 15),
    (1.0, 0, 1.0, 16),
    (0.0, 0, 1.0, 16),
]
SEEDS = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 5, 6, 7]
STREAM = keys.Stream.GENERATE
TRUNK, SLOTS, CHUNK = 256, 16, 4


@pytest.fixture(scope="module")
def loaded():
    return models.load("random:tiny", dtype="float32")


@pytest.fixture(scope="module")
def model(loaded):
    """Every thirtieth token ends a completion."""
    words = types.SimpleNamespace(eos_ids=range(0, 512, 30), decode=loaded.tokenizer.decode)
    return types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=words)


@pytest.fixture(scope="module")
def run(model):
    """A sampler of one row."""
    return sampler.Sampler(model, rows=1, lengths=(256,))


@pytest.fixture(scope="module")
def alone(run):
    """What the sampler gives for each request by itself: ids, log-probs, did it end."""

    def one(i):
        temperature, top_k, top_p, allowed = SETTINGS[i]
        how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": SEEDS[i]}
        out = run.generate([PROMPTS[i]], n=1, max_new_tokens=SLOTS, stream=STREAM, **how)
        count = min(int(out.lengths[0, 0]), allowed)
        return out.ids[0, 0, :count].tolist(), out.logprobs[0, 0, :count]

    return [one(i) for i in range(len(PROMPTS))]


def request(i):
    temperature, top_k, top_p, allowed = SETTINGS[i]
    return slots.RowRequest(PROMPTS[i], allowed, SEEDS[i], temperature, top_k, top_p)


def served(rows, order, *, drop=()):
    """Every request through the rows, first come first served: ids and log-probs.

    Those in `drop` are given up after one chunk.
    """
    waiting, running, got = list(order), {}, {i: ([], []) for i in order}

    def give(row, ids, logprobs, done):
        i = running[row]
        got[i][0].extend(ids)
        got[i][1].extend(logprobs)
        if done or (i in drop and len(got[i][0]) > 1):
            del running[row]

    while waiting or running:
        free = [row for row in range(rows.rows) if row not in running]
        while waiting and free:
            joining = {row: waiting.pop(0) for row in free[: min(rows.together, len(waiting))]}
            running |= joining
            for row, (token, logp, done) in rows.admit(
                {row: request(i) for row, i in joining.items()}
            ).items():
                give(row, [token], [logp], done)
            free = [row for row in range(rows.rows) if row not in running]
        if running:
            drawn = rows.advance(list(running), eager=bool(waiting))
            for row in list(running):
                new = slice(0, int(drawn.count[row]))
                give(row, drawn.ids[row, new], drawn.logprobs[row, new], bool(drawn.done[row]))
    return got


def same(got, alone, leave=()):
    for i, (ids, logp) in got.items():
        if i not in leave:
            assert ids == alone[i][0], f"request {i}"
            np.testing.assert_allclose(logp, alone[i][1], atol=1e-5, err_msg=f"request {i}")


def make(run, **changes):
    how = {"rows": 3, "trunk": TRUNK, "slots": SLOTS, "chunk": CHUNK}
    return slots.DecodeSlots(run, **(how | changes))


@pytest.mark.parametrize("order", [range(8), (5, 7, 6, 3, 0, 1, 2, 4)])
def test_requests_that_join_and_leave_equal_the_sampler(run, alone, order):
    got = served(make(run), order)
    same(got, alone)
    counts = {len(ids) for ids, _ in got.values()}
    assert len(counts) > 3 and 1 in counts  # they did leave at different times


def drawn_by(run, requests, **changes):
    """Ids of each request, all beside each other."""
    rows = make(run, rows=len(requests), **changes)
    got = {}
    for row, one in enumerate(requests):
        got |= {k: [token] for k, (token, *_) in rows.admit({row: one}).items()}
    while any(len(ids) < one.allowed for ids, one in zip(got.values(), requests, strict=True)):
        drawn = rows.advance(list(got), eager=False)
        for row, ids in got.items():
            ids += drawn.ids[row, : int(drawn.count[row])].tolist()
    return got


def test_adapters_count_in_the_rows_that_ask_for_them_alone(loaded):
    """A row without them draws what the base draws, beside rows that draw what they write."""
    module = lora.add(loaded.module, lora.LoraConfig(4, 64.0), jax.random.key(0))
    for pair in module.blocks.lora.values():
        pair["b"][...] = 0.3 * jax.random.normal(jax.random.key(1), pair["b"].shape)
    words = types.SimpleNamespace(eos_ids=(), decode=loaded.tokenizer.decode)

    def run(module):
        own = types.SimpleNamespace(module=module, config=loaded.config, tokenizer=words)
        return sampler.Sampler(own, rows=1, lengths=(256,))

    how = {"allowed": SLOTS, "temperature": 0.0, "top_k": 0, "top_p": 1.0}
    asked = [slots.RowRequest(PROMPTS[i], seed=i, **how, adapters=i % 2 == 0) for i in range(4)]
    mixed = drawn_by(run(module), asked)
    for on, alone in ((True, lora.merge(module)), (False, lora.base(module))):
        expected = drawn_by(run(alone), asked)
        for row, one in enumerate(asked):
            assert (mixed[row] == expected[row]) == (one.adapters == on)


def test_a_penalty_keeps_a_greedy_row_from_going_round_in_circles(loaded):
    words = types.SimpleNamespace(eos_ids=(), decode=loaded.tokenizer.decode)
    own = types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=words)
    run = sampler.Sampler(own, rows=1, lengths=(256,))
    how = {"allowed": 64, "seed": 0, "temperature": 0.0, "top_k": 0, "top_p": 1.0}
    asked = [slots.RowRequest(PROMPTS[1], penalty=by, **how) for by in (1.0, 1.5, 1.0)]
    free, kept, beside = drawn_by(run, asked, slots=64).values()
    assert free == beside  # a neighbour's penalty is none of its own
    assert len(set(free)) < 48 <= len(set(kept))


ROOT = RNG.integers(3, 512, 70).tolist()
BEHIND = [[*ROOT, *prompt] if i % 2 else prompt for i, prompt in enumerate(PROMPTS)]


def test_prompts_behind_a_root_draw_the_same_and_do_not_compute_it_again(model, run, monkeypatch):
    monkeypatch.setitem(globals(), "PROMPTS", BEHIND)
    whole, widths = served(make(run), range(8)), []
    prefill = decode.prefill

    def counted(model, prompts, *, root, before=None):
        widths.append((prompts.ids.shape[1], before is not None))
        return prefill(model, prompts, root=root, before=before)

    monkeypatch.setattr(decode, "prefill", counted)
    got = served(make(sampler.Sampler(model, root=ROOT)), range(8))
    for i, (ids, logp) in got.items():
        assert ids == whole[i][0], f"request {i}"
        np.testing.assert_allclose(logp, whole[i][1], atol=1e-4, err_msg=f"request {i}")
    assert {width for width, behind in widths if behind} == {32, 64}  # no entry holds 129 and 140


def test_a_row_given_up_in_the_middle_changes_no_other(run, alone):
    got = served(make(run), range(8), drop=(1, 7))
    same(got, alone, leave=(1, 7))
    for i in (1, 7):
        ids = got[i][0]
        assert 1 < len(ids) < len(alone[i][0]) and ids == alone[i][0][: len(ids)]


def test_a_chunk_stops_for_those_who_wait_as_soon_as_a_row_is_done(run, alone):
    """The first token comes with the prompt: request 3 has two of a chunk's four to go."""
    assert len(alone[1][0]) > 5 and len(alone[3][0]) > 3
    for eager, count in ((True, 2), (False, 4)):
        rows = make(run)
        rows.admit({0: dataclasses.replace(request(3), allowed=3)})
        rows.admit({2: request(1)})
        drawn = rows.advance([0, 2], eager=eager)
        assert drawn.count.tolist() == [2, 0, count]
        assert drawn.done.tolist() == [True, True, False]
        assert drawn.ids[2, :count].tolist() == alone[1][0][1 : 1 + count]


def test_rows_over_a_mesh_draw_the_same(model, alone):
    mesh = meshes.make(meshes.MeshConfig(fsdp=2, tp=2, ep=1), jax.devices()[:4])
    rows = make(sampler.Sampler(model, mesh=mesh), rows=4, trunk=128)
    assert rows.together == 2
    same(served(rows, [i for i, n in enumerate(LENGTHS) if n <= 128]), alone)


def test_a_row_draws_none_of_its_own_sequences_and_the_others_draw_as_before(loaded):
    """Whatever a greedy row would draw is ruled out: a token, then the second of two."""
    words = types.SimpleNamespace(eos_ids=(), decode=loaded.tokenizer.decode)
    own = types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=words)
    run = sampler.Sampler(own, rows=1, lengths=(256,))
    how = {"allowed": SLOTS, "temperature": 0.0, "top_k": 0, "top_p": 1.0}

    def drawn(avoid):
        asked = [slots.RowRequest(PROMPTS[0], seed=0, **how, avoid=one) for one in avoid]
        return drawn_by(run, asked)

    free = drawn([()])[0]
    assert len(free) > 4
    pair, single, longer = tuple(free[1:3]), (free[0],), tuple(free[:6])
    got = drawn([(), (single,), (pair, (1, 2, 3)), (longer,), ()])
    assert got[0] == got[4] == free
    assert free[0] not in got[1]
    assert got[2][:2] == free[:2] and pair not in set(zip(got[2], got[2][1:], strict=False))
    assert got[3][:5] == free[:5] and got[3][5] != free[5]


def test_trunk_widths_are_halves_down_to_one_tile():
    assert widths.of(2048) == (128, 256, 512, 1024, 2048)
    assert widths.of(1536) == (384, 768, 1536)  # multiples of 128 all
    assert widths.of(100) == (100,)


@pytest.mark.parametrize("bad", [{"rows": 0}, {"chunk": 0}, {"trunk": 2048}])
def test_shapes_that_cannot_be_are_named(run, bad):
    with pytest.raises(ValueError, match=r"trunk \+ slots at most the model's 2048 positions"):
        make(run, **bad)


def test_prompts_have_programs_between_the_widths_and_below_them():
    assert widths.entries(512) == (32, 64, 128, 192, 256, 384, 512)
    assert widths.entries(450) == (450,)
