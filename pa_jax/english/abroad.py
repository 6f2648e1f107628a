"""What German, French, Spanish and Chinese words say of a change, where the snippet is English.

Whether a turn tells of a change, a correction, an addition or asks to have the last thing
forgotten stands in the user's own language. A statement is compared in English; of one whose verbs
stand in the other language, what tells its side and its kind (denials, stances, allergies, where
one lives) is put into English, and its things stay as they are.
"""

import re

from pa_jax.english import memory, words

CHANGE = re.compile(
    r"\b(?:ab (?:jetzt|heute|sofort)|von (?:jetzt|nun) an|nicht mehr|umgezogen|gezogen|gewechselt"
    r"|n(?:e |['’])\w+ plus"
    r"|stattdessen|désormais|à partir de maintenant|dorénavant|j'ai déménagé|j'ai changé"
    r"|a partir de ahora|de ahora en adelante|ya no|mudado|mudamos|me mudé|cambiado|déménagé)\b"
    r"|从现在起|从今以后|以后都|不再|改成|换成|搬到|搬家",
    re.IGNORECASE,
)
NOW = re.compile(
    r"\b(?:jetzt|inzwischen|mittlerweile|neuerdings|seit|maintenant|depuis|à présent"
    r"|ahora|desde)\b|现在|如今|最近",
    re.IGNORECASE,
)
MEANT = re.compile(
    r"\b(?:ich meinte|ich wollte sagen|vertippt|je voulais dire|je me suis tromp\w+"
    r"|quise decir|quer[ií]a decir|me equivoqu\w+)\b|我是说|我的意思是|打错了|说错了",
    re.IGNORECASE,
)
ALSO = re.compile(
    r"\b(?:auch|außerdem|noch ein\w*|aussi|également|en plus|también|además|tampoco|non plus)\b"
    r"|[也还]",
    re.IGNORECASE,
)
FORGET_THAT = re.compile(
    r"^\W*(?:bitte )?(?:vergiss|lösche?) das\b|^\W*(?:s'il te plaît,? )?oublie[sz]? (?:ça|cela)\b"
    r"|^\W*(?:por favor,? )?(?:olvida|borra) (?:eso|esto)\b"
    r"|^\W*请?(?:忘掉|忘了|忘记|删掉|删除)(?:这个|那个|它|吧)",
    re.IGNORECASE,
)

_STANDS = tuple(
    (re.compile(pattern, re.IGNORECASE), english)
    for pattern, english in (
        (r"\b(?:nicht|nie) mehr\b|\bya no\b|\bnicht\b|\bkein(?:e[nmrs]?)?\b", "not"),
        (r"\bn(?:e |['’])(\w+) (?:pas|plus|jamais|guère)\b", r"not \1"),
        (r"\bno (?=(?:le|es|está|tiene|come|bebe|vive|habla|quiere|puede|soporta|toma)\b)", "not "),
        (r"\b(?:niemals|nie|nunca|jamais)\b", "never"),
        (r"\b(?:mag|liebt|aime|adore|ama|le (?:gustan?|encantan?))\b", "likes"),
        (r"\b(?:hasst|verabscheut|déteste|hait|odia|detesta)\b", "hates"),
        (r"\b(?:wohnt|lebt|habite|vit|vive|reside)\b", "lives"),
        (r"\b(?:arbeitet als|travaille comme|trabaja (?:como|de))\b", "works as"),
        (
            r"\b(?:ist |est |es )?(?:allergisch gegen|allergique (?:à|aux?)|alérgic[oa] al?)\b",
            "is allergic to",
        ),
        (r"对(.+?)过敏", r" is allergic to \1"),
        (r"特别|别人", " "),  # before the sign that denies
        (r"不再|不|没有|没|别", " not "),
        (r"讨厌|恨", " hates "),
        (r"喜欢|爱", " likes "),
        (r"住在", " lives in "),
    )
)
_ASIDE = re.compile(  # articles, and words that say how much or when, of what is told
    r"\b(?:der|die|das|den|dem|des|ein(?:e[nmrs]?)?|gerne?|mehr|sehr|le|la|les|une?|du|de|el|los"
    r"|las"
    r"|una|très|beaucoup|muy|mucho)\b|\b[ld]['’]|[了很也都还再的]|非常|现在|已经",
    re.IGNORECASE,
)
_BEHIND = re.compile(r"\b(likes|hates|lives|works) not\b")  # where these languages deny
_USER = re.compile(r"^the user(?:['’]s)?\s+", re.IGNORECASE)


@memory.remembered(4096)
def rendered(statement: str) -> str:
    """A statement with what stands abroad for its side and its kind in English; others as is."""
    subject = _USER.match(statement)
    rest = statement[subject.end() :] if subject else statement
    text = rest
    for pattern, english in _STANDS:
        text = pattern.sub(english, text)
    if text == rest and words.is_english(rest):
        return statement
    text = " ".join(_ASIDE.sub(" ", _BEHIND.sub(r"not \1", text)).split())
    return f"{subject[0] if subject else ''}{text}"
