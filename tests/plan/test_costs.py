"""The table of seconds, bytes and dollars: by hand, from plans whose figures are given."""

import dataclasses
import json
import re

import ml_collections
import pytest

from configs import plan as plan_config
from pa_jax.jobs import plan, setup
from pa_jax.plan import costs, figures, report, roofline, topology

CASE = (256, 32, 3)


def settings(prices=None):
    config = plan_config.get_config("qwen3-4b")
    if prices:
        config.costs.prices = ml_collections.ConfigDict(prices)
    return config, setup.section(costs.CostsConfig, config.costs)


def row(name, calls, **load):
    of = roofline.Load(**{"flops": 0.0, "hbm_bytes": 0.0, "ici_bytes": 0.0} | load)
    return figures.Row(name, calls, 1, of, 0.0, {}, 0.0, 0.0, 0.0, 0.0, False)


def made(name="v5e-16", prompts=48):
    """0.5 s of arithmetic in the update, 1 s of memory in 31 decode steps."""
    slice_ = topology.named(name)
    rows = [
        row(figures.DECODE, 31, hbm_bytes=slice_.chip.hbm_rate / 31),
        row("update", 1, flops=slice_.chip.flop_rate / 2),
    ]
    memory = figures.Memory({"parameters": 8e9}, 1e9, 3e9, "update")
    return report.Plan(
        "qwen3-4b", slice_, {"fsdp": 1, "tp": 4, "ep": 4}, rows, memory, None, 15e9, 0.5, prompts,
        1, 1, {}, (), (), (),
    )  # fmt: skip


def cells(text):
    head, _, *lines = [line for line in text.splitlines() if line.startswith("|")]
    names = [cell.strip() for cell in head.strip("|").split("|")]
    return [
        dict(zip(names, map(str.strip, line.strip("|").split("|")), strict=True)) for line in lines
    ]


def test_a_line_says_what_a_thousand_prompts_cost():
    _, cfg = settings(prices={"v5e": 1.5})
    text = costs.table([(made(), CASE)], cfg)
    (line,) = cells(text)
    assert line["rollout decode ms"] == "1,000 hbm" and line["update ms"] == "500 flops"
    assert "judge ms" not in line and line["bound by"] == "hbm 67%"
    assert (line["step s"], line["prompts/s"], line["expected"]) == ("1.50", "32", "16")
    assert line["peak GB"] == "12.0 of 15.0" and line["fits"] == "yes"
    assert line["$ an hour"] == "24.00"  # sixteen chips
    assert (line["prompts a chip"], line["prompts a step"]) == ("3", "48")
    assert line["$ a 1,000 prompts"] == f"{24 / 3600 * 1000 / 16:.2f}" == "0.42"
    assert "v5e 1.50" in text and cfg.read in text


def test_the_work_follows_the_case_and_the_chip():
    config, cfg = settings()
    small = costs.on(config, cfg, "v5e-64", CASE)
    large = costs.on(config, cfg, "v5p-512", (1024, 64, 1))
    for one, mesh in ((small, (4, 4, 4)), (large, (64, 4, 1))):
        asked = plan.make_request(one, topology.named(one.slice))
        assert dataclasses.astuple(asked.mesh) == mesh
    assert small.rollout.prompts == 192 and large.rollout.prompts == 256  # of v5p-512: chips
    assert (small.tokens.prompt, small.tokens.completion, small.tokens.judge) == (256, 32, 320)
    assert config.tokens.prompt == 1024 and config.slice == "v5e-16"


def test_a_line_of_which_a_phase_is_too_large_has_no_seconds():
    _, cfg = settings()
    over = dataclasses.replace(made(), too_large=("rollout prefill: 20 GB",))
    (line,) = cells(costs.table([(over, CASE)], cfg))
    assert line["fits"] == "no" and line["$ an hour"] == "19.20"
    assert {line[name] for name in ("step s", "prompts/s", "$ a 1,000 prompts")} == {"-"}


def test_every_chip_with_cases_has_prices_of_a_day():
    _, cfg = settings()
    assert cfg.cases.keys() == cfg.ep.keys() >= cfg.prices.keys()
    assert re.search(r"\d{1,2} [A-Z][a-z]+ 20\d\d", cfg.read)
    cfg = dataclasses.replace(cfg, cases={"v5e": cfg.cases["v5e"]})
    with pytest.raises(ValueError, match=r"costs.cases has v5e, not v6e, of v6e-8"):
        cfg.lines(topology.named("v6e-8"))


def test_a_chip_without_a_price_has_a_line_without_dollars():
    _, cfg = settings(prices={"v5e": 1.5})
    known, other = (made(), CASE), (made("v6e-16"), CASE)
    text = costs.table([known, other], cfg)
    priced, line = cells(text)
    assert priced["$ an hour"] == "24.00" and line["prompts/s"] == "32"
    assert line["$ an hour"] == line["$ a 1,000 prompts"] == "-"
    assert "v5e 1.50" in text and "Of v6e no price is known here" in text
    assert "Dollars a chip" not in costs.table([other], cfg)


def test_experts_that_no_chip_holds_are_a_line_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(plan.client, "check_libtpu", lambda: None)  # nothing is compiled
    config, _ = settings()
    config.model.source = "hf:Qwen/Qwen3-30B-A3B-Instruct-2507"
    config.costs.slices, config.costs.compile = ("v5e-16",), True
    config.costs.cases = {"v5e": (CASE,)}
    config.data.source = "messages"  # nothing is read, so no path is asked for
    plan.run(config, tmp_path)
    (line,) = cells((tmp_path / "costs.md").read_text())
    assert (line["fits"], line["step s"]) == ("no", "-")
    (report_,) = json.loads((tmp_path / "report.json").read_text())
    assert "GB a chip stay resident" in report_["too_large"][0]
    assert report_["trained_tokens_per_second"] == 0.0
