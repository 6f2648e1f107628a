"""Chat messages to token ids by the checkpoint's own template, contents kept as data."""

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Any

from pa_jax.dialogue import schema, thought
from pa_jax.dialogue.tokenizer import TEMPLATE_FAULTS, Tokenizer

ROLES = ("system", "user", "assistant")
MARK = re.compile("\ue000([0-9]+)\ue001")  # private-use characters: no template writes them


class Refused(ValueError):
    """The checkpoint's template does not take these messages; its own words are in the message."""


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[schema.Message],
    *,
    add_generation_prompt: bool,
) -> list[int]:
    """Ids of the rendered chat; what the template writes may be special, contents never are.

    The template sees a mark in place of each content, so no content can open or close a role.
    Thinking is off: by `enable_thinking` where the template knows it, and a thought that it opens
    all the same is closed. Raises Refused where it does not take these roles.
    """
    messages = merged(messages) if tokenizer.merge_roles else messages
    roles = tuple(message.role for message in messages)
    ids: list[int] = []
    for run in _runs(tokenizer, tokenizer.template, roles, add_generation_prompt):
        texts = (part if isinstance(part, str) else messages[part].content for part in run.parts)
        ids += tokenizer.encode("".join(texts)) if run.parts else ()
        ids += run.then
    return ids


def encode_chats(
    tokenizer: Tokenizer,
    chats: Sequence[Sequence[schema.Message]],
    *,
    add_generation_prompt: bool,
) -> list[list[int]]:
    """`encode_chat` of every chat, all texts in one go: what chats share is encoded once."""
    of_chats, texts = [], []
    for chat in chats:
        messages = merged(chat) if tokenizer.merge_roles else chat
        roles = tuple(message.role for message in messages)
        runs = _runs(tokenizer, tokenizer.template, roles, add_generation_prompt)
        of_chats.append(runs)
        for run in runs:
            if run.parts:
                parts = (p if isinstance(p, str) else messages[p].content for p in run.parts)
                texts.append("".join(parts))
    made = iter(tokenizer.encode_many(texts))
    out = []
    for runs in of_chats:
        ids: list[int] = []
        for run in runs:
            ids += next(made) if run.parts else ()
            ids += run.then
        out.append(ids)
    return out


def merged(messages: Sequence[schema.Message]) -> list[schema.Message]:
    """The same words with the user and the assistant in turn: what is the system's is the user's.

    Neighbours of one role are one message, a blank line between them.
    """
    out: list[schema.Message] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        if out and out[-1].role == role:
            text = f"{out[-1].content}\n\n{message.content}"
            out[-1] = schema.Message(role, text)
        else:
            out.append(schema.Message(role, message.content))
    return out


@dataclasses.dataclass(frozen=True)
class _Run:
    """Text and message numbers, encoded in one go, and the template's own ids up to the next."""

    parts: tuple[str | int, ...]
    then: tuple[int, ...]


@functools.lru_cache(maxsize=32)  # a run renders its one or two kinds of chat again and again
def _runs(
    tokenizer: Tokenizer, template: str, roles: tuple[str, ...], generation: bool
) -> tuple[_Run, ...]:
    """The rendered chat cut at added tokens, which count in the template only.

    What lies between two of them is encoded in one go, as the tokenizer itself would cut it; what
    holds no message, once for all.
    """
    for role in roles:
        if role not in ROLES:
            raise ValueError(f"message role {role!r}: choose one of {ROLES}.")
    marked = [{"role": role, "content": f"\ue000{i}\ue001"} for i, role in enumerate(roles)]
    extra: dict[str, Any] = {"enable_thinking": False} if "enable_thinking" in template else {}
    try:
        text = tokenizer.hf.apply_chat_template(
            marked, tokenize=False, add_generation_prompt=generation, **extra
        )
    except TEMPLATE_FAULTS as error:
        raise Refused(
            f"the model's chat template refuses these messages ({', '.join(roles)}): {error}. Send "
            "roles that it takes, set model.merge_roles=True (system into the user's message, "
            "neighbours of one role into one), or use another model."
        ) from error
    pieces = MARK.split(str(text))  # template text, message number, template text, ...
    if generation:
        pieces[-1] = thought.closed(pieces[-1])
    order = [int(number) for number in pieces[1::2]]
    if order != list(range(len(roles))):
        raise Refused(
            f"the model's chat template renders messages {order} of {len(roles)} "
            f"({', '.join(roles)}): every one must appear once and in order. Send roles that it "
            "takes, set model.merge_roles=True, or use another model."
        )
    longest_first = sorted(tokenizer.added, key=len, reverse=True)
    added = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None
    runs: list[_Run] = []
    parts: list[str | int] = []
    for position, piece in enumerate(pieces):
        if position % 2:
            parts.append(int(piece))
            continue
        for text in added.split(piece) if added else [piece]:
            if text in tokenizer.added:
                runs.append(_Run(tuple(parts), (tokenizer.added[text],)))
                parts = []
            elif text:
                parts.append(text)
    return _settled(tokenizer, [*runs, _Run(tuple(parts), ())])


def _settled(tokenizer: Tokenizer, runs: list[_Run]) -> tuple[_Run, ...]:
    """The same runs, those without a message turned into ids of the run before."""
    made = [_Run((), ())]
    for run in runs:
        if any(isinstance(part, int) for part in run.parts):
            made.append(run)
        else:
            text = "".join(map(str, run.parts))
            known = (*tokenizer.encode(text), *run.then)
            made[-1] = _Run(made[-1].parts, made[-1].then + known)
    return tuple(made)
