"""A snippet on its way to operations: what of it stands as the user's own statements.

Read line by line against the turn: what speaks of nobody or of others, what is asked for, what was
held before and not said again, or what the user just asked to have forgotten is dropped and
counted, never stored; what is left waits for its grounds and its slots (inferencer.py).
"""

import dataclasses
import math
import re
from collections.abc import Sequence

from pa_jax.agent.inference import grounding
from pa_jax.dialogue import snippet
from pa_jax.english import (
    abroad,
    changes,
    degrees,
    explicit,
    forgetting,
    idioms,
    lists,
    losses,
    own,
    pasted,
    person,
    statements,
    words,
)
from pa_jax.profile import facts, forget, grounds, update

# Why a statement was dropped.
NO_SNIPPET = "no snippet"
CUT = "cut off"
QUOTED = "the turn in quotation marks"
NOT_ABOUT_USER = "not about the user"
NOT_OWN = "asked for, or another's preference"
COPIED = "held before, and not said again"
FORGOTTEN = "asked to be forgotten"
UNGROUNDED = "not in the user's words"
REPEATED = "said twice"
VAGUE = "does not say what it is about"
PAST = "told as past"
TODAY = "of today alone"
SPEECH = "tells what was said, not what holds"
PASTED = "of a text to work on"
OUTDONE = "said more fully in the user's words"
UNCLEAR = "asked to forget, but not what"
REASONS = (
    *(NO_SNIPPET, CUT, QUOTED, NOT_ABOUT_USER, NOT_OWN, COPIED, FORGOTTEN, UNGROUNDED, REPEATED),
    *(UNCLEAR, VAGUE, PAST, TODAY, SPEECH, PASTED, OUTDONE),
)

_FILLER = re.compile(r",? (?:by the way|btw|to be honest|lol|haha)(?=[.,;]|$)", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[a-z])(?=[\u4e00-\u9fff])")  # "lives in武汉"
HALF = 0.5  # share of a statement's words over which the sender's own words say it
MAX_HEARD = 4000  # characters of a turn that rules over words look at


@dataclasses.dataclass(frozen=True)
class Observed:
    """One turn of a user: the message answered ("" at a session's start), the words, the profile.

    `profile` is what held before the turn, as ProfileStore.facts gives it.
    """

    user: str
    session: int
    turn: int
    context: str
    words: str
    profile: tuple[facts.Fact, ...]


@dataclasses.dataclass(frozen=True)
class Dropped:
    """A statement (or a reply that is no snippet) that was left out.

    reason  one of REASONS
    score   nats a token of its grounding; None where it was not scored
    """

    statement: str
    reason: str
    score: float | None


@dataclasses.dataclass(frozen=True)
class Inferred:
    """A turn's snippet as the policy wrote it, and what became of it.

    `ops` are for one ProfileStore.apply: retractions first, then what is new.
    """

    text: str
    ops: tuple[facts.FactOp, ...]
    dropped: tuple[Dropped, ...]


class Draft:
    """A turn's snippet on its way to operations: `statements` are still in, `dropped` are out."""

    def __init__(self, turn: Observed, text: str, finished: bool) -> None:
        self.turn, self.text = turn, text
        self.heard = words.clean(turn.words, MAX_HEARD)
        self.content = statements.content(self.heard)
        own_words = pasted.own_words(self.heard)
        self.own = None if own_words is None else statements.content(own_words)
        self.forgets = forget.asked(self.heard, turn.profile, (turn.session, turn.turn))
        self.besides = statements.content(forgetting.besides(self.heard))
        self.besides |= forgetting.judged(self.heard)
        self.to_forget = forgetting.named(self.heard) - self.besides  # held or not
        told = idioms.not_to_keep(changes.sentences(self.heard))
        self.untold = [statements.content(part) for part in told]
        self.statements: list[str] = []
        self.gains: list[float] = []
        self.dropped: list[Dropped] = []
        if forget.unclear(self.heard, turn.profile, (turn.session, turn.turn)):
            self._drop("", UNCLEAR)
        self._parse(finished)

    def _parse(self, finished: bool) -> None:
        text = self.text
        if not finished:  # the last line has no end: the lines before it are whole
            text, _, last = text.rpartition("\n")
            self._drop(last, CUT)
            if not text.strip():
                return
        parsed = snippet.parse(text, turn=self.heard)
        if isinstance(parsed, snippet.ParseFailure):
            self._drop(text, NO_SNIPPET)
            return
        plain = (_GLUED.sub(" ", _FILLER.sub("", line)) for line in parsed.statements)
        lines = (part for line in plain for part in lists.parts(line))
        for statement in map(self._of_known, map(update.flat, lines)):
            statement = losses.kept(statement, self.heard) or statement
            reason = self._objection(statement)
            if reason:
                self._drop(statement, reason)
            else:
                self.statements.append(person.third_person(statement))

    def _of_known(self, line: str) -> str:
        """A line about one of the user's people by name, as a statement about the user."""
        if person.about_user(line):
            return line
        known = (person.of_kin(line, fact.statement) for fact in self.turn.profile)
        return next(filter(None, known), line)

    def _objection(self, statement: str) -> str:
        if snippet.quotes(statement, self.heard):
            return QUOTED
        if not person.about_user(statement):
            return NOT_ABOUT_USER
        if statements.vague(statement):
            return VAGUE
        if own.only_says(statement):
            return SPEECH
        if own.not_own(statement, self.heard):
            return NOT_OWN
        if self.own is not None and statements.said(statement, self.own) <= HALF:
            return PASTED
        if own.past(statement, self.heard):
            return PAST
        if statements.of_today(statement):
            return TODAY
        known = [fact.statement for fact in self.turn.profile]
        held = {statements.key(one) for one in known if not degrees.another(statement, one)}
        if statements.key(statement) in held and not statements.said(statement, self.content):
            return COPIED
        said = statements.content(statement)
        if said <= self.to_forget:
            return FORGOTTEN
        if any(2 * len(said & part) > len(said) for part in self.untold):
            return FORGOTTEN
        if any(forget.comes_back(statement, op.old, self.besides) for op in self.forgets):
            return FORGOTTEN
        if any(statements.key(statement) == statements.key(other) for other in self.statements):
            return REPEATED
        return ""

    def _drop(self, statement: str, reason: str, score: float | None = None) -> None:
        statement = words.clean(statement, snippet.MAX_CHARS)
        self.dropped.append(Dropped(statement, reason, score))

    def ground(self, gains: Sequence[float], least: float) -> None:
        """Keeps the statements whose gain is not under `least`, and those that have no word but
        the user's own: a small model's gain is no ground to lose what was said. Without nan.
        """
        pairs, self.statements, self.gains = zip(self.statements, gains, strict=True), [], []
        for statement, gain in pairs:
            said = statements.content(statement) <= self.content and not math.isnan(gain)
            if gain >= least or said:
                self.statements.append(statement)
                self.gains.append(gain)
            else:
                self._drop(statement, UNGROUNDED, gain)

    def note_explicit(self) -> None:
        """Adds what the words say outright and no kept statement tells; it needs no grounding.

        Where the kept ones tell a part of it ("drinks wine" of "never drinks red wine"), or
        mistranslate it, it stands in their place. How the user lives is added where nothing is
        noted of it.
        """
        foreign = abroad.told(self.heard)
        if foreign and abroad.tells_only(self.heard):
            kinds = {statements.parse(statement).kind for statement in foreign}
            lines = self.statements  # a good translation is of the same kind
            self._give_way([one for one in lines if statements.parse(one).kind not in kinds])
        for statement in (*explicit.said(self.heard), *foreign):
            akin = [kept for kept in self.statements if self._akin(statement, kept)]
            told = frozenset().union(*map(statements.content, akin))
            if akin and not _says_more(statement, akin, told) or self._objection(statement):
                continue
            self._give_way(akin)
            self._note(statement)
        for statement in explicit.lived(self.heard):
            told = frozenset().union(*map(statements.content, self.statements))
            if not (statements.content(statement) & told or self._objection(statement)):
                self._note(statement)

    def _give_way(self, outdone: Sequence[str]) -> None:
        pairs = list(zip(self.statements, self.gains, strict=True))
        for statement in outdone:
            self._drop(statement, OUTDONE)
        left = [pair for pair in pairs if pair[0] not in outdone]
        self.statements, self.gains = [one for one, _ in left], [gain for _, gain in left]

    def _note(self, statement: str) -> None:
        self.statements.append(update.flat(statement))
        self.gains.append(math.inf)

    def _akin(self, statement: str, kept: str) -> bool:
        """Whether two statements are of one thing; of Thai and of Ethiopian food they are not."""
        one, other = statements.content(statement), statements.content(kept)
        apart = bool(one - other) and set() < other - one <= self.content
        return statements.akin(statement, kept) and not apart

    def inferred(self, slots: Sequence[str], stated: float) -> Inferred:
        """Operations of the statements that are left, in their slots."""
        ops = list(self.forgets)
        turn, at = self.turn, (self.turn.session, self.turn.turn)
        before = facts.of_last_turn(turn.profile, at)
        if not (ops or self.statements):
            ops += forget.untold(self.heard, turn.profile, at)
        lost = forget.lost(self.heard, turn.profile, self.statements)
        ops += [op for op in lost if op not in ops]
        ops += forget.parts(self.statements, turn.profile)
        for statement, slot, gain in zip(self.statements, slots, self.gains, strict=True):
            heard = grounds.heard(self.heard, turn.profile, before, statement)
            said = heard is None or statements.said(statement, heard) >= stated
            ops.append(
                facts.FactOp(
                    kind=facts.ADD,
                    statement=statement,
                    slot=slot,
                    replaces=None,
                    polarity=statements.polarity(statement),
                    authority="stated" if said else "inferred",
                    confidence=grounding.confidence(gain),
                )
            )
        return Inferred(self.text, tuple(ops), tuple(self.dropped))


def _says_more(statement: str, akin: Sequence[str], told: frozenset[str]) -> bool:
    """Whether a statement says all that others tell, and more, or the opposite of one."""
    way, content = statements.polarity(statement), statements.content(statement)
    turned = any(statements.polarity(other) != way for other in akin)
    lists = re.search(r",| and | or ", statement) is not None  # its things are facts of their own
    return (told < content and not lists) or (turned and told >= content)
