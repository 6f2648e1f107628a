"""Closing figures of a training job: intervals, a table of snippets, plots, report.json."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence

import jax
import tqdm
from absl import logging

from pa_jax.core import files
from pa_jax.evaluate import heldout, plots
from pa_jax.train import loop

SHOWN = 5  # rows of the table of snippets


def kept(
    workdir: pathlib.Path, name: str, make: Callable[[], list[heldout.Record]]
) -> list[heldout.Record]:
    """The records of heldout-NAME.json, made and written first where the file is not there."""
    path = workdir / f"heldout-{name}.json"
    if path.exists():
        return [
            heldout.Record(**{**row, "scores": tuple(row["scores"])})
            for row in json.loads(path.read_text())
        ]
    logging.info("evaluating on held-out episodes (%s)", name)
    records = make()
    rows = [dataclasses.asdict(record) for record in records]
    if jax.process_index() == 0:
        files.atomic_write(path, json.dumps(rows, indent=1))
    f1 = heldout.summary(records)["token_f1"]
    logging.info("held-out %s: token-F1 with gold %s over %d episodes", name, f1, f1.n)
    return records


def write(
    workdir: pathlib.Path,
    before: Sequence[heldout.Record],
    after: Sequence[heldout.Record],
    *,
    skipped: int,
    seconds: float,
) -> None:
    """report.json, training.png and heldout.png from process 0; tells what changed."""
    if jax.process_index() != 0:
        return
    one, two = heldout.summary(before), heldout.summary(after)
    rows = list(files.read_rows(workdir / "metrics.jsonl"))
    figures = {
        "before": {k: dataclasses.asdict(v) for k, v in one.items()},
        "after": {k: dataclasses.asdict(v) for k, v in two.items()},
        "rises": {k: two[k].low > one[k].high for k in one if k in two},
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
    plots.training(rows, workdir / "training.png")
    plots.before_after(one, two, workdir / "heldout.png")
    tqdm.tqdm.write(table(before, after))
    for name in one:
        mark = "rises" if figures["rises"].get(name) else ""
        tqdm.tqdm.write(f"{name:24} {one[name]!s:24} -> {two[name]!s:24} {mark}")
    tqdm.tqdm.write(
        f"Done in {seconds / 60:.1f} min: {workdir}/report.json, training.png, heldout.png, "
        f"checkpoints/. Next: python -m pa_jax.main --config=export "
        f"--config.run={workdir}"
    )


def table(before: Sequence[heldout.Record], after: Sequence[heldout.Record]) -> str:
    """Some held-out turns with gold and the snippets before and after training."""
    lines = ["", "Held-out snippets, before and after:"]
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
