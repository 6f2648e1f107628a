"""What the user's words ask to have forgotten, as operations.

"Forget that" means what the turn before taught, or what the sentence before it names; "forget that
I like tea", "forget about the tea" mean the facts that hold every word of the rest; "forget
everything about music" means a whole topic. "Forget everything" is no operation: that is
ProfileStore.erase, which a user asks for by command. Nor is "don't forget that ...", and "and
forget that ..." behind a subject tells what somebody does.
"""

import re
from collections.abc import Iterator, Sequence

from pa_jax.english import abroad, changes, lists, person, stance, statements, words
from pa_jax.profile import facts, taxonomy, topics

_KEEP = "remember|keep|save|store|note|record|hold|track|log"
_KEEPING = (  # the same in any form
    r"know|knew|known|knowing|remember(?:ed|ing)?|keep(?:ing)?|kept|sav(?:e|ed|ing)|stor(?:e|ed|ing)"
    r"|not(?:e|ed|ing)|record(?:ed|ing)?|hold(?:ing)?|held|track(?:ed|ing)?|log(?:ged|ging)?"
    r"|have|had|having"
)
_FILES = (
    r"(?:your (?:notes?|lists?|memory|records?|files?)|(?:my|the) (?:profile|notes?|records?|file)"
    r"|what you (?:know|have)(?: (?:of|about|on) me)?)"
)
_VERBS = (
    r"forget|un-?(?:learn|remember|note|know)|delete|erase|stop (?:remember|keep|stor|not|track)ing"
    rf"|no longer (?:{_KEEP})|(?:do not|(?:you |there is )?no need to|you need not) (?:{_KEEP})"
    r"|disregard|scratch|never mind|ignore|get rid of|purge"
    r"|(?:remove|wipe|clear|scrub|drop|scrap|strike)(?: (?:out|off|away|clean))?"
    r"|(?:take|throw|cross|rub|leave|keep) (?:out|off|away)"
    rf"|(?:take|throw|cross|rub|leave|keep|pull|cut|get)(?= .{{1,60}} (?:off|from|out of) {_FILES})"
)
_FORGET = re.compile(
    rf"(?:(?P<start>^\W*(?:(?:please|just|kindly|ok|okay|oh|hey|hi|hm+|sorry|no|actually|and|also|now"
    rf"|thanks|thank you)\W+)*)|\b(?:please|just|can you|could you|would you|you can|you may"
    rf"|you should|let(?:['’]?s| us)|we can|i (?:need|want) you to|i would like you to)"
    rf"(?: please| just)?\s+|(?P<loose>,\s*(?:so )?|\band\s+))"
    rf"(?P<verb>{_VERBS})\s+(?P<what>.{{1,200}})",
    re.IGNORECASE,
)
_ENDS = r"(?:,? (?:now|too|as well|then|please.*|anymore|any longer|in there|there))*(?:,.*)?$"
_MAY_GO = re.compile(  # "all the music stuff can go"
    r"^\W*(?P<what>(?:all|everything|anything|whatever)\b.{1,80}?"
    rf"|.{{1,60}}?(?= (?:in|on|from) {_FILES}))"
    rf"(?: (?:in|on|from) {_FILES})? (?:can|should|may|must|ought to|needs? to|has to|have to) "
    r"(?:go|disappear|come off|be (?:deleted|removed|erased|forgotten|wiped|dropped|cleared))"
    rf"{_ENDS}",
    re.IGNORECASE,
)
_NOT_KEPT = re.compile(  # "I don't want my age on file", "nothing about my work should stay"
    r"^\W*(?:i (?:do not want|would (?:rather|prefer) not (?:to )?have)"
    r" (?P<what>(?:my|our|the|any\w*) .{1,60}?) (?:to be )?"
    rf"(?:on (?:record|file)|stored|saved|kept|remembered|noted|known|recorded|tracked|in {_FILES})"
    r"|nothing (?:about|on) (?P<none>.{1,60}?) (?:should|must|may)"
    rf" (?:stay|remain|be (?:kept|stored))){_ENDS}",
    re.IGNORECASE,
)
TAKE_BACK = "take back"
_TAKE_BACK = re.compile(r"\bi take back (?P<what>what i said about .{1,200})", re.IGNORECASE)
_RATHER = r"i (?:would (?:rather|prefer|like|love)|wish)(?: it)?(?: if| that)? you"
_WRONGLY = re.compile(  # "you shouldn't have noted X", "I'd rather you didn't know X", "you forgot"
    r"^\W*(?:\w+, )?(?:(?:you should not (?:have |be )?"
    r"|i (?:do not (?:want|like)|never wanted) you(?: to)?(?: be)? "
    r"|i am not (?:\w+ )?(?:happy|comfortable|okay|ok|fine) (?:with|about) you(?:r)? "
    rf"|{_RATHER} (?:did not|do not|had not|would not|not|never) )(?:{_KEEPING})"
    rf"|{_RATHER} (?:to )?"
    r"(?:forg[eo]t|deleted?|erased?|removed?|dropped|wiped?|unlearn\w*|cleared))"
    r" (?P<what>.{1,200})",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"\b(?:i|we|he|she|they|you|it|people)\b", re.IGNORECASE)
_PLEASE = re.compile(r"\bplease\b", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\b(?:please|kindly|again|now|thanks|thank you|for me|about me|too|completely|entirely|fully"
    r"|altogether|forever|for good|at once|right away|immediately|as well|would you|will you)\b",
    re.IGNORECASE,
)
_LAST = re.compile(
    r"^(?:all )?(?:that|this|it|those|them|the last (?:one|thing|part|bit)"
    r"|what i (?:just )?(?:said|told you))(?: one| part| thing)?$",
    re.IGNORECASE,
)
_TALK = (
    *("forget", "unlearn", "disregard", "scratch", "scrap", "strike", "never mind"),
    *("un-remember", "unremember", "un-note", "unnote", "un-learn", "un-know", "unknow"),
)
# without "scratch that", which corrects: relation.py
_BARE = re.compile(r"forget|un-?\w+|delete|erase|remove|wipe|do not|stop|no longer")
_NAMED = re.compile(
    r"^(?P<wide>(?:all|everything|anything|whatever|any|every)\s+)?"
    r"(?:(?:that|this|it|stuff|things?|bits?|part|what|you|i|we|have|has|had|got|ever|just|once|know"
    r"|noted|saved|stored|kept|keep|gathered|collected|heard|remember|learned|learnt|said|mentioned"
    r"|told you|the|facts?|notes?|line|entry|memory|of|there is|traces?|mentions?|records?|data"
    r"|info(?:rmation)?|details?|relat(?:ing|ed)|connected|slate|clean)\s+)*"
    r"(?:about |that |regarding |on |concerning |to do with |where |how |my |our "
    r"|(?<=relating )to |(?<=related )to |(?<=connected )(?:to|with) "
    r"|(?<=what i )|(?<=who i )|(?P<bare>(?<=the )))(?P<rest>.+?)"
    r"(?P<noted>(?: (?:things?|bit|part|stuff|business))?"
    r"(?: (?:that )?(?:i|you) (?:ever |have )?(?:told|said|mentioned|know|noted|saved)(?: you)?)?"
    rf"(?: (?:from|in|off|out of|on) {_FILES})?)$",
    re.IGNORECASE,
)
_RELATED = re.compile(  # "anything health-related"
    r"^(?:all|everything|anything|whatever|any|every)\b.*?(?P<rest>\w+)[ -]related\b", re.IGNORECASE
)
_OF_LIFE = re.compile(
    r"\b(?:what|how|where|when) (?:i|we) (?:(?:like|love|prefer|want|enjoy) (?:to )?)?"
    r"(?!said\b|told\b)",
    re.IGNORECASE,
)
_KEPT = re.compile(  # "strike tea from your notes" needs no "that" or "about"
    r"^(?!(?:all|everything|anything|whatever)\b)(?P<rest>[\w'’ -]{1,60}?)"
    rf" (?:from|in|off|out of) {_FILES}$",
    re.IGNORECASE,
)
_FRONT = re.compile(  # "the third verse drags, delete it": it is what stands in front
    r"(?P<thing>^\W*(?:and |but |so )?(?:the|your|this|these) \w+)"
    r"|\b(?:the|my|our|about) (?P<what>[\w -]+)$",
    re.IGNORECASE,
)
_OF_WHAT_IS_KEPT = re.compile(  # "it" of "forget it" is a fact only behind such words
    r"\byou (?:have|know|keep|noted|saved|remember)|\bon (?:file|record)\b|\bmentioned\b"
    r"|\bprivate\b|\b(?:said|told you|wrong|not have) (?:\w+ )?about\b",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\s*(?:,|/|\bor\b|\band\b)\s*")
_ANY = frozenset(  # of a topic they say nothing: "my reading tastes", "the fitness stuff"
    map(
        words.stem,
        "taste preference habit detail info information data history side stuff life notes facts "
        "opinion interest business setup gear choice matter world".split(),
    )
)


def asked(
    heard: str, profile: Sequence[facts.Fact], at: tuple[int, int]
) -> tuple[facts.FactOp, ...]:
    """Operations that retract the held facts which the user's words ask to have forgotten.

    `at` is the (session, turn) of the words.
    """
    found: dict[str, facts.Fact] = {}
    left: dict[str, str] = {}  # what remains of a fact that lists several things
    for verb, what, before in _requests(heard):
        named = _NAMED.match(what)
        hits: list[facts.Fact] = []
        if _LAST.match(what):
            if _BARE.match(verb):
                hits = _told_before(before, profile) if before else _of_last_turn(profile, at)
        elif kept := _KEPT.match(what):
            hits = _naming(kept["rest"], False, profile)
        elif related := _RELATED.match(what):
            hits = _naming(related["rest"], True, profile)
        elif named:
            life = _OF_LIFE.search(what)  # "what I eat" is a topic
            wide = named["wide"] is not None or life is not None
            wide = wide or named["noted"].strip().startswith(("things", "stuff"))
            hits = _naming(what[life.end() :] if life else named["rest"], wide, profile)
            if named["bare"] is not None and not named["noted"]:  # "remove the nuts" cooks
                may = verb in _TALK
                hits = [fact for fact in hits if may and not facts.is_safety(fact)]
            if named["wide"] is None:
                gone = statements.content(person.third_person(named["rest"]))
                left |= {fact.id: lists.without(fact.statement, gone) for fact in hits}
        found |= {fact.id: fact for fact in hits}
    return tuple(_gone(fact, left.get(fact.id, "")) for fact in found.values())


def _gone(fact: facts.Fact, left: str) -> facts.FactOp:
    """The fact is taken back, or what is `left` of it takes its place."""
    kind = facts.REVISE if left else facts.RETRACT
    old = fact.statement
    return facts.FactOp(kind, left or None, fact.slot, old, fact.polarity, "stated", 1.0)


def besides(heard: str) -> str:
    """The words without the requests to forget; taking a word back tells the opposite, too."""
    parts = _parts(heard)
    return ". ".join(p for p, found in parts if all(verb == TAKE_BACK for verb, _ in found))


def named(heard: str) -> frozenset[str]:
    """Words for what is to be forgotten, unless a stance stands beside it ("I hate it")."""
    found: set[str] = set()
    for _, what, _ in _requests(heard):
        asked = statements.content((changes.clauses(what) or ("",))[0])
        others = (part for part in changes.clauses(heard) if not asked & statements.content(part))
        if not any(map(stance.is_own, others)):
            found |= asked
    return frozenset(found)


def comes_back(statement: str, forgotten: str, besides: frozenset[str]) -> bool:
    """Whether a statement says again what was just asked to be forgotten.

    Or the opposite, of which the words `besides` the request say nothing: to forget that somebody
    likes techno is not to hear that they dislike it.
    """
    new, old = statements.parse(statement), statements.parse(forgotten)
    shared = new.named & old.named
    alike = len(shared) >= statements.AKIN * max(min(len(new.named), len(old.named)), 1)
    turned = new.against != old.against
    if turned:
        return alike and not new.named & besides
    return alike and new.numbers == old.numbers


def unclear(heard: str, profile: Sequence[facts.Fact], at: tuple[int, int]) -> bool:
    """Whether the words ask to have "that" forgotten, and nothing tells what it is."""
    return any(
        verb in _TALK[:2] and _LAST.match(what) and not before and not _of_last_turn(profile, at)
        for verb, what, before in _requests(heard)
    )


def _requests(heard: str) -> Iterator[tuple[str, str, str]]:
    """Verb, object, and the words that stand before each request to forget, and name a thing."""
    before = ""
    for part, found in _parts(heard):
        naming = [hit for hit in found if not _LAST.match(hit[1])]
        for verb, what in naming or found:  # "all my films can go, delete them"
            front = part[: part.lower().find(verb)].strip(" ,")
            yield verb, what, front if _FRONT.search(front) else before
        before = part if len(part.split()) > 2 else before


def _parts(heard: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each part of the words, with verb and object of the requests to forget in it."""
    for sentence in changes.sentences(words.expanded(heard)):
        for part in re.split(r"[;:]", sentence):
            part, found = part.strip(" .!?\n"), []
            hit = _FORGET.search(part)
            told = (
                hit is not None
                and hit["loose"] is not None
                and _SUBJECT.search(part[: hit.start()])
                and not _PLEASE.search(part)
            )
            if hit is not None and not told:
                what = _ADDRESS.sub("", hit["what"].split(",")[0]).strip(" ,.!?")
                found.append((hit["verb"].lower(), " ".join(what.split())))
            if abroad.FORGET_THAT.match(part):
                found.append(("forget", "that"))
            hit = _WRONGLY.match(part)
            if hit is not None:
                what = _ADDRESS.sub("", hit["what"].split(",")[0]).strip(" ,.!?")
                wide = _NAMED.match(what)
                found.append(("forget", what if wide and wide["wide"] else f"that {what}"))
            hit = _MAY_GO.match(part)
            if hit is not None:
                found.append(("forget", hit["what"]))
            hit = _NOT_KEPT.match(part)
            if hit is not None:
                found.append(("forget", hit["what"] or f"everything about {hit['none']}"))
            hit = _TAKE_BACK.search(part)
            if hit is not None:
                found.append((TAKE_BACK, hit["what"].split(",")[0].strip()))
            yield part, found


def _of_last_turn(profile: Sequence[facts.Fact], at: tuple[int, int]) -> list[facts.Fact]:
    """What the turn right before taught; a session's first turn follows the session before."""
    last = max(((fact.source.session, fact.source.turn) for fact in profile), default=None)
    if last is None:
        return []
    session, turn = at
    follows = last[1] == turn - 1 or (turn <= 1 and last[0] == session - 1)
    if not follows or last[0] not in (session, session - 1):
        return []
    return [fact for fact in profile if (fact.source.session, fact.source.turn) == last]


def _told_before(sentence: str, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    """The facts that a sentence names; none where it speaks of something else."""
    heard = frozenset(words.content(sentence))
    told = [
        fact
        for fact in profile
        if (own := statements.parse(fact.statement).named) and len(own & heard) >= 0.8 * len(own)
    ]
    named = _FRONT.search(sentence)
    if told or named is None or named["what"] is None or not _OF_WHAT_IS_KEPT.search(sentence):
        return told
    return _named_by(named["what"], False, profile)


def _naming(rest: str, wide: bool, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    """The facts that words name as a whole, else those that each part of "jazz and soul" names."""
    whole = _named_by(rest, wide, profile)
    parts = _LISTED.split(rest)
    if len(parts) == 1 or (whole and not wide):
        return whole
    hits = whole + [fact for part in parts for fact in _named_by(part, wide, profile)]
    return list({fact.id: fact for fact in hits}.values())


def _named_by(rest: str, wide: bool, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    said = statements.content(person.third_person(rest))
    wanted = said - _ANY or said
    if not wanted:
        return []
    by_words = [
        fact
        for fact in profile
        if wanted <= statements.content(fact.statement)
        and words.stem(statements.parse(fact.statement).whose) in wanted | {""}
    ]
    if by_words and not (wide or said & _ANY):
        return by_words
    called = frozenset(words.content(rest)) - _ANY
    about = topics.named(called, wide) if len(called) == 1 else []
    if about:
        by_topic = [fact for fact in profile if any(topics.covers(one, fact) for one in about)]
    else:
        by_topic = [fact for fact in profile if wanted <= _topic_of(fact.slot, wide)]
    return by_words + [fact for fact in by_topic if fact not in by_words]


def _topic_of(path: str, wide: bool) -> frozenset[str]:
    """The words by which a slot is called; of a whole topic also those of its category."""
    category, _, name = path.partition("/")
    text = name.replace("_", " ")
    for group in taxonomy.Taxonomy.load().categories:
        slots = {slot.path: slot for slot in group.subcategories}
        if path in slots:
            text += f" {slots[path].name}"
            if wide:
                text += f" {group.name} {category}"
    return statements.content(text)
