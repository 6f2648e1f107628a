"""What a model thinks before it speaks is neither a reply nor a note: <think> ... </think>."""

import string

OPEN, CLOSE = "<think>", "</think>"
_MARKS = {  # as families of models write them, in small letters
    OPEN: CLOSE,
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[think]": "[/think]",
    "<|begin_of_thought|>": "<|end_of_thought|>",
}
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # keeps every length


def begins(text: str, *, last: bool) -> int:
    """Where the words behind thoughts begin; the text's end, while a thought may still be open.

    `last`: no more text will come, so that what is no whole <think> begins no thought. A thought
    may stand without its <think>, for some templates write that into the prompt.
    """
    small = text.translate(_SMALL)
    at = small.find(CLOSE)
    start = _past_space(text, at + len(CLOSE)) if at >= 0 else 0
    while True:
        rest = small[start:].lstrip()
        mark = next((mark for mark in _MARKS if rest.startswith(mark)), None)
        if mark is None:
            held = bool(text) and not last and any(mark.startswith(rest) for mark in _MARKS)
            return len(text) if held else start
        at = small.find(_MARKS[mark], start)
        if at < 0:
            return len(text)
        start = _past_space(text, at + len(_MARKS[mark]))


def behind(text: str) -> str:
    """A whole text without its thoughts; empty where it ends in one."""
    return text[begins(text, last=True) :]


def closed(prompt: str) -> str:
    """A prompt's end without an open thought: one that the template opens is empty."""
    small = prompt.translate(_SMALL)
    for opens, closes in _MARKS.items():
        at = small.rfind(opens)
        if at > small.rfind(closes):
            end = closes.upper() if prompt[at : at + len(opens)].isupper() else closes
            return f"{prompt.rstrip()}\n\n{end}\n\n"
    return prompt


def _past_space(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip())
