"""Estimates from shapes against what libtpu's compiler found, as tpu/README.md has it."""

import re

import pytest

from configs import plan as plan_config
from pa_jax.jobs import plan
from pa_jax.models import flops
from pa_jax.plan import estimate, figures, scaling, topology


def compiled(root):
    """The lines of tpu/README.md's table of larger slices, by slice."""
    text = (root / "tpu" / "README.md").read_text()
    rows = re.findall(r"^\| (v5\w-\d+) \| (\d+ \| .*) \|$", text.partition("## Seconds")[0], re.M)
    names = ("chips", "mesh", "prompts", "resident", "peak", "", "sent", "", "share", "seconds")
    return {
        name: dict(zip(names, map(str.strip, line.split("|")), strict=False)) for name, line in rows
    }


def estimated(name, **changes):
    config = plan_config.get_config("qwen3-4b")
    config.update_from_flattened_dict(changes)
    if config.slice != name:
        config = scaling.on(config, name)
    slice_ = topology.named(name)
    asked = plan.make_request(config, slice_)
    step = plan.make_step(asked, slice_)
    found = plan.Planned(estimate.rows(step), estimate.memory(step))
    return step, plan.summed(config, slice_, asked, step, found)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("v5e-16", {}),
        ("v5e-64", {}),
        ("v5p-8", {"slice": "v5p-8", "mesh.ep": 1}),
        ("v5p-64", {"slice": "v5p-8", "mesh.ep": 1}),
    ],
)
def test_an_estimate_is_near_what_the_compiler_found(root, name, changes):
    """Bytes over the links within a sixth; seconds are a floor of the compiled floor."""
    want = compiled(root)[name]
    _, found = estimated(name, **changes)
    assert "x".join(want["mesh"].split(" x ")) == "x".join(map(str, found.mesh.values()))
    assert sum(found.memory.resident.values()) == pytest.approx(
        float(want["resident"]) * 1e9, rel=0.001
    )
    sent = sum(row.load.ici_bytes * row.calls for row in found.rows)
    assert sent == pytest.approx(float(want["sent"]) * 1e9, rel=1 / 6)
    assert 0.7 <= found.expected / float(want["seconds"]) <= 1.0
    assert found.fits and not found.left_out


def test_one_chip_sends_nothing_and_reads_its_weights(tmp_path):
    step, found = estimated("v5e-1", slice="v5e-1", **{"mesh.tp": 1, "mesh.ep": 1})
    rows = {row.name: row for row in found.rows}
    assert all(row.load.ici_bytes == 0 for row in rows.values())
    decode, held = rows[figures.DECODE], step.resident()
    assert decode.load.hbm_bytes > held["sampler"] + held["kv"]
    # 128 branches' logits are 0.2 GB and their states 1.1 GB, beside 11.7 GB of weights and KV.
    assert decode.load.hbm_bytes < 1.2 * (held["sampler"] + held["kv"])
    n = flops.parameters(step.work.policy)
    assert rows["update"].load.hbm_bytes > 28 * n  # Adam alone
    assert rows["update"].load.flops >= rows["update"].model_flops


def test_a_policy_with_experts_is_not_estimated():
    config = plan_config.get_config("qwen3-4b")
    config.model.source = config.judge.source
    slice_ = topology.named("v5e-64")
    config.slice, config.rollout.prompts = slice_.name, 64
    step = plan.make_step(plan.make_request(config, slice_), slice_)
    with pytest.raises(ValueError, match=r"policy with experts .*costs.compile=True"):
        estimate.rows(step)
