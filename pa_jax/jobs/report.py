"""Closing figures of a training job: report.json, plots, a table of texts, and report.html."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
import tqdm
from absl import logging

from pa_jax.core import files
from pa_jax.dialogue import prompts, schema
from pa_jax.evaluate import heldout
from pa_jax.evaluate.reports import plots, run_page, run_verdict
from pa_jax.jobs import setup, tasks
from pa_jax.rl import advantage
from pa_jax.train import loop

SHOWN = 5  # rows of the table of held-out texts


@dataclasses.dataclass(frozen=True)
class Best:
    """The best checkpoint: by which figure, of which step, its value on the part of the held-out.

    `records` of all held-out episodes; None where it is the last step.
    """

    figure: str
    step: int
    value: float
    records: Sequence[heldout.Record] | None


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `report` job: report.html of config.run anew, from its files alone; no folder is made."""
    if not config.run:
        raise ValueError("config.run is empty; give --config.run=DIR, a training work directory.")
    tqdm.tqdm.write(f"Wrote {write_page(pathlib.Path(config.run))}.")


def kept(
    workdir: pathlib.Path, name: str, make: Callable[[], list[heldout.Record]]
) -> list[heldout.Record]:
    """The records of heldout-NAME.json, made and written first where the file is not there."""
    path = workdir / f"heldout-{name}.json"
    if path.exists():
        return records(path)
    logging.info("evaluating on held-out episodes (%s)", name)
    made = make()
    rows = [dataclasses.asdict(record) for record in made]
    if jax.process_index() == 0:
        files.atomic_write(path, json.dumps(rows, indent=1))
    f1 = heldout.summary(made)["token_f1"]
    logging.info("held-out %s: token-F1 with gold %s over %d episodes", name, f1, f1.n)
    return made


def records(path: pathlib.Path) -> list[heldout.Record]:
    """The records of a heldout-*.json; none where the file is not there."""
    rows = json.loads(path.read_text()) if path.exists() else []
    try:
        return [heldout.Record(**{**row, "scores": tuple(row["scores"])}) for row in rows]
    except TypeError as error:
        raise ValueError(
            f"{path}: {error}: another version of pa_jax wrote it; remove it to evaluate again, or "
            "read it with that version."
        ) from error


def closing(workdir: pathlib.Path) -> pathlib.Path:
    """heldout-after-N.json of the largest N; one that is not there before there is any."""
    found = {int(p.stem.rpartition("-")[2]): p for p in workdir.glob("heldout-after-*.json")}
    return found[max(found)] if found else workdir / "heldout-after-0.json"


def write(
    workdir: pathlib.Path,
    before: Sequence[heldout.Record],
    after: Sequence[heldout.Record],
    best: Best | None,
    *,
    skipped: int,
    seconds: float,
) -> None:
    """report.json, report.html and plots from process 0; tells what changed."""
    if jax.process_index() != 0:
        return
    one, two = heldout.summary(before), heldout.summary(after)
    rows, evaluations = _rows(workdir / "metrics.jsonl"), _rows(workdir / "evaluations.jsonl")
    figures = {
        "before": {k: dataclasses.asdict(v) for k, v in one.items()},
        "after": {k: dataclasses.asdict(v) for k, v in two.items()},
        "rises": {k: two[k].low > one[k].high for k in one if k in two},
        "best": _best(best),
        "steps": len(rows),
        "seconds_this_start": round(seconds, 1),
        "peak_rss_gb": loop.peak_rss_gb(),
        "compiles": rows[-1]["process/compiles"] if rows else 0,
        "skipped_prompts": skipped,
        "skipped_updates": int(sum(row["skipped"] for row in rows)),
        "judge_failures": int(sum(row.get("judge/failed", 0) for row in rows)),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
    }
    files.atomic_write(workdir / "report.json", json.dumps(figures, indent=2) + "\n")
    plots.save(plots.training(rows, evaluations), workdir / "training.png")
    plots.save(plots.before_after(one, two), workdir / "heldout.png")
    page = write_page(workdir)
    written = tasks.of(setup.read_json(workdir / "config.json")).written
    tqdm.tqdm.write(table(before, after, written))
    changes = run_verdict.changes(before, after)
    width = max(map(len, changes))
    for name, change in changes.items():
        tqdm.tqdm.write(f"{name:{width}} {change.before!s:24} -> {change.after!s:24} {change.word}")
    if best is not None:
        tqdm.tqdm.write(
            f"Best {best.figure}, {best.value:.3f} on the part that is evaluated while it trains: "
            f"step {best.step} of {len(rows)}. It is what export, chat, serve, infer and eval open "
            "(--config.checkpoint=newest: the last)."
        )
    tqdm.tqdm.write(
        f"Done in {seconds / 60:.1f} min: {page}, report.json, training.png, heldout.png, "
        f"checkpoints/. Next: python -m pa_jax.main --config=export --config.run={workdir}"
    )


def _best(best: Best | None) -> dict[str, Any] | None:
    """As report.json has it."""
    if best is None:
        return None
    whole = None if best.records is None else heldout.summary(best.records)
    held = None if whole is None else {k: dataclasses.asdict(v) for k, v in whole.items()}
    return {"figure": best.figure, "step": best.step, "part": best.value, "heldout": held}


def write_page(workdir: pathlib.Path) -> pathlib.Path:
    """report.html of a training work directory; what is not there yet is left out."""
    path = workdir / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; give the work directory of a grpo or sft run."
        )
    config = setup.read_json(path)
    if config.get("job") not in ("grpo", "sft"):
        raise ValueError(f"{workdir} holds a {config.get('job')!r} run, not one of grpo or sft.")
    task = tasks.of(config)
    made, rows = workdir / "report.html", _rows(workdir / "metrics.jsonl")
    report = workdir / "report.json"
    figures = setup.read_json(report) if report.exists() else {}
    groups = config["rollout"]["prompts"] if "rollout" in config else 0
    best = figures.get("best")
    counted = run_page.counts(rows, groups) | {
        "prompts skipped (longer than the largest bucket)": figures.get("skipped_prompts", "-"),
    }
    for one in sorted(workdir.glob("quarantine-*.jsonl")):
        counted[f"data items set aside ({one.name})"] = len(one.read_text().splitlines())
    page = run_page.Run(
        title=f"{config['job']} run {workdir.resolve().name}",
        about=_about(config, figures, rows),
        written=task.written,
        measured=task.measured,
        config=setup.flat(config),
        rows=rows,
        evaluations=_rows(workdir / "evaluations.jsonl"),
        before=records(workdir / "heldout-before.json"),
        after=records(closing(workdir)),
        best=records(workdir / f"heldout-best-{best['step']}.json") if best else [],
        trees=[
            _tree(row, config, task)
            for row in run_page.spread(_rows(workdir / "samples.jsonl"), run_page.TREES)
        ],
        counted=counted,
    )
    files.atomic_write(made, run_page.render(page))
    return made


def _rows(path: pathlib.Path) -> list[dict[str, Any]]:
    return list(files.read_rows(path)) if path.exists() else []


def _about(
    config: dict[str, Any], figures: dict[str, Any], rows: Sequence[dict[str, Any]]
) -> dict[str, object]:
    """What a reader wants to know first."""
    seconds = sum(row["seconds/step"] for row in rows)
    judge = {"judge": config["judge"]["kind"]} if "judge" in config else {}
    total = config.get("warm", {}).get("steps", 0) + config["train"]["steps"]
    best = figures.get("best")
    kept = {"best": f"step {best['step']} by {best['figure']}"} if best else {}
    return {
        "model": config["model"]["source"],
        "data": config["data"]["source"],
        **judge,
        "steps": f"{len(rows)} of {total}",
        **kept,
        "seconds in steps": f"{seconds:.0f}",
        "peak memory, GB": f"{max((row['process/peak_rss_gb'] for row in rows), default=0):.1f}",
        "programs compiled": max((row["process/compiles"] for row in rows), default=0),
        "device": figures.get("device", "-"),
        "jax": figures.get("jax", "-"),
    }


def _tree(row: dict[str, Any], config: dict[str, Any], task: tasks.Task) -> run_page.Tree:
    """A row of samples.jsonl, with its reward and its prompt made again as training made them."""
    lists = ("profile", "options", "worth")
    values = {k: tuple(v) if k in lists else v for k, v in row["episode"].items()}
    episode = schema.Episode(**dict[str, Any](values))
    cfg = setup.section(advantage.RewardConfig, ml_collections.ConfigDict(config["reward"]))
    limits = setup.section(prompts.PromptConfig, ml_collections.ConfigDict(config["prompt"]))
    failed = row.get("failed", [False] * len(row["finished"]))
    scores, out, finished = (np.array([of]) for of in (row["scores"], failed, row["finished"]))
    reward = advantage.advantages(scores, out, finished, cfg).reward[0]
    return run_page.Tree(
        step=row["step"],
        episode=episode,
        about=tuple(task.about(episode)),
        asked=task.prompt(episode, limits),
        branches=tuple(
            run_page.Branch(
                text=text,
                scores=dict(zip(cfg.names or task.criteria, row["scores"][i], strict=False)),
                reward=float(reward[i]),
                advantage=row["advantages"][i],
                finished=row["finished"][i],
                failed=failed[i],
            )
            for i, text in enumerate(row["texts"])
        ),
    )


def table(
    before: Sequence[heldout.Record], after: Sequence[heldout.Record], written: str = "snippets"
) -> str:
    """Some held-out turns with gold and what was written before and after training."""
    lines = ["", f"Held-out {written}, before and after:"]
    for one, two in list(zip(before, after, strict=True))[:SHOWN]:
        lines += [
            f"  user    {_short(one.user)}",
            f"  gold    {_short(one.gold)}",
            f"  before  {_short(one.text)}",
            f"  after   {_short(two.text)}",
            "",
        ]
    return "\n".join(lines)


def _short(text: str, width: int = 110) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."
