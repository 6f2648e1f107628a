"""People of a file of one's own in recall's benchmarks: which of four statements is theirs?

A file of `messages` (data/readers/messages) with gold. The taxonomy's slots are not known there, so
options are whole statements, said to the user: one that holds of the user, and three that hold of
others in the file and not of the user. What a user took back is no option.
"""

from collections.abc import Iterator, Sequence

from absl import logging

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import messages
from pa_jax.data.synth import truth
from pa_jax.english import second_person
from pa_jax.evaluate.asking import simulated
from pa_jax.evaluate.benchmarks import recall
from pa_jax.evaluate.profiles import match, talks
from pa_jax.evaluate.systems import baselines

QUESTION = "Tell me one thing that you know about me."


def moments(
    cfg: recall.RecallConfig,
    name: str,
    quarantine: quarantine_lib.Quarantine,
    noise: baselines.Chat = (),
) -> list[recall.Moment]:
    """As recall.moments, of the first cfg.users people of cfg.path who have gold.

    Who said fewer than T turns is asked once, behind all of them.
    """
    people = talks.by_user(messages.read(cfg.path, quarantine, key=f"{name}.path"))
    known = [talk for talk in people if match.gold_of(talk.turns) is not None]
    if len(known) < len(people):
        lacking = len(people) - len(known)
        logging.info("%d of %d users have no gold and are left out", lacking, len(people))
    held = {talk.user: tuple(_held(talk, len(talk.turns))) for talk in known}
    found = [
        _moment(cfg, talk, turns, noise[: 2 * pairs], held)
        for turns in cfg.turns
        for pairs in cfg.noise
        for talk in known[: cfg.users]
        if turns <= len(talk.turns) or turns == min(t for t in cfg.turns if t > len(talk.turns))
    ]
    found = [moment for moment in found if moment.questions]
    if not found:
        raise quarantine_lib.DataError(
            f"{name}.path={cfg.path!r}: of {len(people)} users none has a gold statement beside "
            f"{recall.OPTIONS - 1} that hold of others alone; give labelled turns of several users "
            "(docs/reference/data.md)."
        )
    return found


def _moment(
    cfg: recall.RecallConfig,
    talk: talks.Talk,
    turns: int,
    noise: baselines.Chat,
    held: dict[str, tuple[str, ...]],
) -> recall.Moment:
    at = min(turns, len(talk.turns))
    now = list(_held(talk, at))
    pairs = len(noise) // 2
    name = f"{talk.user}/T{turns}" + (f"/N{pairs}" if len(cfg.noise) > 1 else "")
    asked = now
    if len(now) > cfg.questions:  # the oldest ones and the newest ones
        first = cfg.questions // 2
        asked = [*now[:first], *now[len(now) - (cfg.questions - first) :]]
    later = [text for text in held[talk.user] if text not in now][: cfg.untold]
    others = _of_others(talk.user, [*now, *held[talk.user]], held)
    questions = [
        recall.RecallQuestion(
            id=f"{name}/{number}",
            text=QUESTION,
            options=tuple(second_person.told(one) for one in (text, *_drawn(text, others))),
            old="",
            age=at - _said_at(talk, text),
            gold=text,
        )
        for number, text in enumerate((*asked, *later))
        if len(others) >= recall.OPTIONS - 1
    ]
    person = simulated.Person(talk.user, {}, frozenset(), ())
    history = (*baselines.history(talk.turns[:at]), *noise)
    return recall.Moment(talk.user, turns, pairs, history, tuple(questions), person)


def _held(talk: talks.Talk, turns: int) -> Iterator[str]:
    """The gold statements that hold after so many turns, oldest first."""
    gold = match.gold_of(talk.turns[:turns])
    yield from gold.held if gold is not None else ()


def _said_at(talk: talks.Talk, statement: str) -> int:
    """The turn that told it last."""
    told = [n for n, turn in enumerate(talk.turns) if statement in (turn.gold or "").splitlines()]
    return told[-1]


def _of_others(user: str, own: Sequence[str], held: dict[str, tuple[str, ...]]) -> list[str]:
    """Statements of other people that match none of the user's."""
    said = dict.fromkeys(text for other, of in held.items() if other != user for text in of)
    return [text for text in said if all(match.likeness(text, one) < match.LEVEL for one in own)]


def _drawn(text: str, others: Sequence[str]) -> list[str]:
    """Three of them, by the statement alone, so that every T and N has the same."""
    ranked = sorted(others, key=lambda other: truth.digest("recall", text, other))
    return ranked[: recall.OPTIONS - 1]
