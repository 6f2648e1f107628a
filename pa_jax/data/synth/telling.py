"""What one synthetic user has told and can still tell, and how the next of it is said.

A value comes up once a user, whatever the section, so that nothing is contradicted unless it is
meant to be; of a section or slot that holds one, one thing holds at a time, as the profile sees it.
"""

import dataclasses
import random
import re

from pa_jax.data.synth import phrases, preferences, registers, talk, truth
from pa_jax.profile import taxonomy

_NEGATIVE = 0.4  # of preferences told unasked
_TRIES = 12
_CONTRAST = 0.2  # of dislikes: what somebody else likes comes first
_ASIDE = 0.1  # of facts: something about somebody else comes first
_CONTRASTED = ("dislikes_food", "dislikes", "hates", "no_interest")
# slots that nobody changes on a whim or turns down as a matter of taste
_LASTING = re.compile(r"allerg|religio|faith|condition|pronoun|injur|pregnan|accessib|diagnos")
_WORD = re.compile(r"\w+")
_FILLER = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True)
class Question:
    """What the assistant asks, the answer's template, and what the answer tells."""

    text: str
    answer: str
    said: truth.Said


@dataclasses.dataclass(frozen=True)
class Replacement:
    """A line that gives way to another, and the words for it."""

    old: str
    new: str
    slot: str
    template: str
    words: dict[str, str]
    plural: bool


class Teller:
    """One user's store of things to tell; `facts` are the preferences told so far."""

    def __init__(self, rng: random.Random, split: str, language: str) -> None:
        self.rng, self.split = rng, split
        self.values = truth.values_of(split)
        self.slots = taxonomy.Taxonomy.load()
        # slots that have not come up yet, in random order; of safety the sections speak
        self.deck = list(truth.tastes(split))
        rng.shuffle(self.deck)
        self.sections = {
            name: (section, values)
            for name, section in phrases.sections().items()
            if section.language == language and (values := truth.section_values(name, split))
        }
        self.bag = [n for n, (s, _) in self.sections.items() for _ in range(s.weight)]
        self.facts: list[truth.Preference] = []
        self.held: list[tuple[truth.Said, int]] = []  # with the turn that told it
        self.used: set[str] = set()  # values that came up
        self.told: frozenset[str] = frozenset()  # words of the lines of talks
        self.taken: set[str] = set()  # slots of preferences, and keys of what one holds
        self.groups: dict[str, str] = {}
        self.unsaid: dict[tuple[str, ...], list[str]] = {}  # templates that are left, by list

    # statements of sections

    def new(self) -> truth.Said | None:
        """A statement that has not come up; it is used up, and holds once `hold` is called."""
        for _ in range(_TRIES if self.bag else 0):
            section, values = self.sections[self.rng.choice(self.bag)]
            said = self._free(section, values)
            if said is not None and not section.only_turns:
                return self._take(said)
        return None

    def _free(
        self, section: phrases.Section, values: tuple[phrases.Value, ...]
    ) -> truth.Said | None:
        if section.key in self.taken:
            return None
        if section.group and self.groups.get(section.group, section.name) != section.name:
            return None
        left = self._unused(values)
        if not left:
            return None
        scope = self.rng.choice(section.scopes) if section.scopes else ""
        said = truth.said(section, self.rng.choice(left), scope)
        return None if truth.only_slot(said.line) in self.taken else said

    def _unused(self, values: tuple[phrases.Value, ...]) -> list[phrases.Value]:
        """The values that have not come up, in sections or in talks."""
        return [
            value
            for value in values
            if value.noted not in self.used and not truth.content(value.noted) & self.told
        ]

    def _take(self, said: truth.Said) -> truth.Said:
        section = said.section
        self.used.add(said.value.noted)
        self.taken |= {truth.only_slot(said.line)} - {""}
        if section.one:
            self.taken.add(section.key)
        if section.group:
            self.groups[section.group] = section.name
        if section.slot in self.deck:
            self.deck.remove(section.slot)
        return said

    def _release(self, said: truth.Said) -> None:
        """What was taken and is not told after all can come up again."""
        self.used.discard(said.value.noted)
        self.taken -= {said.section.key, truth.only_slot(said.line)}

    def another(self) -> truth.Said | None:
        """A statement that the user does not make."""
        said = self.new()
        if said is not None:
            self._release(said)
        return said

    def scene(self) -> tuple[str, dict[str, str], tuple[truth.Said, ...]] | None:
        """A template that tells several statements, its fillers, and they; None where one fails."""
        template = self.fresh(phrases.part(phrases.lists("scenes")["scenes"], self.split))
        told: list[truth.Said] = []
        fill: dict[str, str] = {}

        def numbered(filler: re.Match[str]) -> str:
            name = filler[1][:1].lower() + filler[1][1:]
            if name not in phrases.sections():
                return filler[0]
            said = self._free(*self.sections[name]) if name in self.sections else None
            if said is None:
                return ""
            told.append(self._take(said))
            fill[f"s{len(told)}"] = said.value.said
            fill[f"S{len(told)}"] = truth.capital(said.value.said)
            return f"{{{'s' if filler[1] == name else 'S'}{len(told)}}}"

        text = _FILLER.sub(numbered, template)
        if len(_FILLER.findall(text)) == len(_FILLER.findall(template)):
            return text, fill, tuple(told)
        for said in told:
            self._release(said)
        return None

    def written(self, language: str) -> tuple[talk.SpokenTurn, ...]:
        """Turns that were written out whole; none where what they tell has come up otherwise."""
        for _ in range(_TRIES):
            template = self.fresh(talk.templates(language, self.split))
            turns = talk.made(template, self.rng.randrange)
            lines = {line for turn in turns for line in turn.lines}
            if lines & truth.lines_of_others(self.split):
                continue
            keys = truth.only_slots(template)
            words = frozenset[str]().union(*map(truth.content, lines))
            known = self.told.union(*map(truth.content, self.used))
            if not keys & self.taken and not words & known:
                self.taken |= keys
                self.told |= words
                return turns
        return ()

    def hold(self, said: truth.Said, turn: int) -> None:
        self.held.append((said, turn))

    def drop(self, said: truth.Said) -> None:
        self.held = [(one, turn) for one, turn in self.held if one is not said]

    def template(self, said: truth.Said) -> str:
        return self.fresh(phrases.part(said.section.says, self.split))

    def beside(self, said: truth.Said, words: dict[str, str], writer: registers.Writer) -> str:
        """What is said of somebody else before a statement of the user's own, or nothing."""
        drawn, fill = self.rng.random(), words | registers.words_of(said.value)
        if said.section.name in _CONTRASTED and drawn < _CONTRAST:
            name = "contrasts"
        elif said.section.language == phrases.ENGLISH and drawn > 1 - _ASIDE:
            name = "asides"
        else:
            return ""
        return writer.sentence(self.rng.choice(phrases.lists("replies")[name]), fill) + " "

    def question(self) -> Question | None:
        """Something the assistant may ask to which the user has a short answer."""
        for _ in range(_TRIES):
            said = self.new()
            if said is None:
                return None
            section = said.section
            lists = [(section.questions, section.answers), (section.offers, section.replies)]
            kinds = [[phrases.part(lines, self.split) for lines in pair] for pair in lists]
            kinds = [pair for pair in kinds if all(pair)]
            if not kinds:
                self._release(said)
                continue
            asked, answers = self.rng.choice(kinds)
            words, plural = registers.words_of(said.value), said.value.plural
            text = phrases.fill(self.rng.choice(asked), words, plural=plural)
            return Question(text, self.rng.choice(answers), said)
        return None

    def instead(self, said: truth.Said) -> truth.Said | None:
        """Another statement of the same section, to put it right; None where none reads."""
        section, values = self.sections[said.section.name]
        left = self._unused(values)
        alone = truth.only_slot(said.line)
        left = [
            value
            for value in left
            if value.plural == said.value.plural
            and truth.only_slot(truth.said(section, value, said.scope).line) in (alone, "")
        ]
        if section.verbal or section.turns or section.language != phrases.ENGLISH or not left:
            return None
        return self._take(truth.said(section, self.rng.choice(left), said.scope))

    def named(self) -> tuple[truth.Said, ...]:
        """A held statement that its value alone names, as the only one; empty where none is."""
        lines = [said.line for said, _ in self.held] + [fact.line for fact in self.facts]
        clear = [
            said
            for said, _ in self.held
            if not (said.section.phrase or said.section.verbal)
            and sum(_holds(line, said.value.noted) for line in lines) == 1
        ]
        return (self.rng.choice(clear),) if clear else ()

    # preferences of slots

    def preference(self, turn: int) -> tuple[truth.Preference, str] | None:
        """A preference in a slot that has not come up, and a wording of it."""
        self.deck = [path for path in self.deck if path not in self.taken]
        if not self.deck:
            return None
        path = self.deck.pop()
        value = self.rng.choice(self.values[path])
        turned = self.rng.random() < _NEGATIVE
        turned = turned and not _LASTING.search(path) and truth.can_dislike(value)
        polarity = truth.DISLIKE if turned else truth.LIKE
        verb = self.rng.choice(truth.verbs(value, polarity))
        fact = self._prefer(turn, path, value, polarity, verb)
        return fact, self.fresh(preferences.templates(verb, value, self.split))

    def offer(self) -> preferences.Offer | None:
        """Options of a slot that has not come up; the user may come to hold the one picked."""
        self.deck = [path for path in self.deck if path not in self.taken]
        fits = (p for p in self.deck if len(self._options(p)) >= preferences.MIN_OPTIONS)
        path = next(fits, None)
        if path is None:
            return None
        self.deck.remove(path)
        self.taken.add(path)
        picked = self.rng.choice(self.values[path])
        return preferences.offer(self.rng, self.slots.get(path), picked, self._options(path))

    def chosen(self, offer: preferences.Offer, turn: int) -> truth.Preference:
        """The preference that a choice shows."""
        return self._prefer(turn, offer.path, offer.value, truth.LIKE, "prefers")

    def _prefer(
        self, turn: int, path: str, value: str, polarity: str, verb: str
    ) -> truth.Preference:
        line = truth.statement(self.slots.get(path), value, polarity, verb)
        fact = truth.Preference(turn, path, value, polarity, line)
        self.facts.append(fact)
        self.taken.add(path)
        return fact

    def _options(self, path: str) -> tuple[str, ...]:
        """Values an assistant may list: in training nothing held out, else anything."""
        trains = self.split in ("train", "seen")
        return self.values[path] if trains else self.slots.get(path).values

    # changes

    def change(self, words: dict[str, str], turn: int, before: int) -> Replacement | None:
        """Something told before turn `before` that gives way; None where nothing does."""
        ways = [self._other_preference, self._other_value, self._turned]
        self.rng.shuffle(ways)
        for way in ways:
            found = way(words, turn, before)
            if found is not None:
                return found
        return None

    def _other_preference(
        self, words: dict[str, str], turn: int, before: int
    ) -> Replacement | None:
        latest = {fact.slot: fact for fact in self.facts}
        able = [
            fact
            for fact in latest.values()
            if fact.turn < before
            and fact.polarity == truth.LIKE
            and len(self.values[fact.slot]) > 1
            and not _LASTING.search(fact.slot)
        ]
        if not able:
            return None
        old = self.rng.choice(able)
        value = self.rng.choice([v for v in self.values[old.slot] if v != old.value])
        new = self._prefer(turn, old.slot, value, truth.LIKE, "prefers")
        slot = self.slots.get(old.slot)
        fill = words | preferences.words_of(slot, value) | {"old": old.value}
        template = self.fresh(preferences.templates("change", value, self.split))
        return Replacement(old.line, new.line, old.slot, template, fill, False)

    def _other_value(self, words: dict[str, str], turn: int, before: int) -> Replacement | None:
        able = [said for said, at in self.held if at < before and said.section.changes]
        if not able:
            return None
        old = self.rng.choice(able)
        new = self.instead(old)
        if new is None:
            return None
        self.drop(old)
        self.hold(new, turn)
        fill = words | registers.words_of(new.value) | {"old": old.value.said}
        template = self.fresh(phrases.part(new.section.changes, self.split))
        return Replacement(old.line, new.line, new.section.slot, template, fill, new.value.plural)

    def _turned(self, words: dict[str, str], turn: int, before: int) -> Replacement | None:
        turning = {s.turns: s for s, _ in self.sections.values() if s.turns}
        able = [said for said, at in self.held if at < before and said.section.name in turning]
        if not able:
            return None
        old = self.rng.choice(able)
        new = truth.said(turning[old.section.name], old.value)
        self.drop(old)
        self.hold(new, turn)
        fill = words | registers.words_of(new.value)
        template = self.fresh(phrases.part(new.section.turned, self.split))
        return Replacement(old.line, new.line, new.section.slot, template, fill, new.value.plural)

    def fresh(self, templates: tuple[str, ...]) -> str:
        """A template that this user has not used yet, as long as there is one."""
        left = self.unsaid.get(templates)
        if not left:
            left = self.unsaid[templates] = self.rng.sample(templates, len(templates))
        return left.pop()


def _holds(line: str, value: str) -> bool:
    """Whether a line has every word of a value."""
    return set(_WORD.findall(value.lower())) <= set(_WORD.findall(line.lower()))
