"""What a dialogue is, and what training sees of it: one Episode a turn."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Message:
    """One chat message; `role` is system, user or assistant.

    `wire.Message` is how HTTP says it.
    """

    role: str
    content: str


@dataclasses.dataclass(frozen=True)
class Turn:
    """The user's words, the reply that followed, and what is known to be learnt from them.

    gold      the preference snippet a perfect inferencer writes (grammar: dialogue/snippet.py);
              snippet.NOTHING where the turn shows no preference; None where the data has no label
    retires   statements of earlier turns that this turn makes untrue
    slot      "category/subcategory" of the gold snippet, "" where unknown
    kind      how it shows: explicit | choice | persona; of synthetic users also fact | several |
              answer | change | correction | forget | distractor; "" where unknown
    """

    user: str
    assistant: str = ""
    gold: str | None = None
    retires: tuple[str, ...] = ()
    slot: str = ""
    kind: str = ""
    session: int = 0


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """All sessions of one user in order; `turns[i].session` never decreases."""

    id: str
    user_id: str
    turns: tuple[Turn, ...]


@dataclasses.dataclass(frozen=True)
class Episode:
    """One step of the MDP: the state (profile so far, this turn), and the gold action.

    profile   statements known before this turn, oldest first
    context   the assistant message that the user answers, "" at the start of a session
    user      the user's words of this turn
    gold      as Turn.gold; of a request, the best action (grammar: dialogue/asking.py)
    options   of a request, the topics the policy may ask about, in the order shown; else none
    worth     of each option, what asking about it adds to the answer, the turn's cost taken off
    """

    id: str
    user_id: str
    profile: tuple[str, ...]
    context: str
    user: str
    gold: str | None
    slot: str = ""
    kind: str = ""
    options: tuple[str, ...] = ()
    worth: tuple[float, ...] = ()

    @property
    def wanted(self) -> str:
        """Gold, where there must be one."""
        if self.gold is None:
            raise ValueError(f"episode {self.id!r} has no gold; give one that has.")
        return self.gold
