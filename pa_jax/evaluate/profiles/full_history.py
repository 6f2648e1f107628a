"""The baseline without a lasting profile: the same model reads the whole dialogue at once.

It writes a list of preferences, a line each; the lines are placed and merged as one turn's would
be. What one prompt cannot hold of the dialogue is left out, the oldest turns first.
"""

from collections.abc import Sequence
from typing import Any

from pa_jax.agent.inference import inferencer
from pa_jax.dialogue import schema, template
from pa_jax.english import person, statements, words
from pa_jax.evaluate.profiles import talks
from pa_jax.infer import sampler
from pa_jax.profile import facts, update

_SYSTEM = "You note the preferences that a user's messages show."
_TASK = (
    "Write every preference of the user that these messages show and that still holds, each as "
    'one short sentence on its own line that begins with "The user".'
)
MAX_LINES = 64
CONFIDENCE = 0.8  # nothing is grounded here: all lines are alike


class FullHistory:
    """Lists of preferences under one frozen model."""

    def __init__(
        self,
        agent: inferencer.Inferencer,
        writes: sampler.Sampler,
        *,
        prompt_tokens: int,
        max_new_tokens: int,
    ) -> None:
        """`agent` places, and its limits cut the messages; `writes` decodes."""
        self.agent, self.writes = agent, writes
        self.prompt_tokens, self.max_new_tokens = prompt_tokens, max_new_tokens

    def texts(self, people: Sequence[talks.Talk]) -> list[str]:
        """What the model writes about each user."""
        prompts = [self.prompt(talk) for talk in people]
        how: dict[str, Any] = {
            "n": 1,
            "max_new_tokens": self.max_new_tokens,
            "temperature": 0.0,
            "seed": 0,
        }
        return [text for [text] in self.writes.generate(prompts, **how).texts]

    def profiles(self, people: Sequence[talks.Talk], texts: Sequence[str]) -> list[talks.Profile]:
        """The facts of each text."""
        lines = [listed(text) for text in texts]
        placed = iter(self.agent.placer.place([text for row in lines for text in row]))
        made = []
        for talk, row in zip(people, lines, strict=True):
            ops = [_op(text, next(placed).slot) for text in row]
            source = facts.Source(0, 0, "")
            done = update.apply((), ops, user=talk.user, source=source, now=talks.NOW)
            made.append(done.facts)
        return made

    def prompt(self, talk: talks.Talk) -> list[int]:
        """Prompt ids: all that was said, then the task."""
        for first in range(len(talk.turns)):
            said = "\n".join(self._said(turn) for turn in talk.turns[first:])
            messages = (
                schema.Message("system", _SYSTEM),
                schema.Message("user", f"{said}\n\n{_TASK}"),
            )
            ids = template.encode_chat(self.agent.words, messages, add_generation_prompt=True)
            if len(ids) <= self.prompt_tokens:
                return ids
        raise ValueError(
            f"full_history.prompt_tokens={self.prompt_tokens}: the last turn of user "
            f"{talk.user!r:.60} alone takes {len(ids)} tokens; allow more."
        )

    def _said(self, turn: schema.Turn) -> str:
        cfg = self.agent.cfg
        user = words.clean(turn.user, cfg.user_chars)
        reply = words.clean(turn.assistant, cfg.context_chars)
        said = f"The user says: {words.quoted(user)}"
        return f"{said}\nThe assistant said: {words.quoted(reply)}" if reply else said


def listed(text: str) -> list[str]:
    """The statements of a list: lines about the user, each once, without what numbers them."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        statement = update.flat(line.lstrip(" -*•0123456789.)"))
        if statement and person.about_user(statement):
            found.setdefault(statements.key(statement), statement)
    return list(found.values())[:MAX_LINES]


def _op(statement: str, slot: str) -> facts.FactOp:
    polarity = statements.polarity(statement)
    return facts.FactOp(facts.ADD, statement, slot, None, polarity, "inferred", CONFIDENCE)
