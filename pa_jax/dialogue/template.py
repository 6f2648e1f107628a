"""Chat messages to token ids by the checkpoint's own template, contents kept as data."""

import re
from collections.abc import Sequence

from pa_jax.dialogue import schema, tokenizer

ROLES = ("system", "user", "assistant")
MARK = re.compile("\ue000([0-9]+)\ue001")  # private-use characters: no template writes them


def encode_chat(
    tokenizer: tokenizer.Tokenizer,
    messages: Sequence[schema.Message],
    *,
    add_generation_prompt: bool,
) -> list[int]:
    """Ids of the rendered chat; what the template writes may be special, contents never are.

    The template sees a mark in place of each content, so no content can open or close a role.
    Where it knows `enable_thinking`, thinking is off.
    """
    for message in messages:
        if message.role not in ROLES:
            raise ValueError(f"message role {message.role!r}: choose one of {ROLES}.")
    template = tokenizer.template
    marked = [
        {"role": message.role, "content": f"\ue000{i}\ue001"} for i, message in enumerate(messages)
    ]
    extra = {"enable_thinking": False} if "enable_thinking" in template else {}
    text = tokenizer.hf.apply_chat_template(
        marked, tokenize=False, add_generation_prompt=add_generation_prompt, **extra
    )
    parts = MARK.split(text)  # template text, message number, template text, ...
    order = [int(number) for number in parts[1::2]]
    if order != list(range(len(messages))):
        raise ValueError(
            f"the chat template renders messages {order} of {len(messages)}: every message must "
            "appear once and in order; change the roles or use another template."
        )
    return _encode(tokenizer, parts, [message.content for message in messages])


def _encode(tokenizer: tokenizer.Tokenizer, parts: list[str], contents: list[str]) -> list[int]:
    """Ids of template text and, at odd places, contents: added tokens count in the template only.

    Text between two added tokens is encoded in one go, as the tokenizer itself would cut it.
    """
    longest_first = sorted(tokenizer.added, key=len, reverse=True)
    added = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None
    ids, run = [], ""
    for position, part in enumerate(parts):
        if position % 2:
            run += contents[int(part)]
            continue
        for piece in added.split(part) if added else [part]:
            if piece in tokenizer.added:
                ids += [*tokenizer.encode(run), tokenizer.added[piece]]
                run = ""
            else:
                run += piece
    return ids + tokenizer.encode(run)
