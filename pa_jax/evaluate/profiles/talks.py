"""Users' turns in order, in waves: the next turn of each of many users goes together."""

import collections
import dataclasses
import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import tqdm

from pa_jax.agent.inference import draft, inferencer
from pa_jax.dialogue import schema
from pa_jax.profile import facts, update

Profile = tuple[facts.Fact, ...]
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TURN = datetime.timedelta(minutes=1)


@dataclasses.dataclass(frozen=True)
class Talk:
    """All turns of one user in order; sessions count from 0."""

    user: str
    turns: tuple[schema.Turn, ...]

    def observed(self, number: int, profile: Profile) -> draft.Observed:
        """Turn `number`, with the message it answers where it is of the same session."""
        turn = self.turns[number]
        before = self.turns[number - 1] if number else None
        answers = before is not None and before.session == turn.session
        context = before.assistant if before and answers else ""
        return draft.Observed(self.user, turn.session, number, context, turn.user, profile)

    def gold(self, number: int) -> str:
        """The gold snippet of a turn; ValueError where it has none."""
        text = self.turns[number].gold
        if text is None:
            raise ValueError(
                f"turn {number} of user {self.user!r:.60} has no gold snippet; label the data, or "
                "take the policy's."
            )
        return text


@dataclasses.dataclass(frozen=True)
class TurnDone:
    """One turn done: what was known before it, what was inferred, and what is known after it."""

    talk: Talk
    number: int
    seen: draft.Observed
    inferred: draft.Inferred
    after: Profile

    @property
    def turn(self) -> schema.Turn:
        return self.talk.turns[self.number]

    @property
    def ended(self) -> set[str]:
        """Statements that held before the turn and do not after it."""
        return ended(self.seen.profile, self.after)


def ended(before: Profile, after: Profile) -> set[str]:
    """Statements of `before` that `after` has no more."""
    return {fact.statement for fact in before} - {fact.statement for fact in after}


def by_user(dialogues: Iterable[schema.Dialogue]) -> list[Talk]:
    """Dialogues of one user as sessions of one talk, in order."""
    turns: dict[str, list[schema.Turn]] = {}
    for dialogue in dialogues:
        said = turns.setdefault(dialogue.user_id, [])
        start = said[-1].session + 1 if said else 0
        order = sorted({turn.session for turn in dialogue.turns})
        said += [
            dataclasses.replace(turn, session=start + order.index(turn.session))
            for turn in dialogue.turns
        ]
    return [Talk(user, tuple(said)) for user, said in turns.items()]


def waves(
    talks: Sequence[Talk], done: Mapping[str, int], users: int
) -> Iterator[list[tuple[Talk, int]]]:
    """The next turn of each of up to `users` users, until all turns are through."""
    if users < 1:
        raise ValueError(f"users={users}: at least 1 user must be on the way.")
    waiting = iter([talk for talk in talks if done[talk.user] < len(talk.turns)])
    active = [(talk, done[talk.user]) for talk in itertools.islice(waiting, users)]
    while active:
        yield active
        going = [(talk, k + 1) for talk, k in active if k + 1 < len(talk.turns)]
        more = itertools.islice(waiting, users - len(going))
        active = going + [(talk, done[talk.user]) for talk in more]


def by_gold(agent: inferencer.Inferencer, talks: Sequence[Talk], users: int) -> Iterator[TurnDone]:
    """Every turn with its gold snippet, in memory."""

    def made(wave: list[tuple[Talk, int]], turns: list[draft.Observed]) -> list[draft.Inferred]:
        return agent.read(turns, [talk.gold(k) for talk, k in wave], trusted=True)

    return _walk(talks, made, users)


def by_policy(
    agent: inferencer.Inferencer, talks: Sequence[Talk], users: int
) -> Iterator[TurnDone]:
    """Every turn with what the policy infers, in memory."""
    return _walk(talks, lambda _, turns: agent.infer(turns, now=NOW, seed=0), users)


def applied(seen: draft.Observed, inferred: draft.Inferred, *, now: datetime.datetime) -> Profile:
    """The profile after the turn."""
    source = facts.Source(seen.session, seen.turn, seen.words)
    done = update.apply(seen.profile, inferred.ops, user=seen.user, source=source, now=now)
    return done.facts


def _walk(
    talks: Sequence[Talk],
    make: Callable[[list[tuple[Talk, int]], list[draft.Observed]], list[draft.Inferred]],
    users: int,
) -> Iterator[TurnDone]:
    held: dict[str, Profile] = {talk.user: () for talk in talks}
    with tqdm.tqdm(total=sum(len(talk.turns) for talk in talks), unit="turn") as bar:
        for wave in waves(talks, collections.Counter(), users):
            turns = [talk.observed(k, held[talk.user]) for talk, k in wave]
            for (talk, k), seen, inferred in zip(wave, turns, make(wave, turns), strict=True):
                held[talk.user] = applied(seen, inferred, now=NOW + k * TURN)
                yield TurnDone(talk, k, seen, inferred, held[talk.user])
            bar.update(len(wave))
