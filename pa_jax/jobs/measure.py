"""What the `infer` job measures instead of inferring profiles.

That is the thresholds (calibrate), models and ways against each other (compare), changes of
preference (drift), or hundreds of turns a user (horizon).
"""

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import tqdm

from pa_jax import models
from pa_jax.agent import reply_prompt
from pa_jax.agent.inference import inferencer
from pa_jax.core import files
from pa_jax.evaluate.profiles import calibration, drift, full_history, horizon, match, talks
from pa_jax.infer import sampler
from pa_jax.jobs import inferring, policy, setup

WAYS = ("turns", "full_history")
SHOWN = ("precision", "recall", "f1", "junk", "stale", "retired_rightly", "in_slot")


def calibrate(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, agent: inferencer.Inferencer
) -> None:
    """Measures grounding, then placing, on config.calibrate statements of each kind."""
    episodes = setup.labelled(setup.open_episodes(config, workdir, config.split))
    seed, count, report = config.seed, config.calibrate, {}
    for name, made in (
        ("grounding", lambda: calibration.grounding(agent, episodes, count, seed=seed)),
        ("placing", lambda: calibration.place(agent.placer, count, seed=seed)),
    ):
        report[name] = made()
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    tqdm.tqdm.write(json.dumps(report, indent=2))


def compare(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, mesh: jax.sharding.Mesh | None
) -> None:
    """model.source and every one of config.runs, each in config.ways; table.md and report.json.

    Each has a folder of its own, and what is done there already is not done again.
    """
    unknown = set(config.ways) - set(WAYS)
    if unknown:
        raise ValueError(f"ways={tuple(config.ways)}: {sorted(unknown)} is none of {list(WAYS)}.")
    report: dict[str, Any] = {}
    for number, source in enumerate((config.model.source, *config.runs)):
        name = f"{number}-{pathlib.Path(source).name.replace(':', '-')}"
        model = policy.opened(config, source, mesh, key="runs" if number else "model.source")
        agent = inferring.opened(config, model, mesh)
        for way in config.ways:
            folder = workdir / f"{name}-{way}"
            folder.mkdir(exist_ok=True)
            if way == "turns":
                inferring.infer(config, folder, agent)
            else:
                read_at_once(config, folder, agent, model, mesh)
            found = json.loads((folder / "report.json").read_text())
            report[folder.name] = {"gold": found["gold"], **found["this_start"]}
            files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
            files.atomic_write(workdir / "table.md", table(report))
    tqdm.tqdm.write(table(report))


def table(report: dict[str, Any]) -> str:
    """A line a model and way, with 95 % intervals over users."""
    lines = ["| | " + " | ".join(SHOWN) + " |", "|---|" + "---|" * len(SHOWN)]
    for name, found in report.items():
        cells = [_cell(found["gold"][figure]) for figure in SHOWN]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, float | int | None]) -> str:
    if found["mean"] is None:
        return "none"
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}] of {found['n']}"


def read_at_once(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    agent: inferencer.Inferencer,
    model: models.LoadedModel,
    mesh: jax.sharding.Mesh | None,
) -> None:
    """The full-history baseline: lists.jsonl, a line a user, and report.json."""
    began = setup.utc_now()
    people, _, _ = inferring.read(config, workdir)
    cfg = config.full_history
    reader = full_history.FullHistory(
        agent,
        sampler.Sampler(model, mesh=mesh, rows=cfg.rows),
        prompt_tokens=cfg.prompt_tokens,
        max_new_tokens=cfg.max_new_tokens,
    )
    path = workdir / "lists.jsonl"
    if path.exists():
        files.truncate_rows(path, lambda row: True)
    done = {row["user"]: row["text"] for row in files.read_rows(path)} if path.exists() else {}
    left = [talk for talk in people if talk.user not in done]
    for start in tqdm.trange(0, len(left), cfg.rows, unit="batch"):
        chosen = left[start : start + cfg.rows]
        rows = dict(zip([talk.user for talk in chosen], reader.texts(chosen), strict=True))
        lines = [json.dumps({"user": user, "text": text}) for user, text in rows.items()]
        files.append_lines(path, lines, durable=True)
        done |= rows
    held = reader.profiles(people, [done[talk.user] for talk in people])
    gold = [match.gold_of(talk.turns) for talk in people]
    matches = [
        match.compare(facts, wanted)
        for facts, wanted in zip(held, gold, strict=True)
        if wanted is not None
    ]
    seconds = (setup.utc_now() - began).total_seconds()
    report = {
        "gold": match.summary(matches) if matches else None,
        "users": len(people),
        "this_start": {"users": len(left), "seconds": round(seconds, 1)},
    }
    files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")


def measure(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, agent: inferencer.Inferencer
) -> None:
    """Drift over config.drift changes, then lengths at the turns of config.horizon."""
    report: dict[str, Any] = {}
    people, _, _ = inferring.read(config, workdir)
    if config.drift:
        report["drift"] = drift.measure(agent, people, changes=config.drift, users=config.users)
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    if config.horizon:
        report["horizon"] = _long(config, agent, people)
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    tqdm.tqdm.write(json.dumps(report, indent=2))


def _long(
    config: ml_collections.ConfigDict,
    agent: inferencer.Inferencer,
    people: Sequence[talks.Talk],
) -> dict[str, Any]:
    cfg = setup.section(reply_prompt.ReplyConfig, config.reply)
    reply = reply_prompt.Responder(agent.words, cfg)
    at = functools.partial(
        horizon.measure, agent, reply, people, users=config.users, at=tuple(config.horizon)
    )
    made = {"gold": at(walk=talks.by_gold)}
    if config.snippets == "policy":
        made["policy"] = at(walk=talks.by_policy)
    return made
