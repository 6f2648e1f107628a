"""The bench job on its tiny preset, and its refusal of sides that differ."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import bench as config
from pa_jax.bench import measure, phases, work
from pa_jax.jobs import bench
from pa_jax.models import tree

PHASES = ["prefill", "decode", "rollout", "judge", "logprobs", "update"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("bench")
    tiny = config.get_config("tiny")
    tiny.bench.reps = 1
    bench.run(tiny, workdir)
    return workdir


@pytest.fixture(scope="module")
def subject():
    tiny = config.get_config("tiny")
    return bench.load(tiny, work.BenchConfig(**tiny.bench))


def test_report_holds_every_phase_with_equal_outputs(finished):
    report = json.loads((finished / "report.json").read_text())
    assert list(report["phases"]) == PHASES
    for figures in report["phases"].values():
        assert figures["ratio"] == figures["flat"]["seconds"] / figures["trees"]["seconds"]
        for kind, value in figures["difference"].items():
            assert 0 <= value <= figures["tolerance"][kind]
        for side in (figures["trees"], figures["flat"]):
            assert side["compile_seconds"] < side["first_seconds"]
            assert side["tflop"] > 0 and side["tokens_a_second"] > 0 and len(side["runs"]) == 1
    assert (finished / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_both_sides_get_the_same_tokens_done_with_fewer_flops_as_trees(finished):
    sizes = config.get_config("tiny").bench
    figures = json.loads((finished / "report.json").read_text())["phases"]
    paths = sizes.prompts * sizes.group
    branch, whole = sizes.branch, sizes.trunk + sizes.branch
    asked = sizes.leaves * (whole + sizes.leaf)
    new = {"prefill": sizes.trunk, "decode": branch, "rollout": branch, "judge": asked}
    for name in PHASES:
        one, two = figures[name]["trees"], figures[name]["flat"]
        want = paths * new.get(name, whole)
        for side in (one, two):
            np.testing.assert_allclose(side["tokens_a_second"] * side["seconds"], want)
        assert (one["tflop"] < two["tflop"]) == (name != "decode")


def test_flat_rows_are_the_paths_of_the_trees(subject):
    made = subject.work
    spec, lens = made.judged.spec, made.judged.lens
    ids, index = np.asarray(made.judged.flat()), np.arange(spec.slots)
    seen = tree.visible(spec, index[:, None], index[None, :])
    ends = np.asarray(tree.leaf_end(spec, lens))
    paths = [
        ids[n, seen[end]] for n in range(ends.shape[0]) for end in ends[n].reshape(-1).tolist()
    ]
    np.testing.assert_array_equal(np.stack(paths), made.flat_judged.trunk)
    assert np.asarray(tree.real(spec, lens)).all()


@pytest.mark.parametrize("make", [phases.logprobs, phases.rollout, phases.prefill])
def test_sides_that_differ_are_refused(finished, subject, make):
    state = jax.tree.map(jnp.copy, subject.state)
    state.blocks.wq[...] = state.blocks.wq[...].at[0, 0].mul(1.5)
    other = dataclasses.replace(subject, state=state)
    tolerance = config.get_config("tiny").tolerance.to_dict()
    right = make(subject)
    measure.measure(right, tolerance, reps=1)
    broken = dataclasses.replace(right, flat=make(other).flat)
    with pytest.raises(ValueError, match=f"{right.name}: tree and flat differ by .* is allowed"):
        measure.measure(broken, tolerance, reps=1)


@pytest.mark.parametrize(("loss", "scale", "kind"), [(2.0, 1.001, "gradient"), (2.001, 1, "loss")])
def test_an_update_with_another_loss_or_gradient_is_refused(subject, loss, scale, kind):
    tolerance = config.get_config("tiny").tolerance.to_dict()
    grads = jax.tree.leaves(subject.state)
    right, wrong = (jnp.float32(2.0), grads), (jnp.float32(loss), [grads[0] * scale, *grads[1:]])
    measure.check("update", phases.updates_apart(right, right), tolerance)
    with pytest.raises(ValueError, match=f"differ by .* \\({kind}\\)"):
        measure.check("update", phases.updates_apart(right, wrong), tolerance)


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="differ by nan"):
        measure.check("judge", {"logprob": math.nan}, {"logprob": 1e9})


@pytest.mark.parametrize(
    ("rows", "tokens", "budget", "want"), [(4, 2048, 9600, 4), (128, 584, 9600, 16), (6, 99, 50, 1)]
)
def test_rows_a_call_fill_the_budget_without_a_rest(rows, tokens, budget, want):
    assert work.rows_a_call(rows, tokens, budget) == want


def test_a_size_of_nothing_is_refused():
    sizes = config.get_config("tiny").bench.to_dict() | {"group": 0}
    with pytest.raises(ValueError, match="bench.group=0: must be at least 1"):
        work.BenchConfig(**sizes)


def test_presets_load():
    for preset in ("", "tiny", "qwen3-0.6b"):
        made = config.get_config(preset)
        work.BenchConfig(**made.bench)
        assert set(made.wanted) <= set(PHASES)
