"""Compile a step's phases for a TPU slice and say whether it fits, and what bounds it."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import ml_collections
import tqdm
from absl import logging
from jax.sharding import AbstractMesh

from pa_jax.core import files
from pa_jax.core import mesh as meshes
from pa_jax.jobs import setup
from pa_jax.models import lora
from pa_jax.models.io import source
from pa_jax.plan import (
    advice,
    client,
    costs,
    estimate,
    figures,
    phases,
    report,
    request,
    scaling,
    search,
    shapes,
    topology,
    work,
)
from pa_jax.rl import learner, loss
from pa_jax.train import loop, optimizer


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `plan` job: table on the terminal, plan.txt, report.json and plan.png in the folder."""
    if config.scaling:
        scale(config, workdir)
        return
    if config.costs.slices:
        priced(config, workdir)
        return
    slice_ = topology.named(config.slice)
    asked = make_request(config, slice_)
    budget = config.hbm_share * slice_.chip.hbm_bytes
    if config.search:
        found = searched(config, slice_, asked, budget)
    else:
        found = [asked]
        check_resident(make_step(asked, slice_), budget, asked.mesh, slice_)
    client.check_libtpu()
    setup.open_workdir(config, workdir)
    enough = config.search_over.compile if config.search else 1
    plans = []
    for one in found:
        plans.append(planned(config, slice_, one, make_step(one, slice_), workdir))
        if len(plans) >= enough and any(plan.fits for plan in plans):
            break
    plan = max(plans, key=lambda plan: (plan.fits, plan.rate(plan.trained_tokens)))
    text = "\n\n".join(report.table(one) for one in plans)
    if config.search:
        text += f"\n\n{proposal(plan, found[plans.index(plan)])}"
    files.atomic_write(workdir / "plan.txt", text + "\n")
    files.atomic_write(workdir / "report.json", json.dumps(report.as_json(plan), indent=2) + "\n")
    report.chart(plan, workdir / "plan.png")
    tqdm.tqdm.write(text)
    tqdm.tqdm.write(f"Wrote {workdir}/plan.txt, report.json, plan.png.")


def scale(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The config's slice and those of config.scaling, with constant rows a chip: one table.

    What does not fit is in the table all the same: its peak says by how much.
    """
    configs = [config, *(scaling.on(config, name) for name in config.scaling)]
    slices = [topology.named(one.slice) for one in configs]
    wanted = [make_request(one, slice_) for one, slice_ in zip(configs, slices, strict=True)]
    client.check_libtpu()
    setup.open_workdir(config, workdir)
    plans = [
        planned(one, slice_, asked, make_step(asked, slice_), workdir)
        for one, slice_, asked in zip(configs, slices, wanted, strict=True)
    ]
    text = scaling.table(plans)
    files.atomic_write(workdir / "scaling.md", text + "\n")
    reports = {plan.slice.name: report.as_json(plan) for plan in plans}
    files.atomic_write(workdir / "report.json", json.dumps(reports, indent=2) + "\n")
    tqdm.tqdm.write(text)
    tqdm.tqdm.write(f"Wrote {workdir}/scaling.md, report.json.")


def priced(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """Every slice and case of config.costs: one table, written anew behind each of its lines.

    Estimated, or with `costs.compile` compiled but for what no chip could hold. What is compiled is
    kept: a run that was broken off goes on with the line it was at.
    """
    cfg = setup.section(costs.CostsConfig, config.costs)
    wanted = []
    for name in cfg.slices:
        slice_ = topology.named(name)
        for case in cfg.lines(slice_):
            one = costs.on(config, cfg, name, case)
            wanted.append((one, slice_, make_request(one, slice_), case))
    if cfg.compile:
        client.check_libtpu()
    setup.open_workdir(config, workdir)
    lines = []
    for one, slice_, asked, case in wanted:
        step = make_step(asked, slice_)
        resident, budget = step.resident(), one.hbm_share * slice_.chip.hbm_bytes
        if cfg.compile and sum(resident.values()) <= budget:
            plan = planned(one, slice_, asked, step, workdir)
        elif cfg.compile and asked.work.policy.experts:  # not compiled and not estimated
            over = f"{sum(resident.values()) / 1e9:.1f} GB a chip stay resident"
            found = Planned((), figures.Memory(resident, 0.0, 0.0, "none"), (over,))
            plan = summed(one, slice_, asked, step, found)
        else:
            found = Planned(estimate.rows(step), estimate.memory(step))
            plan = summed(one, slice_, asked, step, found)
        lines.append((plan, case))
        files.atomic_write(workdir / "costs.md", costs.table(lines, cfg) + "\n")
    reports = [report.as_json(plan) | {"case": list(case)} for plan, case in lines]
    files.atomic_write(workdir / "report.json", json.dumps(reports, indent=2) + "\n")
    tqdm.tqdm.write(costs.table(lines, cfg))
    tqdm.tqdm.write(f"Wrote {workdir}/costs.md, report.json.")


def make_work(config: ml_collections.ConfigDict) -> work.StepWork:
    """The shapes of a step of this GRPO config."""
    rollout = setup.section(learner.RolloutConfig, config.rollout)
    if config.judge.kind not in ("likelihood", "verbal"):
        raise ValueError(
            f"judge.kind={config.judge.kind!r} runs no model; plan for 'likelihood' or 'verbal'."
        )
    return work.StepWork(
        policy=shapes.of(config.model.source),
        adapters=setup.section(lora.LoraConfig, config.model.lora)
        if config.model.lora.rank
        else None,
        stored=config.model.dtype,
        int8=config.model.int8,
        judge_int8=config.judge.int8,
        judge=shapes.of(config.judge.source) if config.judge.source else None,
        judge_kind=config.judge.kind,
        prompts=rollout.prompts,
        group=rollout.group,
        tokens=setup.section(work.Tokens, config.tokens),
        lengths=tuple(config.lengths),
        compute=config.model.compute,
        remat=config.model.remat,
        loss=setup.section(loss.LossConfig, config.loss),
        optim=setup.section(optimizer.OptimConfig, config.optim),
    )


def make_request(config: ml_collections.ConfigDict, slice_: topology.Slice) -> request.PlanRequest:
    """What to compile; ValueError where the mesh does not divide or the model cannot fit."""
    mesh = setup.section(meshes.MeshConfig, config.mesh)
    sizes = meshes.sizes(mesh, slice_.chips)
    rows = {"prompts": config.rollout.prompts}
    setup.check_rows(dict(zip(meshes.AXES, sizes, strict=True)), rows)
    return request.PlanRequest(
        slice=slice_.name,
        mesh=meshes.MeshConfig(*sizes),
        work=make_work(config),
        steps=setup.section(loop.LoopConfig, config.train).steps,
        only=tuple(config.phases),
        cache=str(source.cache_dir() / "plan"),
    )


def searched(
    config: ml_collections.ConfigDict,
    slice_: topology.Slice,
    asked: request.PlanRequest,
    budget: float,
) -> list[request.PlanRequest]:
    """What to compile, the most promising first; ValueError where nothing should fit.

    The config as it stands is the second: whatever is proposed is no slower than that.
    """
    cfg = setup.section(search.SearchConfig, config.search_over)
    found = search.candidates(asked.work, slice_, cfg, budget)
    if not found:
        raise ValueError(
            f"search: no mesh, batch and row length of {config.name} should fit {slice_.name} in "
            f"{budget / 1e9:.2f} GB a chip; take a larger --config.slice, the preset "
            "qwen3-4b-lora, or more values in --config.search_over."
        )
    logging.info("search: %d candidates should fit, compiling %d", len(found), cfg.compile)
    best = [
        dataclasses.replace(asked, mesh=one.mesh, work=one.work)
        for one in search.spread(found)[: search.TRIES * cfg.compile]
    ]
    fits = sum(make_step(asked, slice_).resident().values()) <= budget
    return [*best[:1], *([asked] if fits and asked not in best[:1] else []), *best[1:]]


def proposal(plan: report.Plan, asked: request.PlanRequest) -> str:
    """Flags of the fastest candidate that fits, by the phases that were compiled."""
    if not plan.fits:
        return f"None of the compiled candidates fits {plan.slice.name}."
    of, mesh = asked.work, asked.mesh
    return (
        f"Fastest that fits {plan.slice.name}: --config.mesh.fsdp={mesh.fsdp} --config.mesh.tp="
        f"{mesh.tp} --config.mesh.ep={mesh.ep} --config.rollout.prompts={of.prompts} "
        f'"--config.lengths={of.lengths}", prompts of {of.tokens.prompt} tokens: '
        f"{plan.trained_tokens / plan.expected:,.0f} trained tokens/s."
    )


def make_step(asked: request.PlanRequest, slice_: topology.Slice) -> phases.Step:
    """The step's shapes on the slice's mesh, without its devices."""
    mesh = AbstractMesh(meshes.sizes(asked.mesh, slice_.chips), meshes.AXES)
    return phases.Step(asked.work, mesh, attention=phases.KERNEL, steps=asked.steps)


def planned(
    config: ml_collections.ConfigDict,
    slice_: topology.Slice,
    asked: request.PlanRequest,
    step: phases.Step,
    workdir: pathlib.Path,
) -> report.Plan:
    """The request compiled and summed up."""
    names = [phase.name for phase in step.phases() if not asked.only or phase.name in asked.only]
    if not names:
        allowed = [phase.name for phase in step.phases()]
        raise ValueError(f"phases={asked.only}: choose among {allowed}, or () for all.")
    with tqdm.tqdm(total=len(names), unit="phase") as bar:

        def started(name: str) -> None:
            bar.n = names.index(name)
            bar.set_description(f"compiling {name} for {slice_.name}")

        answer = client.ask(asked, workdir / "compile.log", started)
        bar.n = len(names)
        bar.set_description(f"compiled for {slice_.name}")
    logging.info("compiled %d programs, %s", len(answer.compiled), workdir / "compile.log")
    rows = figures.rows(step, answer.compiled, slice_.chips)
    memory = figures.memory(step, answer.compiled, rows)
    return summed(config, slice_, asked, step, Planned(rows, memory, answer.too_large))


@dataclasses.dataclass(frozen=True)
class Planned:
    """Phases and bytes, compiled or estimated, and messages of phases that no chip can hold."""

    rows: Sequence[figures.Row]
    memory: figures.Memory
    too_large: Sequence[str] = ()


def summed(
    config: ml_collections.ConfigDict,
    slice_: topology.Slice,
    asked: request.PlanRequest,
    step: phases.Step,
    found: Planned,
) -> report.Plan:
    """The plan that follows."""
    budget = config.hbm_share * slice_.chip.hbm_bytes
    rows, memory = found.rows, found.memory
    tried = {row.name for row in rows} | {text.partition(":")[0] for text in found.too_large}
    of, shards = asked.work, step.shards
    packed = {"judge": of.judged(shards), "update": of.scored(shards)}
    return report.Plan(
        name=config.name,
        slice=slice_,
        mesh=dict(step.mesh.shape),
        rows=rows,
        memory=memory,
        decode=figures.decode(step, rows),
        budget=budget,
        efficiency=config.efficiency,
        prompts=of.prompts,
        new_tokens=of.prompts * of.group * of.tokens.completion,
        trained_tokens=shards * packed["update"].tokens,
        fill={name: one.tokens / one.slots for name, one in packed.items()},
        too_large=found.too_large,
        advice=advised(memory, budget, asked),
        left_out=[phase.name for phase in step.phases() if phase.name not in tried],
    )


def check_resident(
    step: phases.Step, budget: float, mesh: meshes.MeshConfig, slice_: topology.Slice
) -> None:
    """ValueError where what stays on a chip is more than it may hold, before any compile."""
    resident = step.resident()
    over = sum(resident.values()) - budget
    if over <= 0:
        return
    sizes = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in resident.items())
    knobs = "; ".join(advice.knobs(resident, over, mesh, _numbers(step.work)))
    raise ValueError(
        f"cannot fit {slice_.name}: {sum(resident.values()) / 1e9:.2f} GB a chip stay resident "
        f"({sizes}), allowed are {budget / 1e9:.2f}. Turn: {knobs}."
    )


def advised(memory: figures.Memory, budget: float, asked: request.PlanRequest) -> list[str]:
    """Knobs to turn, none where it fits."""
    over = memory.peak - budget
    if over <= 0:
        return []
    names = {"judge": "judge phase", "reference": "reference phase"}
    phase = names.get(memory.largest, memory.largest)
    sizes = {**memory.resident, phase: memory.temporaries}
    return advice.knobs(sizes, over, asked.mesh, _numbers(asked.work))


def _numbers(of: work.StepWork) -> dict[str, int]:
    return {"prompts": of.prompts}
