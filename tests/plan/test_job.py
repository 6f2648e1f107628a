"""The plan from its command line, and its compiling process on this machine's CPU devices."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys

import pytest

from configs import plan as plan_config
from pa_jax.core import mesh as meshes
from pa_jax.infer import logprobs
from pa_jax.jobs import plan
from pa_jax.models import flops
from pa_jax.plan import client, phases, topology
from tests import devices

EIGHT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": devices.flags(8),
}
LIBTPU = importlib.util.find_spec("libtpu") is not None
needs_libtpu = pytest.mark.skipif(not LIBTPU, reason="no libtpu: pip install 'pa_jax[tpu]'")


def config(preset="tiny", **changes):
    """The preset's config; tiny on four chips."""
    made = plan_config.get_config(preset)
    if preset == "tiny":
        made.slice = "v5e-4"
    for name, value in changes.items():
        made.update_from_flattened_dict({name: value})
    return made


def run_main(root, workdir, *flags, **environment):
    ours = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")
    env = {k: v for k, v in os.environ.items() if k not in ours} | environment
    command = [sys.executable, "-m", "pa_jax.main", f"--workdir={workdir}", *flags]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=540)


@pytest.mark.parametrize(
    "preset, changes, message",
    [
        ("tiny", {"slice": "v5e-17"}, "slice='v5e-17': choose one of v5e-1"),
        ("tiny", {"mesh.tp": 3}, "mesh.tp=3 x mesh.ep=1 = 3 does not divide 4 devices"),
        ("tiny", {"rollout.prompts": 3}, "prompts=3 rows do not divide by mesh.fsdp x mesh.ep"),
        ("tiny", {"model.source": "hf:nobody/nothing"}, "has no shape known to the plan"),
        ("tiny", {"judge.kind": "reference"}, "plan for 'likelihood' or 'verbal'"),
        ("tiny", {"tokens.completion": 0}, "tokens.completion=0: must be at least 1"),
        ("tiny", {"tokens.root": 300}, "tokens.root=300: must be under tokens.prompt=256"),
        (
            "tiny",
            {"tokens.prompt": 2100},
            r"a row \(see lengths\) of 2100 tokens",
        ),
        (
            "qwen3-4b",
            {"slice": "v5e-1", "mesh.tp": 1, "mesh.ep": 1},
            r"cannot fit v5e-1: .* GB a chip stay resident .*allowed are 15.00. Turn: ",
        ),
    ],
)
def test_bad_input_says_what_is_allowed_before_anything_compiles(
    tmp_path, preset, changes, message
):
    with pytest.raises(ValueError, match=message):
        plan.run(config(preset, **changes), tmp_path)


def test_resident_bytes_are_those_of_the_arrays_cut_by_the_tables():
    slice_ = topology.named("v5e-16")
    step = plan.make_step(plan.make_request(config("qwen3-4b"), slice_), slice_)
    n, judge = 4_022_468_096, 30.5e9
    got = step.resident()
    assert got["parameters"] == pytest.approx(4 * n / 16, rel=0.01)
    assert got["optimiser"] == pytest.approx(8 * n / 16, rel=0.01)
    assert got["sampler"] == pytest.approx(2 * n / 4, rel=0.01)  # whole along the data axes
    assert got["reference"] == pytest.approx(2 * n / 16, rel=0.01)
    assert 2 * judge / 16 < got["judge"] < 2 * judge / 16 * 1.25  # experts cut over all chips
    tokens = 16 * (1024 + 8 * 64)
    assert got["kv"] == tokens * 36 * 8 * 128 * 2 * 2 / 16


def test_every_phase_compiles_here_and_is_kept_for_the_next_time(tmp_path):
    slice_ = topology.named("v5e-8")
    changes = {
        "mesh.tp": 2,
        "mesh.ep": 2,
        "model.remat": "none",
        "lengths": (128, 256, 512, 1024, 1536),
    }
    asked = plan.make_request(config(slice="v5e-8", **changes), slice_)
    asked = dataclasses.replace(asked, slice="", cache=str(tmp_path / "cache"))
    begun = []
    first = client.ask(asked, tmp_path / "log", begun.append, environment=EIGHT)
    mesh = meshes.make(meshes.MeshConfig(2, 2, 2))
    step = phases.Step(asked.work, mesh, attention="dense", steps=asked.steps)
    assert begun == [phase.name for phase in step.phases()] == list(first.compiled)
    for phase in step.phases():
        assert not first.compiled[phase.name].kept
    for name, packed in (("judge", asked.work.judged(4)), ("reference", asked.work.scored(4))):
        (phase,) = (phase for phase in step.phases() if phase.name == name)
        length = packed.rows[0].ids.shape[-1]
        states = logprobs.chunk_of(1, length) * phase.trips[0]
        done = flops.Size(length, length**2, states).times(4 * phase.calls)  # every slot and pair
        want = flops.forward(asked.work.policy, done).total / 8 / phase.calls
        got = first.compiled[name].cost.running(phase.trips)
        assert got.flops == pytest.approx(want, rel=0.02)
        assert phase.flops.total / 8 < got.flops
    phase, got = step.update(), first.compiled["update"].cost
    assert phase.flops.total / 8 < got.running(phase.trips).flops < 3 * phase.flops.total / 8
    assert got.running((0,)).flops < got.running(phase.trips).flops
    again = client.ask(asked, tmp_path / "log", begun.append, environment=EIGHT)
    assert all(one.kept for one in again.compiled.values())
    assert {n: c.cost for n, c in again.compiled.items()} == {
        n: c.cost for n, c in first.compiled.items()
    }


def test_what_goes_wrong_in_the_compiling_process_is_told(tmp_path):
    slice_ = topology.named("v5e-16")
    asked = plan.make_request(config(slice="v5e-16", **{"rollout.prompts": 16}), slice_)
    asked = dataclasses.replace(asked, slice="", cache=str(tmp_path))
    with pytest.raises(ValueError, match="mesh fsdp=16 .* but there are 8"):
        client.ask(asked, tmp_path / "log", lambda name: None, environment=EIGHT)


@pytest.mark.skipif(LIBTPU, reason="libtpu is installed")
def test_without_libtpu_the_command_says_what_to_install(root, tmp_path):
    done = run_main(root, tmp_path / "run", "--config=configs/plan.py:tiny")
    assert done.returncode == 2
    assert "pip install 'pa_jax[tpu]'" in done.stderr


@needs_libtpu
@pytest.mark.tpu
@pytest.mark.timeout(600)
def test_the_command_writes_table_report_and_chart(root, tmp_path):
    done = run_main(
        root,
        tmp_path / "run",
        "--config=configs/plan.py:tiny",
        "--config.slice=v5e-4",
        PA_JAX_CACHE=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "run" / "report.json").read_text())
    assert found["fits"]
    assert found["slice"] == "v5e-4"
    assert list(found["phases"]) == [
        "reshard", "rollout prefill", "rollout decode", "judge", "reference", "update",
    ]  # fmt: skip
    assert found["phases"]["update"]["load"]["flops"] > 0
    assert (tmp_path / "run" / "plan.png").stat().st_size > 10_000
    assert "fits v5e-4" in (tmp_path / "run" / "plan.txt").read_text()
