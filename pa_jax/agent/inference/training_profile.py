"""A profile that grows by snippets during training: the agent's rules over words, without a model.

The same drops, revisions and update rules as in serving. What asks the model there is left out
here: no statement is dropped for want of grounds, and one is placed by its words alone.
"""

import dataclasses
import datetime
import math

from pa_jax.agent.inference import draft
from pa_jax.dialogue import schema
from pa_jax.english import statements
from pa_jax.profile import facts, placement, update

STATED = 0.6  # as infer.stated
_START = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Notes:
    """What is known between two turns; `forgotten` are topics that the user had retracted."""

    held: tuple[facts.Fact, ...] = ()
    forgotten: frozenset[str] = frozenset()

    def statements(self) -> tuple[str, ...]:
        """What holds, oldest first, as an episode's profile."""
        return tuple(fact.statement for fact in self.held)

    def after(self, dialogue: schema.Dialogue, turn: int, text: str, finished: bool) -> "Notes":
        """The notes once the snippet `text` was written about a turn.

        A session is a day and a turn a minute of it, so that decay has a clock.
        """
        said = dialogue.turns[turn]
        observed = draft.Observed(dialogue.user_id, said.session, turn, "", said.user, self.held)
        read = draft.Draft(observed, text, finished)
        read.ground([math.inf] * len(read.statements), 0.0)
        read.note_explicit()
        slots = [placement.place(statement, self.held) for statement in read.statements]
        result = update.apply(
            self.held,
            read.inferred(slots, STATED).ops,
            user=dialogue.user_id,
            source=facts.Source(said.session, turn, read.heard),
            now=_START + datetime.timedelta(days=said.session, minutes=turn),
            forgotten=self.forgotten,
        )
        gone = {
            statements.topic(change.fact.statement)
            for change in result.changes
            if change.event == update.RETRACTED
        }
        return Notes(result.facts, self.forgotten | gone)
