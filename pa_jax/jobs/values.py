"""What the keys of a config may hold: words and ranges, checked before anything is loaded.

Every number is finite and not below 0 unless a table here says otherwise; a name in a table is that
of a key, or what a key ends with behind a dot. What only a part can tell, the part says itself.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_collections

from pa_jax import models
from pa_jax.data.dialogues import SPLITS
from pa_jax.models import decoder
from pa_jax.models.io import source
from pa_jax.profile.db import connect, database

WORDS = {
    "data.form": ("explicit", "choice", "persona", "all"),
    "data.state_source": ("gold", "policy", "mixed"),
    "judge.dtype": models.STORED,
    "model.compute": models.DTYPES,
    "model.dtype": models.STORED,
    "model.remat": tuple(decoder.REMAT),
    "prefeval.form": ("explicit", "choice", "persona"),
    "remote.format": ("json_schema", "json_object", "none"),
    "remote.limit": ("max_tokens", "max_completion_tokens"),
    "split": SPLITS,
    "ways": ("turns", "full_history"),
}
ANY = (  # finite, whatever their sign
    *("ask.bias", "ask.gain", "ask.lexical", "ask.lexical_peers", "ask.topical"),
    *("ask.topical_peers", "infer.grounding", "mesh.fsdp", "remote.temperature"),
    *("reward.truncated", "reward.weights"),
)
UNBOUNDED = ("infer.grounding", "loss.clip_high", "optim.clip_norm")  # inf switches them off
AT_LEAST_ONE = (
    *("agent.attempts", "agent.max_new_tokens", "agent.penalty", "agent.together"),
    *(
        "aloe.turns",
        "ask.keep",
        "ask.words_chars",
        "cases",
        "chat_model.max_new_tokens",
        "chunk",
        "costs.apart",
    ),
    *("data.heldout_users", "data.users", "episodes", "eval.max_new_tokens", "eval.part"),
    *(
        "full_history.max_new_tokens",
        "full_history.prompt_tokens",
        "horizon",
        "infer.max_new_tokens",
    ),
    *("infer.prompt_tokens", "infer.place_categories", "keep", "lengths"),
    *("live.slots", "live.trunk", "mesh.ep", "mesh.tp", "per_topic", "prompt_tokens"),
    *("reply.message_chars", "rows"),
    *("rollout.group", "rollout.max_new_tokens", "rollout.prompts"),
    *("user_chars", "users", "warm.batch"),
)
NOT_EMPTY = ("lengths", "turns", "noise.noise", "prefeval.noise", "ways", "kinds", "seeds", "parts")
ABOVE_ZERO = ("agent.top_p", "agent.wait_seconds", "alpha", "optim.eps", "remote.timeout", "top_p")
AT_MOST_ONE = (
    *("agent.top_p", "ask.echo", "ask.near", "ask.relevant", "ask.remains", "ask.sure"),
    *("data.state_share", "data.strangers", "infer.place_sure", "infer.stated", "loss.clip_low"),
    *("optim.b1", "optim.b2", "reply.background", "reply.manner", "top_p"),
)
SEEDS = 2**32  # of a seed: below
HEADER = r"[\w!#$%&'*+.^`|~-]*"  # none: no header names a user
# Keys that name a model: config.model.source itself says what is wrong with it when it is loaded.
MODELS = ("asker", "judge.source", "replier", "runs", "user.source")


def require(config: ml_collections.ConfigDict) -> None:
    """A ValueError for the first key that holds what it cannot, with what is allowed."""
    for key, value in _flat(config.to_dict()):
        if key.endswith("examples"):
            _require_examples(key, value)
            continue
        if _named(key, NOT_EMPTY) and value in ((), []):
            raise ValueError(f"{key}={value}: at least one is needed.")
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, str):
                allowed = _of(WORDS, key)
                if allowed and one not in allowed:
                    raise ValueError(f"{key}={one!r}: choose one of {list(allowed)}.")
                if one and _named(key, MODELS):
                    source.require_there(one, key)
            elif isinstance(one, int | float) and not isinstance(one, bool):
                _require_number(key, one)
    if config.job == "sft" and config.data.state_source != "gold":
        raise ValueError(
            f"data.state_source={config.data.state_source!r}: only grpo writes snippets of its "
            "own; take 'gold'."
        )
    if config.job == "chat":
        try:
            database.require_user(config.user)
        except ValueError as error:
            raise ValueError(f"user={ascii(config.user)[:80]}: {error}") from error
    if config.get("store"):
        try:
            connect.parse(config.store)
        except ValueError as error:  # without the address, which may hold a password
            raise ValueError(f"store: {error}") from error
    if config.job == "serve" and not re.fullmatch(HEADER, config.user_header, re.ASCII):
        raise ValueError(
            f"user_header={ascii(config.user_header)}: the name of an HTTP header is allowed, as "
            "X-User; letters, digits and -."
        )


def require_read(config: ml_collections.ConfigDict, given: Sequence[str]) -> None:
    """A ValueError for a key of an endpoint that was set on the command line and is not asked."""
    for key in given:
        kinds = config.get("kinds", ()) if key.startswith("remote.") else ()
        if key.startswith("judge.remote."):
            kinds = (config.judge.kind,)
        if kinds and "remote" not in kinds:
            where = "kinds" if key.startswith("remote.") else "judge.kind"
            raise ValueError(
                f"{key} is not read by {where}={', '.join(kinds)}: leave it out, or add "
                f"--config.{where}=remote."
            )


def _require_number(key: str, value: int | float) -> None:
    name = key.rpartition(".")[2]
    if math.isnan(value) or (math.isinf(value) and not _named(key, UNBOUNDED)):
        raise ValueError(f"{key}={value}: a finite number is allowed.")
    if _named(key, ANY):
        return
    if name in ("seed", "seeds") and not 0 <= value < SEEDS:
        raise ValueError(f"{key}={value}: a number from 0 to {SEEDS - 1} is allowed.")
    if _named(key, AT_LEAST_ONE) and value < 1:
        raise ValueError(f"{key}={value}: at least 1 is allowed.")
    if _named(key, ABOVE_ZERO) and value <= 0:
        raise ValueError(f"{key}={value}: a number above 0 is allowed.")
    if value < 0:
        raise ValueError(f"{key}={value}: no number below 0 is allowed.")
    if _named(key, AT_MOST_ONE) and value > 1:
        raise ValueError(f"{key}={value}: at most 1 is allowed.")


def _require_examples(key: str, value: Any) -> None:
    for one in value:
        if not isinstance(one, list | tuple) or [type(text) for text in one] != [str] * 3:
            raise ValueError(
                f"{key} has {one!r:.80}: each is three texts, an assistant's message or '', the "
                "user's, and its snippet."
            )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _of(table: Mapping[str, tuple[str, ...]], key: str) -> tuple[str, ...]:
    return next((table[name] for name in table if _is(key, name)), ())


def _named(key: str, names: tuple[str, ...]) -> bool:
    return any(_is(key, name) for name in names)


def _is(key: str, name: str) -> bool:
    return key == name or key.endswith(f".{name}")
