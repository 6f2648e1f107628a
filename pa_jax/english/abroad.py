"""What German, French, Spanish and Chinese words say of a change, where the snippet is English.

Whether a turn tells of a change, a correction, an addition or asks to have something forgotten
stands in the user's own language. A statement is compared in English; of one that stands in the
other language, its subject and what tells its side and its kind (denials, stances, allergies, where
one lives, numbers) are put into English, and its things stay as they are. What a request to forget
names is looked for in the words in which a fact was told (profile/forget.py).
"""

import re

from pa_jax.english import memory, words

CHANGE = re.compile(
    r"\b(?:ab (?:jetzt|heute|sofort)|von (?:jetzt|nun) an|(?:in )?zukunft|künftig|nicht mehr"
    r"|umgezogen|gezogen|gewechselt|umgestiegen|aufgehört|aufgegeben|stattdessen|vorbei"
    r"|n(?:e |['’])\w+ plus|plus (?:de|d['’])|désormais|dorénavant|à (?:partir de maintenant"
    r"|l['’]avenir)"
    r"|(?:j['’]ai|on a|avons|ai|a) (?:dé|em|a)ménagé|j['’]ai (?:changé|arrêté|quitté)"
    r"|a partir de (?:ahora|hoy)|en adelante|ya no|me mudé|mudad[oa]|mudamos"
    r"|cambi(?:ado|é)|dejado|dejé)\b"
    r"|从现在起|从今以后|今后|以后|不再|再也不|改成|改为|换成|换了|搬到|搬去|搬家|戒了",
    re.IGNORECASE,
)
NOW = re.compile(
    r"\b(?:jetzt|inzwischen|mittlerweile|neuerdings|seit(?:dem)?|maintenant|depuis|à présent"
    r"|récemment|dernièrement|ahora|desde|últimamente|actualmente)\b|现在|如今|最近|目前",
    re.IGNORECASE,
)
MEANT = re.compile(
    r"\b(?:ich meinte|ich wollte sagen|vertippt|verschrieben|tippfehler|autokorrektur|war falsch"
    r"|je voulais dire|je me suis (?:tromp|mal)\w*|faute de frappe|je (?:corrige|rectifie)"
    r"|quise decir|quer[ií]a decir|me (?:he )?equivoqu?\w+|escrib[ií] mal|corrijo|error mío)\b"
    r"|我是说|我的意思是|打错了|说错了|写错了|更正|纠正",
    re.IGNORECASE,
)
ALSO = re.compile(
    r"\b(?:auch|außerdem|ebenfalls|ebenso|genauso|dazu|noch ein\w*|aussi|également|en plus"
    r"|de plus|non plus|también|además|tampoco|lo mismo)\b|也|还(?!是)|另外|同样",
    re.IGNORECASE,
)

# Requests to forget: what may stand before one, its verbs, and what beside them names nothing.
_OPENING = re.compile(
    r"^(?:\W|(?:bitte|ach|nee|nein|doch|also|aber|und|okay"
    r"|non|et|mais|finalement|s['’]il (?:te|vous) plaît|peux-tu|tu peux|pourrais-tu|pouvez-vous"
    r"|por favor|y|pero|mejor|pues|bueno|puedes|podrías)(?!\w)|[请你能可以那]|麻烦|帮我|算了)*",
    re.IGNORECASE,
)
_FORGET = (  # said of what is remembered
    r"verg[ie]ss(?:t|en sie)?\b(?!.*\b(?:nicht|nie|niemals|keinesfalls)\b)"
    r"|(?:kannst|könntest|würdest) du .*\bvergessen$"
    r"|(?:merk|speicher|behalt)\w* .*\bnicht\b"
    r"|.*\bnicht (?:merken|speichern|behalten)$|oubli(?:e[sz]?|er)\b"
    r"|ne (?:l[ae]s? )?(?:retien|reten|gard|not|mémoris|enregistr)\w* pas"
    r"|olv[ií]d(?:[ae]|ar)(?:l[oa]s?)?\b|no (?:l[oa]s? )?(?:guard|recuerd|anot|apunt)[ae]s?\b"
    r"|(?:把.*)?(?:忘[掉了记]|[别不]用?要?(?:记|保存))"
)
_DELETE = (  # said of other things, too
    r"(?:lösch|streich|entfern)(?:en?)?\b"
    r"|(?:kannst|könntest|würdest) du .*\b(?:löschen|streichen|entfernen)$"
    r"|(?:effac|supprim|enl[eè]v)e[rz]?\b|(?:(?:b[oó]rr|elim[ií]n)(?:[ae]|ar)|qu[ií]tar?)(?:l[oa]s?)?\b"
    r"|(?:把.*)?(?:删[掉除了]|抹掉)"
)
_REQUEST = re.compile(rf"(?P<sure>{_FORGET})|{_DELETE}", re.IGNORECASE)
_OF_MEMORY = re.compile(
    r"\bdas mit\b|\b(?:gedächtnis|notizen|profil|ges(?:agt|peichert)|weißt|mémoire|notes|dit"
    r"|sais|memoria|notas|perfil|dij[eo]|dicho|sabes)\b|记[忆录]|[这那]条|资料|说过的?|知道|的事",
    re.IGNORECASE,
)
_NO_NAME = re.compile(
    r"\b(?:kannst|könntest|würdest|verg[ei]ss\w*|merk\w*|speicher\w*|behalt\w*|lösch\w*|streich\w*"
    r"|entfern\w*|musst|wieder|einfach|dein\w*|über|dass|was|dir|mir|gerade|eben|sache|plaît|favor|que|sur"
    r"|sobre|viens|dire|chose|acab\w+|decir|cosa|oubli\w*|reti\w+|gard\w+|note[sz]?|efface\w*"
    r"|supprime\w*|enl[eè]v\w+|olv[ií]d\w+|guard[ae]\w*|recuerd\w+|anot\w+|apunt\w+|b[oó]rr\w+"
    r"|elim[ií]n\w+|qu[ií]t\w+)\b|忘[掉了记]|[别不]用?要?(?:记|保存)|删[掉除了]|抹掉"
    r"|[我你的了事那这个件条把请吧在是有它吗]",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"[,;:.!\n，；：。！]+|\b(?:aber|mais|pero)\b|(?<=[?？])"
    r"|\b(?:und|et|y)\b(?= (?:ich|je|soy|tengo|no)\b| j['’])",
    re.IGNORECASE,
)
_SENTENCE, _CLAUSE = re.compile(r"[.!?。！？\n]+"), re.compile(r"[,;:，；：]")
_THAT_CLAUSE = re.compile(r"\s*(?:dass|was|wo|que|lo que|ce que)\b", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d_\u4e00-\u9fff]{3,}|[\u4e00-\u9fff]")

_NUMBERS = {
    word: str(number)
    for listed in (
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "deux trois quatre cinq six sept huit neuf dix onze douze",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    )
    for number, word in enumerate(listed.split(), start=2)
}
_DIGITS = "零一二三四五六七八九"
_TENS = {"十": 10, "百": 100, "千": 1000, "万": 10000}
_COUNTED = re.compile(  # the signs for numbers that stand before what is counted
    rf"[{_DIGITS}两十百千万]+(?=[个只杯条块元岁点次天年月周公斤里米小分瓶顿位口])"
)

_STANDS = tuple(
    (re.compile(pattern, re.IGNORECASE), english)
    for pattern, english in (
        (r"\bkann (.+?) nicht (?:aus)?(?:stehen|leiden)\b", r"hates \1"),
        (r"\bno (?:soporta|aguanta)\b|\ba horreur d(?:es?|u|['’])|受不了", "hates "),
        (r"\b(?:verträgt kein\w*|no tolera)\b", "does not tolerate"),
        (r"^(\w+) (nicht |nicht mehr )?(?:sehr |total )?gerne?\b", r"\2mag \1"),
        (r"\b(?:nicht|nie) mehr\b|\bya no\b|\bnicht\b|\bkein(?:e[nmrs]?)?\b", "not"),
        (r"\bn(?:e |['’])(\w+) (?:pas|plus|jamais|guère)\b", r"not \1"),
        (r"\bno (?=(?:le|es|está|tiene|come|bebe|vive|habla|quiere|puede|soporta|toma)\b)", "not "),
        (r"\b(?:niemals|nie|nunca|jamais)\b", "never"),
        (r"\b(?:plutôt que|en vez de|en lugar de|anstatt|statt)\b|而不是", " rather than "),
        (r"^(?:bevorzugt|préfère|prefiere)\b|更喜欢", "prefers "),
        (r"^(not )?(?:möchte|veut|quiere)\b", r"\1wants"),
        (r"\b(?:mag|liebt|aime|adore|raffole|ama|le (?:gustan?|encantan?))\b", "likes"),
        (r"\b(?:hasst|verabscheut|déteste|hait|odia|detesta)\b", "hates"),
        (r"^(not )?(?:trinkt|boit|bebe)\b", r"\1drinks"),
        (r"^(not )?(?:isst|mange)\b", r"\1eats"),
        (r"^(not )?(?:hat|a|tiene)(?= )", r"\1has"),
        (r"\b(?:wohnt|lebt|habite|vit|vive|reside)\b", "lives"),
        (r"\b(?:arbeitet als|travaille comme|trabaja (?:como|de))\b", "works as"),
        (r"\b(?:arbeitslos|(?:est )?au chômage|(?:está )?en (?:el )?paro)\b", "is unemployed"),
        (
            r"\b(?:ist |est |es )?(?:allergisch gegen|allergique (?:à|aux?)|alérgic[oa] al?)\b",
            "is allergic to",
        ),
        (r"\b(?:um|à|a las?) (?=\d)", "at "),
        (r"对(.+?)过敏", r" is allergic to \1"),
        (r"特别|别人", " "),  # before the sign that denies
        (r"不再|不|没有|没|别", " not "),
        (r"(?:讨厌|恨)吃?", " hates "),
        (r"(?:喜欢|爱)吃?", " likes "),
        (r"希望|想要", " wants "),
        (r"住在", " lives in "),
        (r"(?:在\w+)?当|^是(?=\w+[员师生])", "works as "),
    )
)
_SO = r"(?:(?!nicht|nie|pas|plus|muy poco)\w+ )??"  # "stark", "très"
# What somebody says outright of their health, by clause; the things stay in their language.
_TOLD = tuple(
    (re.compile(rf"^(?:{pattern})$", re.IGNORECASE), english)
    for english, patterns in (
        (
            "is allergic to {what}",
            (
                rf"ich bin {_SO}allergisch gegen (?P<what>.+)",
                rf"ich bin {_SO}gegen (?P<what>.+) allergisch",
                r"ich habe eine (?P<what>[\w-]+?)-?allergie",
                rf"je suis {_SO}allergique (?:à la |à l['’]|aux? |à )(?P<what>.+)",
                rf"(?:soy|tengo) {_SO}al[eé]rg(?:ic[oa]|ia) al? (?:l[oa]s? )?(?P<what>.+)",
                r"我[也还很]?对(?P<what>.+?)(?:严重)?过敏",
            ),
        ),
        (
            "does not tolerate {what}",
            (
                r"ich vertrage (?:leider )?kein(?:e[nmrs]?)? (?P<what>.+)",
                r"ich vertrage (?P<what>.+) nicht",
                r"je (?:ne )?(?:tolère|digère) pas (?:les? |la |l['’]|du |de )?(?P<what>.+)",
                r"je suis intolérante? (?:à la |à l['’]|aux? )(?P<what>.+)",
                r"(?:no tolero|soy intolerante al?) (?:la |los |las |el )?(?P<what>.+)",
            ),
        ),
        (
            "is vegetarian",
            (
                r"ich bin vegetari(?:er|erin|sch)|je suis végétarien(?:ne)?|soy vegetarian[oa]"
                r"|我(?:是素食者|吃素)",
            ),
        ),
        ("is vegan", (r"ich bin vegan(?:er(?:in)?)?|je suis v[eé]gane?|soy vegan[oa]",)),
        (
            "has diabetes",
            (
                r"ich (?:bin (?:\w+ )?diabetiker(?:in)?|habe diabetes)|je suis diabétique"
                r"|j['’]ai du diabète|soy diabétic[oa]|tengo diabetes|我有糖尿病",
            ),
        ),
        (
            "has coeliac disease",
            (r"ich habe zöliakie|je suis c(?:œ|oe)liaque|soy cel[ií]ac[oa]|我有乳糜泻",),
        ),
        ("has asthma", (r"ich habe asthma|j['’]ai de l['’]asthme|tengo asma|我有哮喘",)),
        (
            "has epilepsy",
            (r"ich habe epilepsie|je suis épileptique|tengo epilepsia|我有癫痫",),
        ),
        ("is pregnant", (r"ich bin schwanger|je suis enceinte|estoy embarazada|我怀孕了",)),
    )
    for pattern in patterns
)
_GREETING = re.compile(r"(?:hallo|hi|hey|guten \w+|bonjour|salut|hola|你好)?", re.IGNORECASE)
_AND = re.compile(r" (?:und|sowie|oder|et|ou|y|e|o|ni) (?:les? |la |las? |los |aux? |à )?|[、和]")
_TAIL = re.compile(
    r"^(?:und|et|y|但是?|而且)\b ?| (?:leider|auch|aussi|también|übrigens)$",
    re.IGNORECASE,
)
_ASIDE = re.compile(  # articles, and words that say how much or when, of what is told
    r"\b(?:der|die|das|den|dem|des|ein(?:e[nmrs]?)?|gerne?|mehr|sehr|etwa|le|la|les|une?|du|de|el"
    r"|los|las|una|très|beaucoup|environ|muy|mucho|unos)\b|\b[ld]['’]|[了很也都还再的]|非常|现在|已经|大约",
    re.IGNORECASE,
)
_BEHIND = re.compile(r"\b(likes|hates|lives|works) not\b")  # where these languages deny
_USER = re.compile(r"^the user(?:['’]s)?\s+", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^(?:(?:der|die) (?:be)?nutzer(?:in)?|l['’]utilisat(?:eur|rice)"
    r"|(?:al?|el|la|a la) usuari[oa])\s+|^用户(?!的)",
    re.IGNORECASE,
)


@memory.remembered(4096)
def rendered(statement: str) -> str:
    """A statement with what stands abroad for its side and its kind in English; others as is."""
    abroad = _SUBJECT.match(statement)
    subject = abroad or _USER.match(statement)
    rest = statement[subject.end() :] if subject else statement
    text = _COUNTED.sub(_number, rest)
    for pattern, english in _STANDS:
        text = pattern.sub(english, text)
    if text == rest and not abroad and words.is_english(rest):
        return statement
    text = " ".join(_ASIDE.sub(" ", _BEHIND.sub(r"not \1", text)).split())
    text = " ".join(_NUMBERS.get(word, word) for word in text.split())
    return f"{'The user ' if abroad else subject[0] if subject else ''}{text}"


def told(heard: str) -> tuple[str, ...]:
    """What the words say outright of allergies, diets and illnesses, as English statements."""
    return tuple(statement for part in _told(heard) for statement in part)


def tells_only(heard: str) -> bool:
    """Whether the words say nothing but what `told` has of them."""
    return all(_told(heard))


@memory.remembered(512)
def _told(heard: str) -> tuple[tuple[str, ...], ...]:
    """What each clause of the words says outright."""
    parts = (_TAIL.sub("", part.strip()) for part in _MARKS.split(heard) if part.strip())
    return tuple(_of_clause(part) for part in parts if not _GREETING.fullmatch(part))


def _of_clause(clause: str) -> tuple[str, ...]:
    for pattern, english in _TOLD:
        hit = None if clause.endswith(("?", "？")) else pattern.match(clause)
        if hit is not None:
            things = _AND.split(hit.groupdict().get("what") or "")
            return tuple(f"The user {english.format(what=what)}." for what in things)
    return ()


def _number(signs: re.Match) -> str:
    """A number in Chinese signs as digits: 三十一 is 31."""
    whole = part = 0
    for sign in signs[0].replace("两", "二"):
        if sign in _TENS:
            whole, part = whole + max(part, 1) * _TENS[sign], 0
        else:
            part = _DIGITS.index(sign)
    return f" {whole + part} "


def forgotten(heard: str) -> list[str]:
    """Of each request to forget in the words, the words that name what; "" for "that"."""
    found = []
    for sentence in _SENTENCE.split(heard):
        clauses = _CLAUSE.split(sentence)
        for place, clause in enumerate(clauses):
            clause = _OPENING.sub("", clause, count=1).strip()
            hit = _REQUEST.match(clause)
            if hit is None:
                continue
            if place + 1 < len(clauses) and _THAT_CLAUSE.match(clauses[place + 1]):
                clause = clauses[place + 1]  # "vergiss, dass ich Tee mag"
            what = _names(clause)
            if not what or hit["sure"] or _OF_MEMORY.search(sentence):
                found.append(what)
            break
    return found


def _names(text: str) -> str:
    """The words of a request that name something."""
    told = _NAME.findall(_OF_MEMORY.sub(" ", _NO_NAME.sub(" ", text)).lower())
    return " ".join(word for word in told if words.tells_abroad(word))


def names(what: str, told: str) -> bool:
    """Whether half of the words that name something, or more, stand in words that told a fact."""
    known = told.lower()
    parts = what.split()
    return 2 * sum(_stands(part, known) for part in parts) >= len(parts) > 0


def _stands(part: str, known: str) -> bool:
    """Whether a word stands in a text, but for its ending; a short one as it is."""
    if len(part) == 1:  # a sign
        return part in known
    stem = re.escape(part if len(part) < 4 else part[: max(4, len(part) - 2)])
    return re.search(rf"\b{stem}\b" if len(part) < 4 else stem, known) is not None
