"""No activation of a step lies whole on all chips of the data axes: read from compiled programs."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from configs import plan as plan_config
from pa_jax.jobs import plan
from pa_jax.plan import client, topology
from tests import devices

PHASES = {"rollout prefill", "judge", "reference", "update"}  # evaluation is a rollout and a judge
EVALUATION = {"evaluation rollout prefill", "evaluation judge"}
CHIPS = sorted({one.chips for one in topology.SLICES.values()} - {1})  # one has no data axes


def child(root, module, *arguments, count=8, seconds=600):
    """What the module printed, a process with so many devices."""
    mine = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": devices.flags(count),
    }
    command = [sys.executable, "-m", f"tests.plan.{module}", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=root, env=os.environ | mine, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def arrays(root, *arguments):
    """Arrays by phase."""
    return child(root, "replicated", *arguments)


@pytest.mark.parametrize(
    "sizes",
    [(2, 2, 2), *(pytest.param(s, marks=pytest.mark.slow) for s in [(8, 1, 1), (4, 2, 1)])],
)
def test_rows_are_cut_over_the_data_axes_in_every_phase(root, sizes):
    found = arrays(root, *sizes)
    assert set(found) == PHASES
    assert {name: one["whole"] for name, one in found.items()} == dict.fromkeys(found, [])
    assert all(one["cut"] for one in found.values())


@pytest.mark.slow
def test_rows_that_are_whole_everywhere_would_be_seen(root):
    found = arrays(root, 4, 2, 1, "blind")
    assert all(one["whole"] for one in found.values())


def slow(*values):
    return pytest.param(*values, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])


@pytest.mark.parametrize(
    ("preset", "ep", "chips"),
    [
        ("tiny", 0, [8]),
        *(slow(preset, 0, CHIPS) for preset in plan_config.SLICES),
        slow("qwen3-4b", 1, CHIPS),  # as tpu/README.md has it on v5p
    ],
)
def test_no_activation_of_any_preset_on_any_slice_comes_together_over_a_data_axis(
    root, preset, ep, chips
):
    """Slices of as many chips have the same mesh, so the same program before the backend's part."""
    found = child(root, "crossing", preset, ep, *chips, count=max(chips), seconds=7000)
    mesh = plan_config.get_config(preset).mesh
    least = mesh.tp * (ep or mesh.ep)
    for number in chips:
        of = found[str(number)]
        if number % least:
            assert f"does not divide {number} devices" in of["refused"]
        else:
            assert of == dict.fromkeys(PHASES | EVALUATION, []), number


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_activations_that_came_together_would_be_seen(root):
    (of,) = child(root, "crossing", "tiny", 0, "blind", 8, seconds=800).values()
    for name in PHASES | EVALUATION:
        assert any(text.startswith("int32") for text in of[name]), name  # rows given whole
        assert "rollout" in name or any("all-gather over ['fsdp']" in text for text in of[name])


@pytest.mark.slow
@pytest.mark.tpu
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["v5e-16", "v5e-64", "v5p-64"])
def test_no_chip_of_a_slice_computes_anothers_rows(tmp_path, name):
    """Of the paper's pair: what a chip does is its share of what the step needs."""
    pytest.importorskip("libtpu", reason="no libtpu: pip install 'pa_jax[tpu]'")
    config = plan_config.get_config("qwen3-4b")
    config.slice = name
    config.rollout.prompts = {"v5p-64": 32}.get(name, 16)
    if name == "v5p-64":
        config.mesh.ep = 1
    slice_ = topology.named(name)
    asked = plan.make_request(config, slice_)
    asked = dataclasses.replace(
        asked, only=("judge", "reference", "update"), cache=str(tmp_path / "cache")
    )
    answer = client.ask(asked, tmp_path / "log", lambda name: None)
    step = plan.make_step(asked, slice_)
    for phase in step.phases():
        if phase.name in asked.only:
            spent = answer.compiled[phase.name].cost.running(phase.trips).flops
            spent += phase.kernel_flops / slice_.chips
            assert spent <= 1.6 * phase.flops.total / slice_.chips, phase.name
