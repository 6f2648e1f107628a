"""Infer profiles: dialogues in; profiles.jsonl, snippets.jsonl and report.json out.

Turns go in waves, the next one of each of `users` users, so that a user's turns stay in order. A
turn's row, with its operations, is on file before they are applied, and the store applies a turn
once: a run that was killed applies its rows again, which changes nothing, and goes on behind them.
"""

import collections
import dataclasses
import datetime
import itertools
import json
import pathlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import ml_collections
import tqdm
from absl import logging

from pa_jax import models
from pa_jax.agent.inference import draft, inferencer
from pa_jax.core import files
from pa_jax.data import dialogues
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.evaluate.profiles import match, talks
from pa_jax.jobs import setup
from pa_jax.profile import facts, portable, store
from pa_jax.profile.db import database


def opened(
    config: ml_collections.ConfigDict, model: models.LoadedModel, mesh: jax.sharding.Mesh | None
) -> inferencer.Inferencer:
    """The inferencer of a config's sections."""
    cfg = setup.section(inferencer.InferConfig, config.infer)
    return inferencer.Inferencer(model, cfg, mesh=mesh, lengths=tuple(config.lengths))


def infer(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, agent: inferencer.Inferencer
) -> None:
    """All turns of the data through an inferencer; what is on file already is not done again."""
    began = time.monotonic()
    people, seen, bad = read(config, workdir)
    profiles = store.ProfileStore(config.store or f"sqlite:///{workdir}/profiles.db")
    try:
        run_ = InferRun(profiles, workdir / "snippets.jsonl")
        done = run_.replay({talk.user: talk for talk in people})
        fresh = 0
        with tqdm.tqdm(
            total=sum(len(talk.turns) for talk in people), initial=sum(done.values()), unit="turn"
        ) as bar:
            for wave in talks.waves(people, done, config.users):
                now = setup.utc_now()
                turns = [talk.observed(k, profiles.facts(talk.user, now=now)) for talk, k in wave]
                if config.snippets == "gold":
                    made = agent.read(turns, [talk.gold(k) for talk, k in wave], trusted=True)
                else:
                    made = agent.infer(turns, now=now, seed=config.seed)
                run_.take(turns, made, now=now)
                fresh += len(wave)
                bar.update(len(wave))
                row = {"step": bar.n, "turns": len(wave), "seconds": time.monotonic() - began}
                files.append_line(workdir / "metrics.jsonl", json.dumps(row))
        report = conclude(workdir, profiles, people)
    finally:
        profiles.close()
    seconds = time.monotonic() - began
    report |= {
        "outcomes": dict(run_.outcomes),
        "turns_the_store_had": run_.repeated,
        "items": {"read": seen, "quarantined": bad},
        "this_start": {
            "turns": fresh,
            "seconds": round(seconds, 1),
            "turns_per_second": round(fresh / seconds, 2),
        },
    }
    files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    tqdm.tqdm.write(json.dumps(report, indent=2))
    tqdm.tqdm.write(f"{workdir} has profiles.jsonl, snippets.jsonl and report.json.")


def read(
    config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> tuple[list[talks.Talk], int, int]:
    """Every user's turns, how many items were read, and how many of them are in quarantine."""
    cfg = setup.section(dialogues.DataConfig, config.data)
    with quarantine_lib.Quarantine(workdir / "quarantine.jsonl") as quarantine:
        parts = dialogues.open_dialogues(cfg, config.split, quarantine)
        if cfg.source == "synthetic" and config.size.sessions:
            size = (config.size.sessions, config.size.turns)
            parts = dialogues.synthetic(cfg, config.split, quarantine, size)
        people = talks.by_user(itertools.chain.from_iterable(parts))
        kept = []
        for talk in people:
            try:
                database.require_user(talk.user)
                kept.append(talk)
            except ValueError as error:
                quarantine.reject(cfg.path, 0, str(error), repr(talk.user))
        if not kept:
            where = f", path={cfg.path!r}" if cfg.path else ""
            raise quarantine_lib.DataError(
                f"data.source={cfg.source!r}{where}: split={config.split!r} holds no user (of a "
                f"file, a fifth are held out). {_REMEDY.get(config.split, '')}Give data with users."
            )
        return kept, quarantine.seen, quarantine.bad


_REMEDY = {split: "Set --config.split=all to read every one. " for split in ("train", "heldout")}


class InferRun:
    """The file of snippets and the store, kept in step."""

    def __init__(self, profiles: store.ProfileStore, path: pathlib.Path) -> None:
        self.profiles, self.path = profiles, path
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.repeated = 0

    def replay(self, people: dict[str, talks.Talk]) -> collections.Counter[str]:
        """Applies every row on file again; how many turns of each user are through."""
        done: collections.Counter[str] = collections.Counter()
        if not self.path.exists():
            return done
        files.truncate_rows(self.path, lambda row: True)  # a half-written line goes
        for row in files.read_rows(self.path):
            talk, number = people.get(row["user"]), row["turn"]
            turns = talk.turns if talk else ()
            if number != done[row["user"]] or number >= len(turns):
                raise self._other(row)
            if turns[number].user != row["words"]:
                raise self._other(row)
            done[row["user"]] += 1
            self._apply(row)
        if done:
            logging.info("%s: going on behind %d turns", self.path, done.total())
        return done

    def take(
        self,
        turns: Sequence[draft.Observed],
        made: Sequence[draft.Inferred],
        *,
        now: datetime.datetime,
    ) -> None:
        """Writes the rows of a wave, then applies them."""
        rows = [
            {
                "user": turn.user,
                "session": turn.session,
                "turn": turn.turn,
                "time": now.isoformat(),
                "words": turn.words,
                "text": inferred.text,
                "ops": [dataclasses.asdict(op) for op in inferred.ops],
                "dropped": [dataclasses.asdict(drop) for drop in inferred.dropped],
            }
            for turn, inferred in zip(turns, made, strict=True)
        ]
        files.append_lines(self.path, [json.dumps(row) for row in rows], durable=True)
        for row in rows:
            if self._apply(row).repeated:  # of another run on the same store: its facts stand
                self.repeated += 1

    def _apply(self, row: dict[str, Any]) -> store.Applied:
        applied = self.profiles.apply(
            row["user"],
            [facts.FactOp(**op) for op in row["ops"]],
            facts.Source(row["session"], row["turn"], row["words"]),
            now=datetime.datetime.fromisoformat(row["time"]),
        )
        self.outcomes.update(receipt.outcome for receipt in applied.receipts)
        return applied

    def _other(self, row: dict[str, Any]) -> ValueError:
        return ValueError(
            f"{self.path} has turn {row['turn']} of user {row['user']!r:.60}, which is not the "
            "next one in the data; give the same data, or a new --workdir."
        )


def conclude(
    workdir: pathlib.Path, profiles: store.ProfileStore, people: Sequence[talks.Talk]
) -> dict[str, Any]:
    """Writes profiles.jsonl; the figures of the whole run, from what lies on file."""
    lines, matches, held, unlabelled = [], [], [], 0
    for talk in people:
        history = latest(profiles.history(talk.user))
        now = [fact for fact in history if fact.valid_to is None]
        held.append(len(now))
        lines.append(
            json.dumps(
                {
                    "user": talk.user,
                    "facts": [readable(fact) for fact in now],
                    "ended": [readable(fact) for fact in history if fact.valid_to is not None],
                    "labels": [label.name for label in profiles.schema(talk.user)],
                }
            )
        )
        gold = match.gold_of(talk.turns)
        unlabelled += len(talk.turns) if gold is None else len(gold.unlabelled)
        if gold is not None:
            matches.append(match.compare(history, gold))
    files.atomic_write(workdir / "profiles.jsonl", "".join(f"{line}\n" for line in lines))
    ops: collections.Counter[str] = collections.Counter()
    dropped: collections.Counter[str] = collections.Counter()
    empty = turns = 0
    for row in files.read_rows(workdir / "snippets.jsonl"):
        turns += 1
        empty += not row["ops"]
        ops.update(op["kind"] for op in row["ops"])
        dropped.update(drop["reason"] for drop in row["dropped"])
    return {
        "users": len(people),
        "turns": turns,
        "turns_without_change": empty,
        "ops": dict(ops),
        "dropped": {reason: dropped[reason] for reason in draft.REASONS},
        "facts_a_user": {"mean": sum(held) / max(len(held), 1), "most": max(held, default=0)},
        "users_with_gold": len(matches),
        "turns_without_gold": unlabelled,
        "gold": match.summary(matches) if matches else None,
    }


def latest(records: Iterable[portable.Record]) -> list[facts.Fact]:
    """Each fact as it is now, in the order in which they became known."""
    made = {record.fact.id: record.fact for record in records if record.known_to is None}
    return list(made.values())


def readable(fact: facts.Fact) -> dict[str, Any]:
    """What a reader of profiles.jsonl wants of a fact; ProfileStore.export has all of it."""
    return {
        "slot": fact.slot,
        "statement": fact.statement,
        "polarity": fact.polarity,
        "authority": fact.authority,
        "confidence": round(fact.confidence, 3),
        "session": fact.source.session,
        "turn": fact.source.turn,
        "quote": fact.source.quote,
        "superseded_by": fact.superseded_by,
    }
