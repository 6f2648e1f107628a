"""Messages that are material to work on: pasted texts, code, quizzes, cases, briefs.

What stands in them is about something else, whoever says "I" in it: a user story, an exercise, a
text. What somebody says of themselves beside it ("Context: I'm a nurse on nights.") is their own.
"""

import re

from pa_jax.english import changes, memory

_QUIZ = re.compile(
    r"\bselect (?:one|all|the correct)\b|\bquestion \d|\btrue\b\W+(?:or )?false\b|_{3,}"
    r"|\bwhich of the following\b|\bmultiple choice\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"```|│|=>|[=!]=|\b\w+ = \w+[.(]\w|[{}<>][\w/]|\bself\.\w|\b\w+\(\w*\)|\b[a-z]\w*\.\w+\("
    r"|\b\w{2,}_\w{2,}\b|\b[a-z]+[A-Z]\w+\(|\b[A-Z]\w*(?:Error|Exception)\b|\bTraceback\b"
    r"|\b(?:def|import|select|return) \w+.*[(:*=]|\bno such (?:file|table|module)\b"
)
_BRIEF = re.compile(
    r"(?:^|[.\n] ?)(?:objectives?|constraints?|requirements?|context|instructions?|task|scenario"
    r"|case|input|output|prompt|transcript|abstract|criteria) ?:",
    re.IGNORECASE,
)
_TEXT = re.compile(  # what follows the colon is the text
    r"^[^:]{0,80}\b(?:(?:this|following|the|these) (?:\w+ )?(?:sentences?|text|paragraph|passage"
    r"|title|e-?mail|letter|abstract|article|review|poem|lyrics|story)"
    r"|is this (?:\w+ )?(?:correct|right)"
    r"|(?<!let me )(?:translate|rewrite|re-write"
    r"|simplify|paraphrase|rephrase|proofread|summari[sz]e"
    r"|correct|improve|shorten|explain)\b(?: \w+){0,6})\s*:\s*\S",
    re.IGNORECASE,
)
_CASE = re.compile(  # a role or somebody's case
    r"^\W*(?:you (?:are|have|were|work|must)\b|assume\b"
    r"|(?:an? )?\d+[ -](?:year|yr|month)s?[ -]old (?:\w+ )?(?:man|woman|male|female|boy|girl"
    r"|patient|child|infant)\b)",
    re.IGNORECASE,
)
_SPOKEN = re.compile(  # somebody else says "I" there
    r"\bas an? [\w ]{2,40}, I want\b|\bso that I can\b|\b(?:pretend|role ?play)\b"
    r"|^\W*(?:act|behave|respond|answer) (?:as|like) (?:an? |the )",
    re.IGNORECASE,
)
_MINE = re.compile(r"\b(?:I|i['’]?(?:m|ve|ll|d)|my|me|mine|we|our|us)\b", re.IGNORECASE)


@memory.remembered(512)
def own_words(heard: str) -> str | None:
    """What of a message that is material its sender says as such; None where it is no material.

    Its sentences that speak in the first person and are no material themselves; of a text behind a
    colon nothing.
    """
    text = _TEXT.match(heard)
    kinds = (_QUIZ, _CODE, _BRIEF, _SPOKEN)
    if not (text or _CASE.match(heard) or any(kind.search(heard) for kind in kinds)):
        return None
    said = heard[: text.end()].rpartition(":")[0] if text else heard
    foreign = (_QUIZ, _CODE, _SPOKEN)
    return " ".join(
        one
        for one in changes.sentences(said)
        if _MINE.search(one) and not any(kind.search(one) for kind in foreign)
    )
