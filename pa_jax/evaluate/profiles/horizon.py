"""Hundreds of turns a user: does the profile stay bounded, and is what came first still known?"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pa_jax.agent import reply_prompt
from pa_jax.agent.inference import inferencer
from pa_jax.dialogue import schema
from pa_jax.evaluate.profiles import match, talks
from pa_jax.profile import facts

LONG_QUESTION = "What would you suggest for me, all that you know considered?"
Walk = Callable[[inferencer.Inferencer, Sequence[talks.Talk], int], Iterator[talks.TurnDone]]


def measure(
    agent: inferencer.Inferencer,
    reply: reply_prompt.Responder,
    people: Sequence[talks.Talk],
    *,
    walk: Walk,
    users: int,
    at: Iterable[int],
) -> dict[str, dict[str, Any]]:
    """Figures by number of turns, for each of `at`.

    facts          held a user: mean and most
    snippet_prompt tokens of the inferencer's prompt for the next turn, most
    reply_prompt   tokens of a reply's prompt when all facts matter, most
    first          of the gold statements of a user's first session that still hold, the share that
                   the profile has
    all            the same of all gold statements that hold
    """
    wanted = set(at)
    rows: dict[int, list[dict[str, int]]] = {}
    for step in walk(agent, people, users):
        if step.number + 1 in wanted:
            rows.setdefault(step.number + 1, []).append(_figures(agent, reply, step))
    return {str(turns): _together(found) for turns, found in sorted(rows.items())}


def _figures(
    agent: inferencer.Inferencer, reply: reply_prompt.Responder, step: talks.TurnDone
) -> dict[str, int]:
    turns, held = step.talk.turns[: step.number + 1], step.after
    gold = _held(turns)
    opening = [turn for turn in turns if turn.session == turns[0].session]
    early = [text for text in _held(opening) if text in gold]
    seen = step.talk.observed(step.number, held)
    needs = [(fact.slot, 1.0) for fact in held if fact.category != facts.OTHER]
    return {
        "facts": len(held),
        "snippet_prompt": len(agent.prompt(seen, now=talks.NOW)),
        "reply_prompt": len(reply.prompt(held, (), LONG_QUESTION, needs=needs, now=talks.NOW)),
        "early": len(early),
        "early_known": _known(held, early),
        "gold": len(gold),
        "known": _known(held, list(gold)),
    }


def _held(turns: Sequence[schema.Turn]) -> Mapping[str, str]:
    gold = match.gold_of(turns)
    return {} if gold is None else gold.held


def _known(held: Sequence[facts.Fact], wanted: Sequence[str]) -> int:
    return len(match.assign([fact.statement for fact in held], wanted))


def _together(rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(row[name] for row in rows)

    return {
        "users": len(rows),
        "facts": {
            "mean": statistics.fmean(row["facts"] for row in rows),
            "most": max(row["facts"] for row in rows),
        },
        "snippet_prompt": max(row["snippet_prompt"] for row in rows),
        "reply_prompt": max(row["reply_prompt"] for row in rows),
        "first": total("early_known") / max(total("early"), 1),
        "all": total("known") / max(total("gold"), 1),
    }
