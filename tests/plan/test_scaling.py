"""Weak scaling: rows grow with the chips, and the table compares each slice with the first."""

import dataclasses

import pytest

from configs import plan as plan_config
from pa_jax.jobs import plan
from pa_jax.plan import compiling, cost, figures, report, scaling, topology


def test_rows_grow_with_the_chips_and_what_does_not_divide_is_refused():
    config = plan_config.get_config("qwen3-4b")
    larger = scaling.on(config, "v5e-64")
    assert larger.rollout.prompts == 64
    asked = plan.make_request(larger, topology.named("v5e-64"))
    assert (asked.mesh.fsdp, asked.mesh.tp, asked.mesh.ep) == (4, 4, 4)
    assert config.rollout.prompts == 16 and config.slice == "v5e-16"
    config.rollout.prompts = 24
    with pytest.raises(ValueError, match=r"prompts=24 on 16 chips is 1.5 on the 1 of v5e-1"):
        scaling.on(config, "v5e-1")


def made(name: str, sent: float) -> report.Plan:
    """A plan of one phase that sends so many bytes a call, on a slice of that name."""
    config = plan_config.get_config("qwen3-4b")
    slice_ = topology.named(name)
    asked = plan.make_request(scaling.on(config, name), slice_)
    step = plan.make_step(asked, slice_)
    phase = step.judged()
    times = {"lower_seconds": 0.0, "compile_seconds": 0.0, "cpu_seconds": 0.0, "load": 0.0}
    sizes = dict.fromkeys(("arguments", "outputs", "aliased", "temporaries", "code"), 0)
    spent = cost.Cost(0.0, 0.0, {"all-gather": sent}, {}, ())
    one = compiling.Compiled(phase.name, cost=spent, kept=True, **times, **sizes)
    rows = figures.rows(step, {phase.name: one}, slice_.chips)
    rows = [dataclasses.replace(rows[0], calls=4)]
    memory = figures.Memory({"judge": 8e9}, 0.0, 2e9, phase.name)
    return report.Plan(
        name, slice_, dict(step.mesh.shape), rows, memory, None, 15e9, 0.5, 16, 1, 1, {}, (), (), ()
    )


def test_the_table_has_bytes_and_ratios_to_the_first():
    small, large = made("v5e-16", 1e9), made("v5e-64", 1.5e9)
    head, _, one, two = scaling.table([small, large]).splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")]
    cells = [
        dict(zip(names, map(str.strip, row.strip("|").split("|")), strict=True))
        for row in (one, two)
    ]
    assert [row["ICI GB a step"] for row in cells] == ["4.00", "6.00"]
    assert [row["peak GB"] for row in cells] == ["10.00", "10.00"]
    assert cells[1]["mesh fsdp x tp x ep"] == "4 x 4 x 4" and cells[0]["chips"] == "16"
    assert "1.50x" in two and "| 1.00x | 6.00" in two


def test_a_verdict_on_some_phases_is_partial():
    whole = made("v5e-16", 1e9)
    some = dataclasses.replace(whole, left_out=("update", "rollout"))
    assert "fits v5e-16" in report.table(whole) and "PARTIAL" not in report.table(whole)
    text = report.table(some)
    assert "PARTIAL: update, rollout not compiled" in text
    assert ": fits" not in text and "what was compiled fits" in text
    over = dataclasses.replace(some, budget=1e9)
    assert "does NOT fit" in report.table(over)
    assert report.as_json(some)["left_out"] == ["update", "rollout"]
