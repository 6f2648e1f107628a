"""ALOE (arXiv 2410.03642): conversations with what each turn lets one infer about the user."""

import hashlib
import json
import re
from collections.abc import Iterator

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import items
from pa_jax.dialogue import schema, snippet

_FIELDS = ("inferred_profile", "inferred_personality")


def read(path: str, quarantine: quarantine_lib.Quarantine) -> Iterator[schema.Dialogue]:
    """One dialogue a line of conversations.jsonl (`path` is the file or its folder).

    A turn's gold is what its cumulative `inferred_*` texts hold beyond the turn before, sentence
    by sentence; sentences that vanish are retired. Turns without these fields have no label. The
    user id is aloe/PROFILE/PERSONALITY, both as short hashes. Where `rejected` is a list and was
    chosen, the reply is its first.
    """
    for file in items.find_files(path, "conversations*.jsonl"):
        for number, value in items.read_lines(file, quarantine):
            try:
                dialogue = _dialogue(items.as_dict(value), f"aloe/{file.stem}/{number}")
            except quarantine_lib.BadItem as error:
                quarantine.reject(file, number, str(error), json.dumps(value))
                continue
            quarantine.accept()
            yield dialogue
    quarantine.finish(path)


def read_texts(
    path: str, quarantine: quarantine_lib.Quarantine, *, key: str = "data.path"
) -> Iterator[str]:
    """The strings of profile*.jsonl or personality*.jsonl, one a line; `key` gave the path."""
    for file in items.find_files(path, "*.jsonl", key=key):
        for number, value in items.read_lines(file, quarantine):
            try:
                text = items.as_text(value, "line")
            except quarantine_lib.BadItem as error:
                quarantine.reject(file, number, str(error), json.dumps(value))
                continue
            quarantine.accept()
            yield text
    quarantine.finish(path)


def _dialogue(item: dict, name: str) -> schema.Dialogue:
    user_id = "aloe/" + "/".join(_short(items.text_of(item, k)) for k in ("profile", "personality"))
    talk = item.get("conversations")
    if not isinstance(talk, list) or not talk:
        raise quarantine_lib.BadItem("'conversations' must be a list of at least one turn")
    turns: list[schema.Turn] = []
    known: dict[str, list[str]] = {field: [] for field in _FIELDS}
    for number, value in enumerate(talk):
        try:
            turns.append(_turn(items.as_dict(value), known))
        except quarantine_lib.BadItem as error:
            raise quarantine_lib.BadItem(f"turn {number}: {error}") from error
    return schema.Dialogue(id=name, user_id=user_id, turns=tuple(turns))


def _turn(item: dict, known: dict[str, list[str]]) -> schema.Turn:
    """The turn; `known` holds the sentences so far by field and is brought up to date."""
    assistant = items.as_dict(item.get("assistant"))
    chosen = item.get("chosen")
    if chosen not in ("preferred", "rejected"):
        raise quarantine_lib.BadItem(f"'chosen' is {chosen!r}, not 'preferred' or 'rejected'")
    reply = assistant.get(chosen)
    reply = reply[0] if isinstance(reply, list) and reply else reply
    labelled, new, gone = False, [], []
    for field in _FIELDS:
        if item.get(field) is None:
            continue
        labelled = True
        sentences = _sentences(items.as_text(item[field], field))
        if sentences:  # "None" after a text is a gap in the labels, not a loss of what was known
            new += [s for s in sentences if s not in known[field]]
            gone += [s for s in known[field] if s not in sentences]
            known[field] = sentences
    return schema.Turn(
        user=items.text_of(item, "user"),
        assistant=items.as_text(reply, chosen),
        gold=_gold(list(dict.fromkeys(new))) if labelled else None,
        retires=tuple(gone),
    )


def _gold(statements: list[str]) -> str:
    """A snippet of the statements; where they are too many, neighbours share a line."""
    lines = list(statements)
    while len(lines) > snippet.MAX_STATEMENTS:
        at = min(range(len(lines) - 1), key=lambda i: len(lines[i]) + len(lines[i + 1]))
        lines[at : at + 2] = [f"{lines[at]} {lines[at + 1]}"]
    text = snippet.render(snippet.Snippet(tuple(lines)))
    parsed = snippet.parse(text)
    if isinstance(parsed, snippet.ParseFailure):
        raise quarantine_lib.BadItem(f"what it infers is no snippet: {parsed.reason}")
    return text


def _sentences(text: str) -> list[str]:
    if text.strip().rstrip(".").lower() == "none":
        return []
    flat = " ".join(text.split())
    return list(dict.fromkeys(s for s in re.split(r"(?<=[.!?]) ", flat) if s))


def _short(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]
