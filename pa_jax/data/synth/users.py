"""Seeded synthetic users who talk with an assistant and say what people say of themselves.

Every wording and every draw follows from (seed, index, split) alone. Users, utterance templates
and the (slot, value) pairs that users come to hold are disjoint between "train" and "heldout".
"""

import dataclasses
import random

from pa_jax.data.synth import phrases, preferences, registers, smalltalk, talk, telling, truth
from pa_jax.dialogue import schema, snippet
from pa_jax.profile import taxonomy

# how often a turn is drawn as each kind, in percent; what has nothing to go on becomes a fact
_KINDS = {
    "talk": 36,
    "distractor": 13,
    "fact": 8,
    "several": 7,
    "explicit": 9,
    "choice": 7,
    "answer": 4,
    "change": 5,
    "correction": 6,
    "forget": 2,
}
_LANGUAGES = {phrases.ENGLISH: 88, "de": 3, "fr": 2, "es": 2, "it": 1, "nl": 1, "pt": 1, "zh": 2}
_FOREIGN_KINDS = ("talk", "distractor", "fact", "several")
_UNDECIDED = 0.12  # of answers to an offer
_THANKED = 0.15  # of messages that say nothing: a word of small talk comes first
_SCENES = 0.6  # of turns with several facts: in one sentence that was made for them
_THREE = 0.3  # of the others
_FORGETS_LAST = 0.5
_ADVISED = 0.3  # of answers that ask nothing: the assistant suggests this and that


def dialogue(
    seed: int, index: int, *, split: str, size: tuple[int, int] | None = None
) -> schema.Dialogue:
    """The whole dialogue of user `index`: 2 to 4 sessions of 4 to 8 turns, each turn labelled.

    `size` (sessions, turns a session) sets what is drawn otherwise.
    """
    return told(seed, index, split=split, size=size)[0]


def told(
    seed: int, index: int, *, split: str, size: tuple[int, int] | None = None
) -> tuple[schema.Dialogue, tuple[truth.Preference, ...]]:
    """The dialogue of a user, and those of the gold lines that prefer a value of a slot."""
    user = _User(seed, index, split)
    user.talk(size)
    made = schema.Dialogue(id=user.id, user_id=user.id, turns=tuple(user.turns))
    return made, tuple(user.teller.facts)


def facts(seed: int, index: int, split: str) -> tuple[truth.Preference, ...]:
    """The preferences of slots among the gold lines of `dialogue`, in their order."""
    return told(seed, index, split=split)[1]


@dataclasses.dataclass(frozen=True)
class _Turn:
    """A turn before it is labelled: both sides' words, what is new and which lines it ends."""

    kind: str
    user: str
    reply: str
    lines: tuple[str, ...] = ()
    retires: tuple[str, ...] = ()
    slot: str = ""


class _User:
    """One user on the way through the sessions; `talk` fills `turns`."""

    def __init__(self, seed: int, index: int, split: str) -> None:
        self.id = f"synth-{split}-{seed}-{index}"
        self.rng = random.Random(truth.digest("user", seed, index, split))
        self.split = split
        self.writer = registers.Writer(self.rng, split)
        self.language = self.rng.choices(tuple(_LANGUAGES), tuple(_LANGUAGES.values()))[0]
        self.teller = telling.Teller(self.rng, split, self.language)
        self.session = 0
        self.turns: list[schema.Turn] = []
        self.offer: preferences.Offer | None = None
        self.question: telling.Question | None = None
        self.last: tuple[truth.Said, ...] = ()  # what the turn before told, of sections
        self.rest: tuple[talk.SpokenTurn, ...] = ()  # of a talk of several turns, those to come

    def talk(self, size: tuple[int, int] | None = None) -> None:
        sessions, turns = size or (self.rng.randint(2, 4), None)
        for session in range(sessions):
            self.session, self.last, self.rest = session, (), ()
            kinds = self._plan(turns or self.rng.randint(4, 8))
            for kind, next_kind in zip(kinds, [*kinds[1:], ""], strict=True):
                self._turn(kind, next_kind)

    def _plan(self, turns: int) -> list[str]:
        """Kinds of one session; a choice or an answer follows some turn."""
        drawn = self.rng.choices(tuple(_KINDS), tuple(_KINDS.values()), k=turns)
        if self.language != phrases.ENGLISH:
            return [kind if kind in _FOREIGN_KINDS else "fact" for kind in drawn]
        if drawn[0] in ("choice", "answer"):
            drawn[0] = "fact"
        return drawn

    def _turn(self, kind: str, next_kind: str) -> None:
        words = smalltalk.words(self.rng, self.split)
        offer, question = self.offer, self.question
        made = self._going_on(words) or self._made(kind, words, offer, question)
        asks = "" if self.rest else next_kind
        self.offer = self.teller.offer() if asks == "choice" else None
        self.question = self.teller.question() if asks == "answer" else None
        reply = made.reply
        if asked := self.offer or self.question:
            text = asked.text
            reply = f"{self._reply('brief acks')} {text}" if made.lines else text
        elif self.language == phrases.ENGLISH and self.rng.random() < _ADVISED:
            reply += f" {self._reply('suggestions').format_map(words)}"
        self.turns.append(
            schema.Turn(
                user=made.user,
                assistant=reply,
                gold=snippet.render(snippet.Snippet(made.lines)),
                retires=made.retires,
                slot=made.slot,
                kind=made.kind,
                session=self.session,
            )
        )

    def _made(
        self,
        kind: str,
        words: dict[str, str],
        offer: preferences.Offer | None,
        question: telling.Question | None,
    ) -> _Turn:
        """The turn of a kind, or what takes its place where there is nothing to go on."""
        last, self.last = self.last, ()
        made: _Turn | None = None
        match kind:
            case "talk":
                made = self._talk(words)
            case "choice" if offer:
                made = self._choice(words, offer)
            case "answer" if question:
                made = self._answer(words, question)
            case "explicit":
                made = self._explicit(words)
            case "several":
                made = self._several(words)
            case "change":
                made = self._change(words)
            case "correction":
                made = self._correction(words, last)
            case "forget":
                made = self._forget(words, last)
        if made is None and kind != "distractor":
            made = self._fact(words)
        return made or self._distractor(words)

    # the kinds of turns

    def _talk(self, words: dict[str, str]) -> _Turn | None:
        """A turn that was written out whole; those that belong to it follow."""
        turns = self.teller.written(self.language)
        if not turns:
            return None
        self.rest = turns
        return self._going_on(words)

    def _going_on(self, words: dict[str, str]) -> _Turn | None:
        """The next turn of a talk, where one is under way."""
        if not self.rest:
            return None
        (said, *rest), self.last = self.rest, ()
        self.rest = tuple(rest)
        text = said.words
        if self.language == phrases.ENGLISH:
            text = self.writer.message(text, words, area="", plain=True)
        kind = "talk" if said.lines else "distractor"
        if said.retires:
            kind = "change" if said.lines else "forget"
        reply = self._reply("acks") if said.lines else smalltalk.reply(self.rng, "requests")
        return _Turn(kind, text, reply, said.lines, said.retires)

    def _fact(self, words: dict[str, str]) -> _Turn | None:
        said = self.teller.new()
        if said is None:
            return None
        text = self._said(said, words)
        text = self.teller.beside(said, words, self.writer) + text
        return self._telling("fact", words, text, (said,))

    def _several(self, words: dict[str, str]) -> _Turn | None:
        """Two or three statements, in one sentence or in several."""
        scene = self.teller.scene() if self.rng.random() < _SCENES else None
        if scene is not None:
            template, fill, told = scene
            text = self.writer.sentence(template, words | fill)
            return self._telling("several", words, text, told)
        wanted = 3 if self.rng.random() < _THREE else 2
        told = tuple(one for one in (self.teller.new() for _ in range(wanted)) if one)
        if len(told) < 2:
            return self._telling("fact", words, self._said(told[0], words), told) if told else None
        templates = [self.teller.template(one) for one in told]
        text = ""
        for one, template in zip(told, templates, strict=True):
            joint = self._joint(text) if text else ""
            if joint and joint[-1] not in ".?:! ":
                template = registers.decapitalised(template)
            fill = words | registers.words_of(one.value, one.scope)
            sentence = self.writer.sentence(template, fill, plural=one.value.plural)
            if joint == ", and":
                text = text[:-1]
            space = "" if not text or joint == ", and" else " "
            text += f"{space}{joint}{' ' if joint.strip() else ''}{sentence}"
        return self._telling("several", words, text, told)

    def _joint(self, text: str) -> str:
        """What joins a further sentence to a text; nothing in other languages."""
        drawn = self.rng.random()
        if self.language != phrases.ENGLISH or drawn < 0.45:
            return ""
        if text.endswith(".") and drawn < 0.75:
            return ", and"
        return self._reply("joints")

    def _explicit(self, words: dict[str, str]) -> _Turn | None:
        drawn = self.teller.preference(len(self.turns))
        if drawn is None:
            return None
        fact, template = drawn
        slot = taxonomy.Taxonomy.load().get(fact.slot)
        fill = words | preferences.words_of(slot, fact.value)
        fill["r"] = preferences.reason(self.rng, fact.polarity)
        text = self.writer.sentence(template, fill)
        area = fact.slot.split("/")[0]
        user = self.writer.message(text, words, area=area, plain=False)
        return _Turn("explicit", user, self._reply("acks"), (fact.line,), slot=fact.slot)

    def _choice(self, words: dict[str, str], offer: preferences.Offer) -> _Turn:
        if self.rng.random() < _UNDECIDED:
            templates = phrases.part(phrases.lists("preferences")["no choice"], self.split)
            return _Turn("distractor", self.rng.choice(templates), self._reply("chat"))
        fact = self.teller.chosen(offer, len(self.turns))
        fill = words | {"pick": offer.pick, "lost": offer.lost}
        fill |= {"Pick": truth.capital(offer.pick), "Lost": truth.capital(offer.lost)}
        templates = phrases.part(phrases.lists("preferences")["choice"], self.split)
        text = self.writer.sentence(self.rng.choice(templates), fill)
        user = self.writer.message(text, words, area="", plain=True)
        return _Turn("choice", user, self._reply("acks"), (fact.line,), slot=fact.slot)

    def _answer(self, words: dict[str, str], question: telling.Question) -> _Turn:
        said = question.said
        self.teller.hold(said, len(self.turns))
        self.last = (said,)
        fill = words | registers.words_of(said.value, said.scope)
        text = self.writer.sentence(question.answer, fill, plural=said.value.plural)
        if self.writer.lowercase:
            text = text.lower()
        return _Turn("answer", text, self._reply("acks"), (said.line,), slot=said.section.slot)

    def _change(self, words: dict[str, str]) -> _Turn | None:
        """A value gives way to another, or a statement is turned."""
        change = self.teller.change(words, len(self.turns), self._before_session())
        if change is None:
            return None
        text = self.writer.sentence(change.template, change.words, plural=change.plural)
        user = self.writer.message(text, words, area="", plain=True)
        reply = self._reply("change acks")
        return _Turn("change", user, reply, (change.new,), (change.old,), change.slot)

    def _correction(self, words: dict[str, str], last: tuple[truth.Said, ...]) -> _Turn | None:
        """The turn before is put right."""
        if len(last) != 1:
            return None
        new = self.teller.instead(last[0])
        if new is None:
            return None
        self.teller.drop(last[0])
        self.teller.hold(new, len(self.turns))
        fill = words | registers.words_of(new.value) | {"old": last[0].value.said}
        template = self.rng.choice(phrases.lists("replies")["corrections"])
        text = phrases.fill(template, fill, plural=new.value.plural)
        user = self.writer.message(text, words, area="", plain=True)
        reply = self._reply("change acks")
        return _Turn("correction", user, reply, (new.line,), (last[0].line,), new.section.slot)

    def _forget(self, words: dict[str, str], last: tuple[truth.Said, ...]) -> _Turn | None:
        """What the turn before told, or one statement by name, is to be forgotten."""
        gone, name = last, "forgets that"
        if not gone or self.rng.random() >= _FORGETS_LAST:
            gone, name = self.teller.named(), "forgets"
        if not gone:
            return None
        for said in gone:
            self.teller.drop(said)
        fill = words | registers.words_of(gone[0].value)
        text = self.rng.choice(phrases.lists("replies")[name]).format_map(fill)
        user = self.writer.message(text, words, area="", plain=True)
        retired = tuple(said.line for said in gone)
        return _Turn("forget", user, self._reply("forget acks"), retires=retired)

    def _distractor(self, words: dict[str, str]) -> _Turn:
        kind = smalltalk.kind(self.rng, self.language)
        if kind == smalltalk.QUOTED:
            said = self.teller.another()
            words = words | {"q": self._said(said, words) if said else "I see."}
        template = self.teller.fresh(smalltalk.templates(kind, self.language, self.split))
        user = self.writer.sentence(template, words)
        if self.language == phrases.ENGLISH and kind != "small talk":
            if self.rng.random() < _THANKED:
                chat = smalltalk.templates("small talk", self.language, self.split)
                user = f"{self.rng.choice(chat).format_map(words)} {user}"
            long = self.writer.long("", words) if kind == "requests" else ""
            user = long or self.writer.message(user, words, area="", plain=True)
        elif self.writer.lowercase:
            user = user.lower()
        return _Turn("distractor", user, smalltalk.reply(self.rng, kind))

    # what they are made of

    def _telling(
        self,
        kind: str,
        words: dict[str, str],
        text: str,
        told: list[truth.Said] | tuple[truth.Said, ...],
    ) -> _Turn:
        """The turn in which statements were told."""
        for said in told:
            self.teller.hold(said, len(self.turns))
        self.last = tuple(told)
        slot = told[0].section.slot
        if self.language == phrases.ENGLISH:
            area = slot.split("/")[0]
            text = self.writer.message(text, words, area=area, plain=text.endswith("?"))
        lines = tuple(said.line for said in told)
        return _Turn(kind, text, self._reply("acks"), lines, slot=slot)

    def _said(self, said: truth.Said, words: dict[str, str]) -> str:
        fill = words | registers.words_of(said.value, said.scope)
        return self.writer.sentence(self.teller.template(said), fill, plural=said.value.plural)

    def _before_session(self) -> int:
        """The number of turns before this session."""
        return sum(turn.session < self.session for turn in self.turns)

    def _reply(self, name: str) -> str:
        return self.rng.choice(phrases.lists("replies")[name])
