"""The facts of a store that earlier rules ended, and today's would have kept."""

import json
import pathlib
from typing import Any

import ml_collections
import tqdm

from pa_jax.core import files
from pa_jax.jobs import setup
from pa_jax.profile import review, store


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `review` job: workdir/lost.jsonl, a line a fact, and report.json; the store stays."""
    setup.open_workdir(config, workdir)
    profiles = store.ProfileStore(config.store)
    try:
        users = profiles.users()
        found = {user: review.lost(profiles.history(user)) for user in users}
    finally:
        profiles.close()
    lines = [_line(user, one) for user, ended in found.items() for one in ended]
    files.atomic_write(workdir / "lost.jsonl", "".join(f"{line}\n" for line in lines))
    report = {"users": len(users), "with_lost": sum(map(bool, found.values())), "lost": len(lines)}
    files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    tqdm.tqdm.write(
        f"{len(lines)} facts of {report['with_lost']} of {len(users)} users would hold by today's "
        f"rules; they are in {workdir / 'lost.jsonl'}, and the store is as it was."
    )


def _line(user: str, one: review.Lost) -> str:
    fact = one.fact
    told = {"session": fact.source.session, "turn": fact.source.turn}
    line: dict[str, Any] = {
        "user": user,
        "fact": fact.id,
        "slot": fact.slot,
        "statement": fact.statement,
    }
    times = {"from": fact.valid_from.isoformat(), "to": fact.valid_to and fact.valid_to.isoformat()}
    line |= {"told": told, **times, "by": one.by, "why": one.why}
    return json.dumps(line, ensure_ascii=False)
