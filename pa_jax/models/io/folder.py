"""What stands in a Hugging Face folder beside the weights: config, generation config, tokenizer."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import transformers

from pa_jax.core import files
from pa_jax.models import config
from pa_jax.models.io import safetensors

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
    _write_json(folder / "config.json", config.to_hf(cfg, dtype=dtype) | ids)
    if generation:
        _write_json(folder / "generation_config.json", dict(generation))
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
        path = folder / "tokenizer_config.json"  # transformers 4 does not know 5's class name
        named = safetensors.read_json(path) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        _write_json(path, named)


def token_ids(tokenizer: transformers.PreTrainedTokenizerFast | None) -> dict[str, Any]:
    """The generation config of a source that has none: the tokenizer's own special ids."""
    ids = {key: getattr(tokenizer, key) for key in TOKEN_IDS} if tokenizer else {}
    return {key: value for key, value in ids.items() if value is not None}


def _write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
    files.atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
