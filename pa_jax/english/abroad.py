"""What German, French, Spanish and Chinese words say of a change, where the snippet is English.

A statement is compared in English; whether its turn tells of a change, a correction, an addition
or asks to have the last thing forgotten stands in the user's own language.
"""

import re

CHANGE = re.compile(
    r"\b(?:ab (?:jetzt|heute|sofort)|von (?:jetzt|nun) an|nicht mehr|umgezogen|gewechselt"
    r"|stattdessen|désormais|à partir de maintenant|dorénavant|j'ai déménagé|j'ai changé"
    r"|a partir de ahora|de ahora en adelante|ya no|mudado|cambiado)\b"
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
