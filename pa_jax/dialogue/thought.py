"""What a model thinks before it speaks is neither a reply nor a note: <think> ... </think>."""

OPEN, CLOSE = "<think>", "</think>"


def begins(text: str, *, last: bool) -> int:
    """Where the words behind thoughts begin; the text's end, while a thought may still be open.

    `last`: no more text will come, so that what is no whole <think> begins no thought. A thought
    may stand without its <think>, for some templates write that into the prompt.
    """
    at = text.find(CLOSE)
    start = _past_space(text, at + len(CLOSE)) if at >= 0 else 0
    while True:
        rest = text[start:].lstrip()
        if not rest.startswith(OPEN):
            held = bool(text) and not last and OPEN.startswith(rest)
            return len(text) if held else start
        at = text.find(CLOSE, start)
        if at < 0:
            return len(text)
        start = _past_space(text, at + len(CLOSE))


def behind(text: str) -> str:
    """A whole text without its thoughts; empty where it ends in one."""
    return text[begins(text, last=True) :]


def closed(prompt: str) -> str:
    """A prompt's end without an open thought: one that the template opens is empty."""
    if prompt.rfind(OPEN) <= prompt.rfind(CLOSE):
        return prompt
    return f"{prompt.rstrip()}\n\n{CLOSE}\n\n"


def _past_space(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip())
