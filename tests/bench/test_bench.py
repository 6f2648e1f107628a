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

PHASES = ["prefill", "decode", "rollout", "judge", "logprobs", "update"]


SIZES = ["full", "ragged"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("bench")
    tiny = config.get_config("tiny")
    tiny.bench.reps = 1
    bench.run(tiny, workdir)
    return workdir


@pytest.fixture(scope="module", params=SIZES)
def subject(request):
    tiny = config.get_config("tiny")
    return bench.subject_of(bench.load(tiny), work.BenchConfig(**tiny.bench), tiny, request.param)


def test_report_holds_every_phase_with_equal_outputs(finished):
    report = json.loads((finished / "report.json").read_text())
    assert list(report["sizes"]) == SIZES
    for of_sizes in report["sizes"].values():
        assert list(of_sizes) == PHASES
        for figures in of_sizes.values():
            assert figures["ratio"] == figures["flat"]["seconds"] / figures["forest"]["seconds"]
            for kind, value in figures["difference"].items():
                assert 0 <= value <= figures["tolerance"][kind]
            for side in (figures["forest"], figures["flat"]):
                assert side["compile_seconds"] < side["first_seconds"]
                assert side["tflop"] > 0 and len(side["runs"]) == 1
                assert 0.4 < side["fill"] <= 1
    assert (finished / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_both_sides_get_the_same_tokens_done_with_fewer_flops_as_a_forest(finished):
    cfg = config.get_config("tiny")
    group, sizes = cfg.bench, cfg.sizes.full
    figures = json.loads((finished / "report.json").read_text())["sizes"]["full"]
    paths = group.prompts * group.group
    branch, whole = sizes.completion, sizes.prompt + sizes.completion
    new = {"prefill": sizes.prompt, "decode": branch, "rollout": branch}
    new |= {"judge": group.leaves * (whole + sizes.leaf)}
    for name in PHASES:
        one, two = figures[name]["forest"], figures[name]["flat"]
        want = paths * new.get(name, whole - 1)  # what nothing follows is not read
        for side in (one, two):
            np.testing.assert_allclose(side["tokens_a_second"] * side["seconds"], want)
        assert (one["tflop"] < two["tflop"]) == (name != "decode")


def test_flat_rows_hold_every_path_alone(subject):
    trees = subject.work.judged()
    packed = work.flat(trees, subject.cfg.lengths, subject.work.vocab)
    paths = [list(path.ids) for tree in trees for path in tree]
    assert packed.tokens == sum(map(len, paths))
    for ids, ((row, (place,)),) in zip(paths, packed.places, strict=True):
        rows = packed.rows[row]
        seen = np.arange(len(rows.ids)) <= rows.at[place]
        seen &= rows.end > rows.at[place]
        assert rows.ids[seen].tolist() == ids
        assert (rows.end[seen] == rows.at[place] + 1).all()  # nobody else reads them
        np.testing.assert_array_equal(rows.position[seen], np.arange(len(ids)))


def test_a_forest_holds_what_is_shared_once_and_its_size_is_what_it_costs(subject):
    made, flat = subject.pair(subject.work.scored())
    groups = zip(subject.work.prompts, subject.work.completions, strict=True)
    most = sum(len(prompt) + sum(len(x) - 1 for x in row) for prompt, row in groups)
    assert made.size.tokens <= most < flat.size.tokens == made.size.tokens + _again(subject, most)
    assert flat.size.wanted == sum(len(x) for row in subject.work.completions for x in row)


def _again(subject, most):
    """Tokens of prompts that are not the first copy; completions may begin alike."""
    made, _ = subject.pair(subject.work.scored())
    copies = (subject.cfg.group - 1) * sum(map(len, subject.work.prompts))
    return copies + most - made.size.tokens


def test_ragged_lengths_have_the_mean_they_should_and_are_the_same_each_time():
    cfg = work.BenchConfig(200, 4, 2, (64,), (64,), 1)
    sizes = work.Sizes(root=30, prompt=182, completion=14, leaf=4, spread=0.3)
    one, two = (work.make(cfg, sizes, 512, 0) for _ in range(2))
    assert one == two != work.make(cfg, sizes, 512, 1)
    prompts = np.array([len(ids) for ids in one.prompts])
    assert abs(prompts.mean() - 182) < 8 and prompts.std() > 30
    assert abs(np.mean([len(x) for row in one.completions for x in row]) - 14) < 0.7
    assert {tuple(ids[:30]) for ids in one.prompts} == {tuple(one.prompts[0][:30])}


@pytest.mark.parametrize("make", [phases.logprobs, phases.rollout, phases.prefill])
def test_sides_that_differ_are_refused(finished, subject, make):
    state = jax.tree.map(jnp.copy, subject.state)
    state.blocks.wq[...] = state.blocks.wq[...].at[0, 0].mul(1.5)
    other = dataclasses.replace(subject, state=state)
    tolerance = config.get_config("tiny").tolerance.to_dict()
    right = make(subject)
    measure.measure(right, tolerance, reps=1)
    broken = dataclasses.replace(right, flat=make(other).flat)
    with pytest.raises(ValueError, match=f"{right.name}: forest and flat differ by .* is allowed"):
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
    ("change", "message"),
    [
        ({"bench.group": 0}, "bench.group=0: must be at least 1"),
        ({"sizes.full.completion": 0}, "sizes.completion=0: must be at least 1"),
        ({"sizes.full.root": 48}, "sizes.root=48: must be under sizes.prompt=48"),
        ({"sizes.full.prompt": 300}, "at most 256 are allowed"),
        ({"measure": ("fuller",)}, r"measure=\('fuller',\): choose among \['full', 'ragged'\]"),
        ({"phases": ("judges",)}, "choose among .*'judge', 'logprobs'"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, change, message):
    cfg = config.get_config("tiny")
    cfg.update_from_flattened_dict({"phases": ("logprobs",)} | change)
    with pytest.raises(ValueError, match=message):
        bench.run(cfg, tmp_path)


def test_presets_load():
    for preset in ("", "tiny", "qwen3-36m", "qwen3-0.6b"):
        made = config.get_config(preset)
        work.BenchConfig(**made.bench)
        for name, sizes in made.sizes.items():
            work.Sizes(**sizes)
            assert {bench.UPDATES.get(key, key) for key in made.wanted.get(name, {})} <= set(PHASES)
