"""What stands in a Hugging Face folder beside the weights: config, generation config, tokenizer."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import transformers

from pa_jax.core import files
from pa_jax.models import config
from pa_jax.models.io import safetensors

# Special tokens beside the named ones: a list of 5's, a dict of other ones to 4; and 4's list.
EXTRA, ADDITIONAL = "extra_special_tokens", "additional_special_tokens"
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def describe(
    folder: pathlib.Path,
    cfg: config.DecoderConfig,
    *,
    dtype: str,
    generation: Mapping[str, Any],
    tokenizer: transformers.PreTrainedTokenizerFast | None,
) -> None:
    """Write those files; `dtype` is that of the weights, `generation` may be empty."""
    ids = {key: generation[key] for key in TOKEN_IDS if key in generation}
    write_json(folder / "config.json", config.to_hf(cfg, dtype=dtype) | ids)
    if generation:
        write_json(folder / "generation_config.json", dict(generation))
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
        path = folder / "tokenizer_config.json"  # transformers 4 does not know 5's class name
        named = safetensors.read_json(path) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        if isinstance(named.get(EXTRA), list):  # nor this; 5 reads 4's name for them, too
            named[ADDITIONAL] = named.pop(EXTRA)
        write_json(path, named)


def read_tokenizer(folder: pathlib.Path) -> transformers.PreTrainedTokenizerFast:
    """The tokenizer of a folder that transformers 4 or 5 wrote, under either."""
    path = folder / "tokenizer_config.json"
    extra = safetensors.read_json(path).get(EXTRA) if path.is_file() else None
    named: dict[str, Any] = {EXTRA: {}, ADDITIONAL: extra} if isinstance(extra, list) else {}
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder, **named)


def token_ids(tokenizer: transformers.PreTrainedTokenizerFast | None) -> dict[str, Any]:
    """The generation config of a source that has none: the tokenizer's own special ids."""
    ids = {key: getattr(tokenizer, key) for key in TOKEN_IDS} if tokenizer else {}
    return {key: value for key, value in ids.items() if value is not None}


def write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
    """A file of the folder, whole or not at all."""
    files.atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
