"""The words of a text: clean lines, tokens, stems, content words, and how much two texts share."""

import collections
import json
import os
import re
import string
import unicodedata
from collections.abc import Iterable

from pa_jax.english import memory

MAX_LABEL_CHARS = 60
UNNAMED = "unnamed"

_EDGES = "*.,;:!?\"'()[]{}“”‘’…"
_BREAKS = str.maketrans("-–—/", "    ")

# grammar: words that carry no content wherever they stand
STOP = frozenset(
    "a an the and or but of to in on at for with by as is are was were am be been being it its "
    "this that these those their they them theirs he she his her him user users user's i i'm "
    "i've i'd i'll my me mine myself we us our you your do does did any some has have had having "
    "will would can could may might shall should so such than then there here what which who one "
    "thing things given choice".split()
)
# what requests are made of besides grammar: no topic is told by these
ASKING = frozenset(
    "about after again all also because before best better cannot can't come don don't down even "
    "find from get give go good got help how idea ideas if into just keep kind know let let's "
    "like long look lot made make many more most much must need new no nor not now off one only "
    "other out over own please put really recommend said same say set show something start still "
    "suggest take tell thing things think through time too two under until up use very want way "
    "week well what what's when where which while who whom why without won't up say you're we're "
    "it's that's prefer prefers likes wants favours avoids dislikes".split()
)

_UP_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS = {word: str(n) for n, word in enumerate(_UP_TO_NINETEEN.split())}
NUMBERS |= {word: str(10 * n) for n, word in enumerate(_TENS.split(), start=2)}
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)$")
NUMBER = re.compile(r"^[€$£#]?\d[\d.,:']*(?:[a-z%€$£]{0,3})$")

_CONTRACTIONS = (
    (re.compile(r"\b(?:can['’]?t|cannot)\b", re.I), "can not"),
    (re.compile(r"\bwon['’]?t\b", re.I), "will not"),
    (
        re.compile(
            r"\b(do|does|did|is|are|was|were|have|has|had|would|could|should|must|need)n['’]?t\b",
            re.I,
        ),
        r"\1 not",
    ),
    (re.compile(r"\b(i)['’]?m\b", re.I), r"\1 am"),
    (re.compile(r"\b(i|you|we|they)['’]?ve\b", re.I), r"\1 have"),
    (re.compile(r"\b(i|you|we|they)['’]ll\b", re.I), r"\1 will"),
    (re.compile(r"\b(i|you|we|they|he|she)['’]d\b", re.I), r"\1 would"),
    (
        re.compile(r"\b(i)d(?= (?:rather|prefer|like|love|say|never|still|also|be)\b)", re.I),
        r"\1 would",
    ),
    (re.compile(r"\b(?:(he|she|that|there|what)['’]?|(it)['’])s\b", re.I), r"\1\2 is"),
    (
        re.compile(r"\b(it)s(?= (?:the|an?|not|now|just|only|actually|over|all|been)\b)", re.I),
        r"\1 is",
    ),
    (re.compile(r"\b(?:(you|they)['’]?|(we)['’])re\b", re.I), r"\1\2 are"),
    (re.compile(r"\bany more\b", re.I), "anymore"),
    (re.compile(r"\b(?:nvm|nevermind)\b", re.I), "never mind"),
    (re.compile(r"\babt\b", re.I), "about"),
    (re.compile(r"\bpl(?:[sz]|ese|eas|eese|aese|s?ease)\b", re.I), "please"),
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_IRREGULAR = {
    "children": "child", "kids": "child", "kid": "child", "men": "man", "women": "woman",
    "feet": "foot", "teeth": "tooth", "mice": "mous", "knives": "knif", "wives": "wif",
    "leaves": "leaf", "loaves": "loaf", "ran": "run", "ate": "eat", "drank": "drink",
    "went": "go", "goes": "go", "gave": "give", "given": "give", "bought": "buy", "sold": "sell",
    "wore": "wear", "wrote": "write", "spoke": "speak", "slept": "sleep", "read": "read",
    "mum": "mother", "mom": "mother", "dad": "father", "bike": "bicycl", "bicycle": "bicycl",
    "allergic": "allerg", "allergy": "allerg", "allergies": "allerg", "flew": "fly", "flown": "fly",
    "intolerant": "intoler", "intolerance": "intoler", "intolerances": "intoler",
    "plane": "flight", "planes": "flight", "airplane": "flight", "flights": "flight",
    "films": "film", "movie": "film", "movies": "film", "vegetarians": "vegetarian",
    "vacation": "holiday", "vacations": "holiday", "autumn": "autumn", "fall": "autumn",
    "news": "news", "lens": "lens", "lenses": "lens", "skis": "ski", "favourite": "favorite",
    "grey": "gray", "centre": "center", "theatre": "theater", "tyre": "tire", "tyres": "tire",
    "pyjamas": "pajama", "pajamas": "pajama", "yoghurt": "yogurt", "yoghurts": "yogurt",
    "whiskey": "whisky", "donut": "doughnut", "donuts": "doughnut", "jewelry": "jewellery",
    "travelled": "travel", "travelling": "travel", "traveller": "traveler", "licence": "licens",
    "programme": "program", "programmes": "program", "chilli": "chili", "chillies": "chili",
    "geese": "goos", "wolves": "wolf", "halves": "half", "shelves": "shelf", "calves": "calf",
    "people": "person",
    "telly": "tv", "television": "tv", "televisions": "tv", "tvs": "tv",
}  # fmt: skip
_BRITISH = re.compile(r"^(colo|flavo|favo|neighbo|humo|harbo|hono|labo|behavio|odo)u(?=r)")


# What has no width or turns the direction of what follows (Unicode's Default_Ignorable_Code_Point,
# the blank of Braille and annotations), apart from joiners and selectors of variants: those stay
# behind an emoji, or a letter of a script that needs them, one of each.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_SELECTORS, _JOINERS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef", "\u200c\u200d"
_JOINED = re.compile(
    f"(?P<behind>[^\x00-\u058f\u1e00-\u1fff{_SELECTORS}{_JOINERS}])?(?=[{_SELECTORS}{_JOINERS}])"
    f"(?P<kept>[{_SELECTORS}]?[{_JOINERS}]?)[{_SELECTORS}{_JOINERS}]*"
)

# Letters that look like others of the Latin alphabet, in lower case: of other alphabets, and of it.
_FROM_OTHERS = dict(
    zip(
        "авеѕіјкмнорстухһԁԛԝӏαβεζηικνορτυχօսոհգզ",
        "abesijkmhopctyxhdqwlabezhikvoptuxounhqq",
        strict=True,
    )
)
_LOOK_ALIKE = _FROM_OTHERS | {"ı": "i", "ɑ": "a", "ɡ": "g"}
_BEYOND_LATIN = "\u0250"
_LETTERS = re.compile(r"[^\W\d_]+")


def seen(text: str) -> str:
    """The text as it looks: without what nobody sees, words in two alphabets in the Latin one."""
    if text.isascii():
        return text
    text = _JOINED.sub(_needed, _UNSEEN.sub("", text))
    return _LETTERS.sub(lambda found: _latin(found[0], mixed=True), text)


def _needed(found: re.Match) -> str:
    return found["behind"] + found["kept"] if found["behind"] else ""


def _latin(word: str, *, mixed: bool) -> str:
    """The word in Latin letters where all its letters look like such; `mixed`: and some are."""
    if word.isascii() or mixed and min(word) >= _BEYOND_LATIN:
        return word
    known = _FROM_OTHERS if mixed else _LOOK_ALIKE
    found = [known.get(c.lower(), c if c < _BEYOND_LATIN else None) for c in word]
    letters = [letter for letter in found if letter is not None]
    if len(letters) < len(found):
        return word
    pairs = zip(word, letters, strict=True)
    return "".join(new.upper() if c.isupper() else new for c, new in pairs)


def alike(text: str) -> str:
    """What texts that look the same have in common; for comparing, not for showing."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", seen(text))
    return _LETTERS.sub(lambda found: _latin(found[0], mixed=False), text)


def clean(text: str, limit: int) -> str:
    """The text on one line as it looks, without control characters, cut at `limit` characters.

    Databases refuse NUL and half a surrogate pair: neither is left.
    """
    head = seen(text[: 4 * limit])  # a megabyte is not looked at for a line
    if not head.isprintable():
        head = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in head)
    flat = " ".join(head.split())
    return flat if len(flat) <= limit else flat[: limit - 3].rstrip() + "..."


def quoted(text: str) -> str:
    """The text in quotation marks that nothing inside it closes."""
    return json.dumps(text, ensure_ascii=False)


def label(text: str) -> str:
    """A proposed label in its one spelling: "Board-Games " and "board games" are board_games."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", seen(text)).casefold())
    return "_".join(words)[:MAX_LABEL_CHARS].rstrip("_") or UNNAMED


@memory.remembered(4096)
def expanded(text: str) -> str:
    """The text with its contractions written out: "doesn't", "doesnt" are "does not"."""
    for pattern, words in _CONTRACTIONS:
        text = pattern.sub(words, text)
    return text


@memory.remembered(8192)
def tokens(text: str) -> tuple[str, ...]:
    """Words in lower case with contractions written out; signs inside a word ("C++") stay."""
    text = expanded(alike(text)).casefold().translate(_BREAKS)
    return tuple(word for raw in text.split() if (word := raw.replace("’", "'").strip(_EDGES)))


@memory.remembered(16384)
def stem(word: str) -> str:
    """A word of `tokens` without the endings of plural, possession, gerund and past.

    Of British and American spelling it has one.
    """
    word = _BRITISH.sub(r"\1", word.removesuffix("'s").removesuffix("'"))
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.isascii() or len(word) < 4:
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y" if len(word) > 4 else word[:-1]
    elif word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for end in ("ing", "ed"):
        cut = word[: -len(end)]
        if word.endswith(end) and len(cut) > 2 and re.search("[aeiouy]", cut):
            doubled = len(cut) > 3 and cut[-1] == cut[-2] and cut[-1] not in "lsz"
            word = cut[:-1] if doubled else cut
    if word.endswith(("ie", "i")) and len(word) > 3:
        return word.removesuffix("e").removesuffix("i") + "y"
    return word.removesuffix("e") if len(word) > 3 else word


_DOERS = frozenset("er or r ist".split())
_MORE = frozenset("er r est st".split())
_SLIPS = 6  # letters of a word from which one slip of the pen leaves it recognisable


def misspelt(word: str, heard: Iterable[str]) -> bool:
    """Whether one of the words heard is this one but for a letter more, less, other or swapped."""
    return len(word) >= _SLIPS and any(_one_slip(word, other) for other in heard)


def derived(word: str, heard: Iterable[str]) -> bool:
    """Whether one of the stems heard is what somebody called so does: "teach" of a teacher.

    Or says it of more: "longer" of what is long.
    """
    return any(
        (len(other) > 2 and word.startswith(other) and word[len(other) :] in _DOERS)
        or (len(word) > 2 and other.startswith(word) and other[len(word) :] in _MORE)
        for other in heard
    )


_ENDINGS = frozenset("a c m t y cy al an ia ic sy ian ism ist ity ous tic istic stic".split()) | {
    ""
}
_ROOT = 5  # letters that two words of one root share at least


def kindred(word: str, heard: Iterable[str]) -> bool:
    """Whether one of the stems heard is this one with another ending: "dyslexia", "dyslexic"."""
    for other in heard:
        root = len(os.path.commonprefix((word, other)))
        if root >= _ROOT and {word[root:], other[root:]} <= _ENDINGS:
            return True
    return False


def _one_slip(a: str, b: str) -> bool:
    if a[0] != b[:1] or abs(len(a) - len(b)) > 1:
        return False
    first = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    rest, other = a[first:], b[first:]
    swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return swapped or rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]


@memory.remembered(8192)
def content(text: str, stop: frozenset[str] = STOP) -> tuple[str, ...]:
    """Stems of the words that are not in `stop`, each once, in order."""
    kept = (word for word in tokens(text) if word not in stop)
    return tuple(dict.fromkeys(stem(word) for word in kept))


def numbers(text: str) -> list[str]:
    """The numbers in a text, written out or not, as digits."""
    digits = (NUMBERS.get(word, _ORDINAL.sub("", word)) for word in tokens(text))
    return [word for word in digits if NUMBER.match(word)]


def topical(text: str) -> list[str]:
    """Words by which a request or a slot tells its topic, in lower case, each once, in order."""
    words = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    cut = (word.removesuffix("'s") for word in words if word not in STOP | ASKING)
    return list(dict.fromkeys(w for w in cut if len(w) > 1 and w not in STOP | ASKING))


def bare(text: str) -> list[str]:
    """Lower-case words without punctuation or articles, as SQuAD's F1 counts them."""
    text = text.lower().translate(_BREAKS)
    text = "".join(c for c in text if c not in string.punctuation + "“”’")
    return [word for word in text.split() if word not in ("a", "an", "the")]


def token_f1(a: str, b: str) -> float:
    """F1 of the words two texts share, counted with repetition; 1 where both have none."""
    one, other = bare(a), bare(b)
    if not one or not other:
        return float(one == other)
    shared = sum((collections.Counter(one) & collections.Counter(other)).values())
    return 2 * shared / (len(one) + len(other))


# tell English from the languages that share its letters: words of one of them only
_ENGLISH = frozenset(
    "the and of to is are was it that this for with you have has not but what my your can at be "
    "they would like from when please don't i'm i've do does any which there how want she his her "
    "we our i so no on in or user if about call give tell show make keep use".split()
)
_FOREIGN = frozenset(
    "ich mich mir mein meine meinen du wir uns ist sind nicht kein keine keinen keiner und oder "
    "aber der die das den dem ein eine einen einem mag liebe liebt gern gerne lieber auch sehr "
    "für mit von zum zur bei nach wie vertrage esse trinke spreche wohne habe hat bin bitte "
    "je j'ai j'aime suis mon ma mes nous vous n'aime ne pas du des les le la et ou mais est une "
    "avec pour dans chez aux plus très aussi habite bois mange parle préfère déteste "
    "yo soy mi mis me gusta gustan el los las y pero con para por muy también tengo vivo hablo "
    "como odio prefiero una del al nunca estoy es "
    "ik mijn niet geen het een en maar van voor toch liever heb ben nee dit te wij "
    "de que por eso ahora trabajo quise decir perdón voy tampoco ya nos hemos olvida soy ça c'est "
    "oublie désormais pardon jetzt vergiss "
    "io sono mio mia non il lo gli che mi piace anche ho della eu não meu minha gosto "
    "nutzer nutzerin l'utilisateur l'utilisatrice usuario usuaria".split()
)


def tells_abroad(word: str) -> bool:
    """Whether a word is none of the commonest of another language."""
    return word not in _FOREIGN


def is_english(text: str) -> bool:
    """Whether the text reads as English rather than as another language; True in doubt.

    Other scripts are told by their letters, languages in Latin letters by their commonest words.
    """
    letters = [c for c in text if c.isalpha()]
    if 2 * sum(ord(c) < 0x250 for c in letters) < len(letters):
        return False
    found = [word for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())]
    found = [word.replace("’", "'") for word in found]
    foreign = sum(word in _FOREIGN for word in found)
    return foreign == 0 or foreign <= sum(word in _ENGLISH for word in found)
