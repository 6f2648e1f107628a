"""Seeded synthetic users who talk with an assistant and let preferences show.

Every wording and every draw follows from (seed, index, split) alone. Users, utterance templates
and the (slot, value) pairs that users come to hold are disjoint between "train" and "heldout".
"""

import dataclasses
import functools
import random
import re
from collections.abc import Mapping

from pa_jax.data import synth_phrases as phrases
from pa_jax.data import synth_smalltalk as smalltalk
from pa_jax.data import synth_truth as truth
from pa_jax.dialogue import schema, snippet
from pa_jax.profile import taxonomy

MIN_WORDS = 12
MAX_WORDS = 70
MAX_REPLY_WORDS = 60

Fact = truth.Fact
LIKE = truth.LIKE
DISLIKE = truth.DISLIKE
SPLITS = truth.SPLITS
variants = truth.variants

# how often a turn is drawn as each kind, in percent
_KINDS = {"explicit": 24, "choice": 20, "persona": 20, "distractor": 27, "change": 9}
_TONES = ("terse", "chatty", "polite", "casual")
_TWO_AT_ONCE = 0.18
_NEGATIVE = 0.15
_WITH_REASON = 0.35
_NO_REQUEST = 0.3
_ASKS_FOR_OPTIONS = 0.5
_ABOUT_OTHERS = 0.2
_MIN_OPTIONS = 3
_MAX_OPTIONS = 4

_COUNTED = frozenset({"Car", "Destination", "Commute", "Pace"})  # names that need an article
_ORDINALS = ("first", "second", "third", "fourth")
# slots that nobody changes on a whim or turns down as a matter of taste
_LASTING = re.compile(r"allerg|religio|faith|condition|pronoun|injur|pregnan|accessib|diagnos")
_CUE_ENDS = re.compile(
    r"\b(with|without|at|in|on|of|to|from|for|and|or|but|over|until|before|by|that|as|than|near)\b"
)
_KEEPS_CAPITAL = re.compile(r"I\b|\{(Friend|Month|v_up)\}")


@dataclasses.dataclass(frozen=True)
class _Offer:
    """Options the assistant lists; `pick` and `lost` point at the one taken and at another."""

    fact: Fact
    pick: str
    lost: str
    text: str


@dataclasses.dataclass(frozen=True)
class _Said:
    """A turn before it is labelled: both sides' words, what is new and which lines it ends."""

    user: str
    reply: str
    facts: tuple[Fact, ...]
    retires: tuple[str, ...]


def dialogue(
    seed: int, index: int, *, split: str, size: tuple[int, int] | None = None
) -> schema.Dialogue:
    """The whole dialogue of user `index`: 2 to 4 sessions of 4 to 8 turns, each turn labelled.

    A turn that shows two preferences has two lines of gold, and the slot of the first. `size`
    (sessions, turns a session) sets what is drawn otherwise.
    """
    return told(seed, index, split=split, size=size)[0]


def told(
    seed: int, index: int, *, split: str, size: tuple[int, int] | None = None
) -> tuple[schema.Dialogue, tuple[Fact, ...]]:
    """The dialogue of a user, and the preferences behind its gold lines in their order."""
    user = _User(seed, index, split)
    user.talk(size)
    made = schema.Dialogue(id=user.id, user_id=user.id, turns=tuple(user.turns))
    return made, tuple(user.facts)


def facts(seed: int, index: int, split: str) -> tuple[Fact, ...]:
    """The preferences behind the gold lines of `dialogue`, in the order of those lines."""
    return told(seed, index, split=split)[1]


class _User:
    """One user on the way through the sessions; `talk` fills `turns` and `facts`."""

    def __init__(self, seed: int, index: int, split: str):
        self.values = truth.values_of(split)
        self.split = split
        self.id = f"synth-{split}-{seed}-{index}"
        self.rng = random.Random(truth.digest("user", seed, index, split))
        self.tone = self.rng.choice(_TONES)
        self.job = self.rng.choice(_filler_lists()["job"])
        self.slots = taxonomy.Taxonomy.load()
        self.deck = list(self.values)  # slots that have not come up yet, in random order
        self.rng.shuffle(self.deck)
        self.session = 0
        self.fresh: dict[str, list[str]] = {}  # templates by block that this user has not used yet
        self.turns: list[schema.Turn] = []
        self.facts: list[Fact] = []

    def talk(self, size: tuple[int, int] | None = None) -> None:
        sessions, turns = size or (self.rng.randint(2, 4), None)
        for session in range(sessions):
            self.session = session
            kinds = self._plan(turns or self.rng.randint(4, 8))
            offer = None
            for kind, next_kind in zip(kinds, [*kinds[1:], ""], strict=True):
                offer = self._turn(kind, next_kind, offer)

    def _plan(self, turns: int) -> list[str]:
        """Kinds of one session: a choice follows some turn, a change an earlier session.

        When few slots are left that have not come up, only changes and distractors are.
        """
        drawn = self.rng.choices(tuple(_KINDS), tuple(_KINDS.values()), k=turns)
        if drawn[0] == "choice":
            drawn[0] = "persona"
        changes = [place for place, kind in enumerate(drawn) if kind == "change"]
        for place in changes[len(self._changeable()) :]:
            drawn[place] = "explicit"
        left = sum(len(self._options(path)) >= _MIN_OPTIONS for path in self.deck)
        if left <= 2 * turns:
            return [kind if kind == "change" else "distractor" for kind in drawn]
        return drawn

    def _turn(self, kind: str, next_kind: str, offer: _Offer | None) -> _Offer | None:
        """Adds one turn; returns the offer its reply makes where the next turn is a choice."""
        fill = self._fillers()
        next_offer = self._offer(fill) if next_kind == "choice" else None
        match kind:
            case "distractor":
                said = self._distractor(fill, next_offer)
            case "choice":
                said = self._choice(fill, offer)
            case "change":
                said = self._change(fill)
            case _:
                said = self._telling(fill, kind)
        reply = said.reply
        if next_offer:
            first = "" if kind == "distractor" else self._pick(smalltalk.BRIEF_ACKS) + " "
            reply = first + next_offer.text
        self.facts.extend(said.facts)
        gold = snippet.Snippet(tuple(self._line(fact) for fact in said.facts))
        self.turns.append(
            schema.Turn(
                user=said.user,
                assistant=reply,
                gold=snippet.render(gold),
                retires=said.retires,
                slot=said.facts[0].slot if said.facts else "",
                kind=kind,
                session=self.session,
            )
        )
        return next_offer

    # the kinds of turns

    def _telling(self, fill: dict[str, str], kind: str) -> _Said:
        """An explicit or persona turn: one preference, or two."""
        two = kind == "explicit" and self.rng.random() < _TWO_AT_ONCE
        new = [self._new_fact(fill, LIKE if two else self._polarity())]
        if two:
            new.append(self._new_fact(fill, LIKE, mark="2"))
            name = "pairs"
        elif new[0].polarity == LIKE:
            name = "likes" if kind == "explicit" else "personas"
        else:
            name = "dislikes" if kind == "explicit" else "persona_dislikes"
        reasons = phrases.LIKE_REASONS if new[0].polarity == LIKE else phrases.DISLIKE_REASONS
        user = self._message(phrases.LISTS[name], fill, self._reason(reasons, new[0]))
        return _Said(user, self._pick(smalltalk.ACKS).format_map(fill), tuple(new), ())

    def _choice(self, fill: dict[str, str], offer: _Offer) -> _Said:
        fact = dataclasses.replace(offer.fact, turn=len(self.turns))
        self._put(fill, fact)
        fill |= {"pick": offer.pick, "lost": offer.lost}
        fill |= {"Pick": truth.capital(offer.pick), "Lost": truth.capital(offer.lost)}
        user = self._message(phrases.CHOICES, fill, self._reason(phrases.LIKE_REASONS, fact))
        return _Said(user, self._pick(smalltalk.ACKS).format_map(fill), (fact,), ())

    def _change(self, fill: dict[str, str]) -> _Said:
        old = self.rng.choice(self._changeable())
        others = [value for value in self.values[old.slot] if value != old.value]
        fact = Fact(len(self.turns), old.slot, self.rng.choice(others), LIKE)
        self._put(fill, fact)
        fill["old"] = old.value
        user = self._message(phrases.CHANGES, fill, self._reason(phrases.CHANGE_REASONS, fact))
        reply = self._pick(smalltalk.CHANGE_ACKS).format_map(fill)
        return _Said(user, reply, (fact,), (self._line(old),))

    def _distractor(self, fill: dict[str, str], next_offer: _Offer | None) -> _Said:
        """A request that shows no preference; it may ask for the options that the reply lists."""
        if next_offer and self.rng.random() < _ASKS_FOR_OPTIONS:
            self._put(fill, next_offer.fact)
            return _Said(self._message(phrases.OPTION_REQUESTS, fill, ""), "", (), ())
        group = "others"
        if self.rng.random() >= _ABOUT_OTHERS:
            group = self.rng.choice([name for name in smalltalk.GROUPS if name != group])
        path = self.rng.choice(self.deck)
        self._put(fill, Fact(len(self.turns), path, self.rng.choice(self.values[path]), LIKE))
        user = self._message(smalltalk.GROUPS[group], fill, "")
        return _Said(user, self._pick(smalltalk.REPLIES[group]).format_map(fill), (), ())

    def _offer(self, fill: dict[str, str]) -> _Offer:
        """Options of a slot that has not come up; the user may come to hold the one picked."""
        path = next(path for path in self.deck if len(self._options(path)) >= _MIN_OPTIONS)
        self.deck.remove(path)
        picked = self.rng.choice(self.values[path])
        others = [value for value in self._options(path) if value != picked]
        n_others = self.rng.randint(_MIN_OPTIONS, _MAX_OPTIONS) - 1
        values = [picked, *self.rng.sample(others, min(n_others, len(others)))]
        self.rng.shuffle(values)
        if sum(len(value.split()) for value in values) > 24 and len(values) > _MIN_OPTIONS:
            values.remove(next(value for value in values if value != picked))
        fact = Fact(-1, path, picked, LIKE)
        words = dict(fill)
        self._put(words, fact)
        style = self.rng.choice(("plain", "number", "letter"))
        words |= {"options": _listed(values, style), "question": self.slots.get(path).question}
        text = self._pick(smalltalk.OFFERS).format_map(words)
        lost = self.rng.choice([value for value in values if value != picked])
        return _Offer(
            fact=fact,
            pick=self.rng.choice(_references(values, values.index(picked), style)),
            lost=f"the {_ORDINALS[values.index(lost)]} one",
            text=truth.capital(text),
        )

    # what they are made of

    def _changeable(self) -> list[Fact]:
        """Likes of earlier sessions that still hold and could give way to another value."""
        latest = {fact.slot: fact for fact in self.facts if fact.polarity == LIKE}
        return [
            fact
            for path, fact in latest.items()
            if len(self.values[path]) > 1
            and self.turns[fact.turn].session < self.session
            and not _LASTING.search(path)
        ]

    def _options(self, path: str) -> tuple[str, ...]:
        """Values an assistant may list: in training nothing held out, else anything."""
        trains = self.split in ("train", "seen")
        return self.values[path] if trains else self.slots.get(path).values

    def _polarity(self) -> str:
        return DISLIKE if self.rng.random() < _NEGATIVE else LIKE

    def _new_fact(self, fill: dict[str, str], polarity: str, mark: str = "") -> Fact:
        """A preference in a slot that has not come up; its words go into `fill`."""
        path = self.deck.pop()
        value = self.rng.choice(self.values[path])
        if _LASTING.search(path) or not truth.can_dislike(value):
            polarity = LIKE
        fact = Fact(len(self.turns), path, value, polarity)
        self._put(fill, fact, mark)
        return fact

    def _put(self, fill: dict[str, str], fact: Fact, mark: str = "") -> None:
        slot = self.slots.get(fact.slot)
        fill |= {
            f"v{mark}": fact.value,
            f"v_up{mark}": truth.capital(fact.value),
            f"w{mark}": slot.when,
            f"W{mark}": truth.capital(slot.when),
            f"topic{mark}": _topic(slot.name),
        }

    def _line(self, fact: Fact) -> str:
        return truth.statement(self.slots.get(fact.slot), fact.value, fact.polarity)

    def _pick(self, block: str) -> str:
        return self.rng.choice(phrases.lines(block))

    def _reason(self, block: str, fact: Fact) -> str:
        if self.rng.random() >= _WITH_REASON:
            return ""
        special = phrases.CATEGORY_REASONS.get(fact.slot.split("/")[0], "")
        special = special if fact.polarity == LIKE else ""
        return self._pick(special if special and self.rng.random() < 0.3 else block)

    def _fillers(self) -> dict[str, str]:
        fill = {name: self.rng.choice(words) for name, words in _filler_lists().items()}
        cities = [city for city in _filler_lists()["city"] if city != fill["city"]]
        fill |= {"job": self.job, "city2": self.rng.choice(cities)}
        fill |= {"Friend": fill["friend"], "Month": fill["month"]}
        numbers = {"a": (3, 60), "b": (61, 980), "year": (1750, 1995)}
        return fill | {name: str(self.rng.randint(*ends)) for name, ends in numbers.items()}

    def _message(self, block: str, fill: dict[str, str], reason: str) -> str:
        """A template of this split filled in, with what the user's tone adds, within bounds."""
        template = self._fresh(block, phrases.split_lines(block, self.split))
        ask = self._pick(phrases.ASKS).format_map(fill)
        fill |= {"r": reason, "ask": ask, "Ask": truth.capital(ask)}
        if template.endswith("{Ask}") and self.rng.random() < _NO_REQUEST:
            fill["Ask"] = ""
        core = template.format_map(fill).strip()
        if len(core.split()) > MAX_WORDS:
            core = template.format_map(fill | {"r": "", "Ask": ""}).strip()
        closers = list(phrases.lines(smalltalk.CLOSERS[self.tone]))
        self.rng.shuffle(closers)
        text = self._with_opener(template, core, fill)
        if self.rng.random() < 0.3 or len(text.split()) < MIN_WORDS:
            text = f"{text} {closers.pop().format_map(fill)}"
        while len(text.split()) < MIN_WORDS:
            text = f"{text} {closers.pop().format_map(fill)}"
        return text if len(text.split()) <= MAX_WORDS else core

    def _fresh(self, block: str, templates: tuple[str, ...]) -> str:
        """A template that this user has not used yet, as long as there is one."""
        left = self.fresh.get(block)
        if not left:
            left = self.fresh[block] = self.rng.sample(templates, len(templates))
        return left.pop()

    def _with_opener(self, template: str, core: str, fill: dict[str, str]) -> str:
        openers = phrases.lines(smalltalk.OPENERS[self.tone])
        greets = not self.turns or self.turns[-1].session < self.session
        if self.tone == "terse" or self.rng.random() >= (0.7 if greets else 0.12):
            return core
        opener = self._fresh(smalltalk.OPENERS[self.tone], openers).format_map(fill)
        if opener.endswith(",") and not _KEEPS_CAPITAL.match(template):
            core = core[:1].lower() + core[1:] if not re.match(r"I\b", core) else core
        return f"{opener} {core}"


@functools.cache
def _filler_lists() -> Mapping[str, tuple[str, ...]]:
    return {
        name: tuple(text.split("|") if "|" in text else text.split())
        for name, text in smalltalk.FILLERS.items()
    }


def _topic(name: str) -> str:
    """A slot's name as it reads within a sentence."""
    first, *rest = name.split()
    words = [first if first.isupper() else first.lower(), *rest]
    return " ".join(["the", *words] if " of the " in name or name in _COUNTED else words)


def _listed(values: list[str], style: str) -> str:
    if style == "plain":
        return f"{', '.join(values[:-1])}, or {values[-1]}"
    marks = "1234" if style == "number" else "ABCD"
    return "; ".join(f"({mark}) {value}" for mark, value in zip(marks, values, strict=False))


def _references(values: list[str], picked: int, style: str) -> list[str]:
    """Ways to point at one of the options without repeating all of it, the usual ones twice."""
    ways = [f"the {_ORDINALS[picked]} one", f"the {_ORDINALS[picked]} option"]
    if style == "number":
        ways += [f"number {picked + 1}"] * 2
    if style == "letter":
        ways += [f"option {'ABCD'[picked]}"] * 2
    if picked == len(values) - 1:
        ways += ["the last one"] * 2
    cue = _cue(values[picked])
    if cue and [_cue(value) for value in values].count(cue) == 1:
        ways += [cue] * 3
    return ways


def _cue(value: str) -> str:
    """The first words of a value, as one would point at it: "the aisle seat"."""
    words = _CUE_ENDS.split(value)[0].split()
    if words and words[0] in ("a", "an", "the"):
        words[0] = "the"
    return " ".join(words) if 1 < len(words) < 6 else ""
