"""Chat messages as most tools log them: JSONL, one session a line, with optional gold snippets."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import items
from pa_jax.dialogue import schema, snippet

PASSED_OVER = ("system", "developer", "tool", "function")  # roles that neither ask nor answer


@dataclasses.dataclass(frozen=True)
class _Session:
    user_id: str
    number: int | None
    turns: tuple[schema.Turn, ...]


def read(
    path: str, quarantine: quarantine_lib.Quarantine, *, key: str = "data.path"
) -> Iterator[schema.Dialogue]:
    """One dialogue a user; `path` is a JSONL file or a folder of them, given by a config's `key`.

    A line is {"messages": [{"role", "content"}, ...]} and, as one likes, "user_id", "id",
    "session" (a number) and "gold" (a snippet or null for each user message). Lines of one user_id
    are that user's sessions, by number where all have one, else as they come. A line without
    user_id is a user of its own, named after "id" or its place. Each user message is a turn, with
    the assistant messages up to the next as its reply; what an assistant says before the first
    user message is not kept, as a turn starts with the user. A blank user message is no turn, and
    its reply and gold go with it.
    """
    users: dict[str, list[_Session]] = {}
    for file in items.find_files(path, "*.jsonl", key=key):
        for number, value in items.read_lines(file, quarantine):
            try:
                session = _session(items.as_dict(value), file, number)
            except quarantine_lib.BadItem as error:
                quarantine.reject(file, number, str(error), json.dumps(value))
                continue
            quarantine.accept()
            users.setdefault(session.user_id, []).append(session)
    quarantine.finish(path)
    for user_id, sessions in users.items():
        yield schema.Dialogue(id=user_id, user_id=user_id, turns=_in_order(sessions))


def _in_order(sessions: list[_Session]) -> tuple[schema.Turn, ...]:
    numbers = [session.number for session in sessions if session.number is not None]
    if len(numbers) < len(sessions):
        numbers = list(range(len(sessions)))
    order = sorted(range(len(sessions)), key=lambda i: numbers[i])
    return tuple(
        dataclasses.replace(turn, session=numbers[i]) for i in order for turn in sessions[i].turns
    )


def _session(item: dict, file: pathlib.Path, line: int) -> _Session:
    given = item.get("session")
    number = items.as_whole(given)
    if given is not None and number is None:
        raise quarantine_lib.BadItem(f"'session' is {given!r}, not a whole number")
    if not isinstance(item.get("messages"), list):
        raise quarantine_lib.BadItem(
            f"'messages' must be a list of {{role, content}}; the fields are {sorted(item)}"
        )
    turns = _turns(item["messages"])
    gold = item.get("gold")
    if gold is not None:
        if not isinstance(gold, list) or len(gold) != len(turns):
            raise quarantine_lib.BadItem(
                f"'gold' must be a list of {len(turns)}, one a user message, got {gold!r}"
            )
        turns = [dataclasses.replace(t, gold=_gold(g)) for t, g in zip(turns, gold, strict=True)]
    turns = [turn for turn in turns if turn.user.strip()]
    if not turns:
        raise quarantine_lib.BadItem("of every user message 'content' is blank")
    return _Session(_user_id(item, file, line), number, tuple(turns))


def _user_id(item: dict, file: pathlib.Path, line: int) -> str:
    for key, prefix in (("user_id", ""), ("id", f"{file.stem}/")):
        value = item.get(key)
        number = items.as_whole(value)
        if number is not None:
            return f"{prefix}{number}"
        if value is not None:
            return prefix + items.as_name(value, key)
    return f"{file.stem}/line-{line}"


def _turns(messages: list[object]) -> list[schema.Turn]:
    turns: list[schema.Turn] = []
    for value in messages:
        message = items.as_dict(value)
        role, content = message.get("role"), _content(message.get("content"))
        if role == "user":
            text = items.as_text(content, "content") if content.strip() else ""
            turns.append(schema.Turn(user=text))
        elif role == "assistant":
            if turns and content.strip():
                said = [turns[-1].assistant, items.as_text(content, "content")]
                reply = "\n".join(text for text in said if text)
                turns[-1] = dataclasses.replace(turns[-1], assistant=reply)
        elif role not in PASSED_OVER:
            raise quarantine_lib.BadItem(
                f"role {role!r}: must be one of {['user', 'assistant', *PASSED_OVER]}"
            )
    if not turns:
        raise quarantine_lib.BadItem("'messages' has no user message")
    return turns


def _content(content: object) -> str:
    """The text of a message: a string, a list of parts of which some hold text, or null."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [items.as_dict(part).get("text") for part in content]
        return "\n".join(part for part in parts if isinstance(part, str))
    raise quarantine_lib.BadItem(f"'content' is {items.kind(content)}, not a text")


def _gold(value: object) -> str | None:
    if value is None:
        return None
    if value == "":
        raise quarantine_lib.BadItem(
            f"a 'gold' is blank; null is a turn without a label, {snippet.NOTHING!r} one that "
            "shows no preference"
        )
    gold = items.as_text(value, "gold")
    parsed = snippet.parse(gold)
    if isinstance(parsed, snippet.ParseFailure):
        raise quarantine_lib.BadItem(f"gold {gold!r} is no snippet: {parsed.reason}")
    return snippet.render(parsed)
