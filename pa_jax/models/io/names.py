"""Hugging Face tensor name <-> parameter of Decoder <-> transform, in one table.

Every reader (safetensors, GGUF) offers its tensors as `Tensors`, under Hugging Face names and in
Hugging Face shapes; `fill` makes the module's parameters from them, one parameter at a time.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from pa_jax.core.typing import Array
from pa_jax.models import decoder
from pa_jax.models.config import DecoderConfig

Place = Callable[[tuple[str, ...], np.ndarray], Array]  # parameter path, values -> device array


@dataclasses.dataclass(frozen=True)
class Tensors:
    """Tensors of a checkpoint: shapes by Hugging Face name, values read one at a time."""

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    path     the parameter in Decoder
    hf       its tensor's name; {l} a layer, {e} an expert: ours are stacked over them, in front
    inputs   leading axes of our slice that are a Linear's inputs: theirs is [out, in], ours
             [*in, *out]; 0 for a vector that we may hold as heads x width; None: stored as is
    """

    path: tuple[str, ...]
    hf: str
    inputs: int | None

    def stack(self, cfg: DecoderConfig) -> tuple[int, ...]:
        """Leading axes of our parameter that number tensors: (), (layers,) or (layers, experts)."""
        return (cfg.layers,) * ("{l}" in self.hf) + (cfg.experts,) * ("{e}" in self.hf)

    def names(self, cfg: DecoderConfig) -> Iterator[tuple[tuple[int, ...], str]]:
        """(index into our parameter, Hugging Face name) of every tensor of this row."""
        for index in np.ndindex(self.stack(cfg)):
            yield index, self.hf.format(**dict(zip("le", index, strict=False)))

    def hf_shape(self, part: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the tensor whose values are our slice of shape `part`."""
        if self.inputs is None:
            return part
        if self.inputs == 0:
            return (math.prod(part),)
        return math.prod(part[self.inputs :]), math.prod(part[: self.inputs])

    def to_ours(self, tensor: np.ndarray, part: tuple[int, ...]) -> np.ndarray:
        """Our slice of a tensor of theirs."""
        return (tensor.T if self.inputs else tensor).reshape(part)

    def to_hf(self, part: np.ndarray) -> np.ndarray:
        """Their tensor of our slice; inverse of to_ours."""
        shape = self.hf_shape(part.shape)
        return part.reshape(shape[::-1]).T if self.inputs else part.reshape(shape)


LAYER = "model.layers.{l}."


def table(cfg: DecoderConfig) -> list[Row]:
    """The rows of a decoder of this shape, in the order checkpoints are written."""
    rows = [Row(("embed",), "model.embed_tokens.weight", None)]
    block = [
        ("attention_norm", "input_layernorm.weight", 0),
        ("wq", "self_attn.q_proj.weight", 1),
        ("wk", "self_attn.k_proj.weight", 1),
        ("wv", "self_attn.v_proj.weight", 1),
        ("wo", "self_attn.o_proj.weight", 2),
        ("mlp_norm", "post_attention_layernorm.weight", 0),
    ]
    if cfg.qkv_bias:
        block += [(f"b{x}", f"self_attn.{x}_proj.bias", 0) for x in "qkv"]
    if cfg.qk_norm:
        block += [(f"{x}_norm", f"self_attn.{x}_norm.weight", 0) for x in "qk"]
    if cfg.experts:
        block += [("router", "mlp.gate.weight", 1)]
    mlp = "mlp.experts.{e}." if cfg.experts else "mlp."
    block += [(f"w_{x}", f"{mlp}{x}_proj.weight", 1) for x in ("gate", "up", "down")]
    rows += [Row(("blocks", ours), LAYER + theirs, inputs) for ours, theirs, inputs in block]
    rows.append(Row(("final_norm",), "model.norm.weight", 0))
    if not cfg.tied:
        rows.append(Row(("head",), "lm_head.weight", 1))
    return rows


def fill(cfg: DecoderConfig, tensors: Tensors, *, dtype, attention: str, place: Place):
    """Decoder with the checkpoint's values as `dtype`; holds one parameter on the host at a time.

    Raises ValueError naming missing, unexpected and wrongly shaped tensors.
    """
    graph, state = nnx.split(decoder.abstract(cfg, dtype=dtype, attention=attention))
    shapes = {path: variable.shape for path, variable in nnx.to_flat_state(state)}
    rows = {row.path: row for row in table(cfg)}
    _check(cfg, rows, shapes, tensors.shapes)

    def value(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> Array:
        path = tuple(key.key for key in path if isinstance(key, jax.tree_util.DictKey))
        row = rows[path]
        host = np.empty(leaf.shape, leaf.dtype)
        for index, name in row.names(cfg):
            host[index] = row.to_ours(tensors.read(name), host[index].shape)
        return place(path, host)

    return nnx.merge(graph, jax.tree_util.tree_map_with_path(value, state))


def _check(cfg, rows, shapes, found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless the checkpoint holds exactly the tensors of this decoder."""
    wanted = {}
    for path, row in rows.items():
        part = shapes[path][len(row.stack(cfg)) :]
        wanted |= {name: row.hf_shape(part) for _, name in row.names(cfg)}
    spare = {"lm_head.weight"} if cfg.tied else set()  # a tied checkpoint may store it twice
    missing = [name for name in wanted if name not in found]
    unexpected = [
        name
        for name in found
        if name not in wanted and name not in spare and not name.endswith("rotary_emb.inv_freq")
    ]
    if missing or unexpected:
        raise ValueError(
            f"the checkpoint does not fit its config ({cfg.family}, {cfg.layers} layers): "
            f"missing tensors: {some(missing)}; unexpected tensors: {some(unexpected)}. "
            "Check that config.json belongs to these weights and that every shard is there."
        )
    for name, shape in wanted.items():
        if tuple(found[name]) != shape:
            raise ValueError(
                f"tensor {name}: got shape {tuple(found[name])}, the config asks for {shape}; "
                "check that config.json belongs to these weights."
            )


def some(names: list[str]) -> str:
    """The first few of the names and how many more there are, for messages."""
    if not names:
        return "none"
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def export(module: decoder.Decoder) -> Iterator[tuple[str, tuple[int, ...], Callable]]:
    """(name, shape, read) of every tensor under its Hugging Face name; read() copies it to host."""
    if module.scales or module.blocks.lora:
        raise ValueError(
            "a module with int8 weights or adapters has no Hugging Face tensors; give "
            "lora.merge(module), or write the adapters alone with lora.export_peft."
        )
    state = dict(nnx.to_flat_state(nnx.state(module, nnx.Param)))
    for row in table(module.cfg):
        parameter = state[row.path][...]
        stack = len(row.stack(module.cfg))
        shape = row.hf_shape(parameter.shape[stack:])
        for index, name in row.names(module.cfg):

            def read(row=row, parameter=parameter, index=index) -> np.ndarray:
                part = np.asarray(jax.device_get(parameter[index] if index else parameter))
                return np.ascontiguousarray(row.to_hf(part))

            yield name, shape, read
