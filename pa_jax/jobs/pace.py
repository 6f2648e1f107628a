"""How fast the agent is here: its store, users inferred together, and what a chat turn costs.

store  turns applied one after the other to a new SQLite file, and profiles read from it
infer  the same turns of many users, all together and one at a time; what comes of them is compared
turn   a user's chat, each turn as it is, then its reply alone: the same prompt and the same tokens
"""

import copy
import itertools
import json
import pathlib
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import tqdm

from pa_jax.agent import reply_prompt, session
from pa_jax.agent.inference import draft
from pa_jax.agent.turn import Serves
from pa_jax.core import files
from pa_jax.core import mesh as meshes
from pa_jax.dialogue import snippet
from pa_jax.evaluate.profiles import talks
from pa_jax.jobs import chat, inferring, policy, setup
from pa_jax.profile import facts, store, taxonomy, turns

PARTS = ("store", "infer", "turn")
READS = 8  # of each profile


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `pace` job."""
    unknown = set(config.parts) - set(PARTS)
    if unknown or jax.process_count() > 1:
        raise ValueError(
            f"parts={tuple(config.parts)}, {jax.process_count()} processes: parts are of "
            f"{list(PARTS)}, and pace runs as one process."
        )
    setup.open_workdir(config, workdir)
    people, _, _ = inferring.read(config, workdir)
    report: dict[str, Any] = {"device": jax.devices()[0].device_kind, "devices": jax.device_count()}
    if "store" in config.parts:
        report["store"] = stored(workdir, people)
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    if "infer" in config.parts:
        report["infer"] = together(config, people)
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    if "turn" in config.parts:
        report["turn"] = beside(config, workdir, people[0])
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    tqdm.tqdm.write(json.dumps(report, indent=2))


def stored(workdir: pathlib.Path, people: Sequence[talks.Talk]) -> dict[str, float | int]:
    """Gold statements applied turn by turn, each turn committed before the next, then read back.

    A statement goes into whichever slot its number gives: nothing is inferred here.
    """
    slots = itertools.cycle(slot.path for slot in taxonomy.Taxonomy.load().subcategories)
    said = []
    for talk in people:
        for number, turn in enumerate(talk.turns):
            parsed = snippet.parse(talk.gold(number))
            if isinstance(parsed, snippet.ParseFailure):
                raise ValueError(f"user {talk.user!r:.60}, turn {number}: {parsed.reason}")
            ops = [
                facts.FactOp(facts.ADD, statement, next(slots), None, "neutral", "stated", 0.9)
                for statement in parsed.statements
            ]
            if ops:
                said.append((talk.user, ops, facts.Source(turn.session, number, turn.user)))
    normal = _applied(workdir, said, people, "normal")
    return _applied(workdir, said, people, "full") | {
        "applies_a_second_normal": normal["applies_a_second"]
    }


def _applied(
    workdir: pathlib.Path, said: Sequence[tuple], people: Sequence[talks.Talk], level: str
) -> dict[str, float | int]:
    """Rates of a store at a level of `synchronous` (profile/db/connect.py)."""
    with tempfile.TemporaryDirectory(dir=workdir) as folder:
        profiles = store.ProfileStore(f"sqlite:///{folder}/profiles.db?synchronous={level}")
        began = time.monotonic()
        for user, ops, source in said:
            profiles.apply(user, ops, source, now=talks.NOW + source.turn * talks.TURN)
        wrote = time.monotonic() - began
        now, users = talks.NOW + talks.TURN * 1000, [talk.user for talk in people] * READS
        began = time.monotonic()
        read = sum(len(profiles.facts(user, now=now)) for user in users)
        took = time.monotonic() - began
        profiles.close()
    return {
        "applies": len(said),
        "facts": read // READS,
        "applies_a_second": round(len(said) / wrote, 1),
        "reads_a_second": round(len(users) / took, 1),
    }


def together(
    config: ml_collections.ConfigDict, people: Sequence[talks.Talk]
) -> dict[str, float | int]:
    """Seconds of everybody's first turn, inferred together and one at a time."""
    mesh = setup.chosen_mesh(config)
    with meshes.using(mesh):
        model = policy.load(config, mesh)
        agent = inferring.opened(config, model, mesh)
        seen = [talk.observed(0, ()) for talk in people]
        agent.warm_up()
        for few in (seen[: config.users], seen[:1]):
            agent.infer(few, now=talks.NOW, seed=0)
        seconds: dict[str, float] = {}
        made: dict[str, list[draft.Inferred]] = {}
        for name, users in (("together", config.users), ("alone", 1)):
            began, made[name] = time.monotonic(), []
            for wave in tqdm.tqdm(_waves(seen, users), unit="wave", desc=name):
                made[name] += agent.infer(wave, now=talks.NOW, seed=0)
            seconds[name] = time.monotonic() - began
    pairs = list(zip(made["together"], made["alone"], strict=True))
    return {
        "turns": len(seen),
        "seconds_together": round(seconds["together"], 2),
        "seconds_alone": round(seconds["alone"], 2),
        "ratio": round(seconds["alone"] / seconds["together"], 2),
        "texts_that_differ": sum(a.text != b.text for a, b in pairs),
        "turns_with_other_facts": sum(_said(a) != _said(b) for a, b in pairs),
    }


def _waves(seen: Sequence[draft.Observed], users: int) -> list[Sequence[draft.Observed]]:
    return [seen[at : at + users] for at in range(0, len(seen), users)]


def _said(made: draft.Inferred) -> list[tuple[str, str | None, str]]:
    return [(op.kind, op.statement, op.slot) for op in made.ops]


class _Kept:
    """A responder that remembers its last prompt."""

    def __init__(self, door: reply_prompt.Responder) -> None:
        self.door = door
        self.last: list[int] = []

    def prompt(self, *what: Any, **how: Any) -> list[int]:
        self.last = self.door.prompt(*what, **how)
        return self.last


class _Again:
    """An engine that remembers how its last reply was asked for; snippets are greedy."""

    def __init__(self, door: Serves) -> None:
        self.door = door
        self.how: dict[str, Any] = {}

    def submit(self, prompt_ids: Sequence[int], **how: Any) -> Any:
        self.how = how
        return self.door.submit(prompt_ids, **how)


def beside(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, talk: talks.Talk
) -> dict[str, Any]:
    """Seconds of chat turns and of their replies alone, in turns, after `warm` turns."""
    config = copy.deepcopy(config)
    config.infer.rows = 1
    (infers, decides, prompts), engine = chat.open_parts(config)
    infers.warm_up()
    decides.warm_up()
    kept, again = _Kept(prompts), _Again(engine)
    profiles = store.ProfileStore(f"sqlite:///{workdir}/pace.db")
    cfg = setup.section(session.AgentConfig, config.agent)
    whole, alone, first, stages, tokens = [], [], [], [], 0
    opened = session.Agent(profiles, infers, decides, kept, again, clock=setup.utc_now, cfg=cfg)
    try:
        with opened as agent:
            conversation = agent.session(talk.user)
            for number, turn in enumerate(talk.turns[: config.warm + config.turns]):
                began = time.monotonic()
                stream = conversation.stream(turn.user)
                next(stream)
                came = time.monotonic() - began
                for _ in stream:
                    pass
                took = time.monotonic() - began
                began = time.monotonic()
                reply = engine.submit(kept.last, **again.how).result()
                bare = time.monotonic() - began
                if number >= config.warm:
                    whole.append(took)
                    alone.append(bare)
                    first.append(came)
                    tokens += len(reply.ids)
                    stages.append(stream.reply.times)
    finally:
        engine.close()
        profiles.close()
    done = {
        stage: round(sum((t[k] - t[0]).total_seconds() for t in stages), 2)
        for k, stage in enumerate(turns.STAGES)
        if k
    }
    return {
        "turns": len(whole),
        "seconds": round(sum(whole), 2),
        "seconds_reply_alone": round(sum(alone), 2),
        "added": round(sum(whole) / sum(alone) - 1, 4),
        "seconds_until_first_piece": round(sum(first), 2),
        "seconds_until": done,
        "reply_tokens": tokens,
    }
