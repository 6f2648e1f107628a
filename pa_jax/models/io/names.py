"""Hugging Face tensor name <-> parameter of Decoder <-> transform, in one table.

Every reader (safetensors, GGUF) offers its tensors as `Tensors`, under Hugging Face names and in
Hugging Face shapes; io/stream makes the module's parameters from them.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Shaped
from pa_jax.models import decoder
from pa_jax.models.config import DecoderConfig

BLOCK_VALUES = 1 << 24  # of one tensor, held between the file and our layout
Index = tuple[range, ...]  # the part of each axis, steps of 1; hashable, unlike slices


@dataclasses.dataclass(frozen=True)
class Tensors:
    """Tensors of a checkpoint: shapes by Hugging Face name, and a slice of one of them."""

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str, Index], np.ndarray]


@dataclasses.dataclass(frozen=True)
class NamesLine:
    """One line of the table.

    path     the parameter in Decoder
    hf       its tensor's name; {l} a layer, {e} an expert: ours are stacked over them, in front
    inputs   leading axes of our slice that are a Linear's inputs: theirs is [out, in], ours
             [*in, *out]; 0 for a vector that we may hold as heads x width; None: stored as is
    """

    path: tuple[str, ...]
    hf: str
    inputs: int | None

    @property
    def rank(self) -> int:
        """How many leading axes of our parameter number tensors."""
        return ("{l}" in self.hf) + ("{e}" in self.hf)

    def stack(self, cfg: DecoderConfig) -> tuple[int, ...]:
        """Leading axes of our parameter that number tensors: (), (layers,) or (layers, experts)."""
        return (cfg.layers,) * ("{l}" in self.hf) + (cfg.experts,) * ("{e}" in self.hf)

    def names(self, cfg: DecoderConfig) -> Iterator[tuple[tuple[int, ...], str]]:
        """(index into our parameter, Hugging Face name) of every tensor of this row."""
        for index in np.ndindex(self.stack(cfg)):
            yield index, self.name(index)

    def name(self, index: tuple[int, ...]) -> str:
        """Hugging Face name of the tensor at `index` of our parameter: (), (l,) or (l, e)."""
        return self.hf.format(**dict(zip("le", index, strict=False)))

    def hf_shape(self, part: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the tensor whose values are our slice of shape `part`."""
        if self.inputs is None:
            return part
        if self.inputs == 0:
            return (math.prod(part),)
        return math.prod(part[self.inputs :]), math.prod(part[: self.inputs])

    def groups(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Axes of our slice that are the tensor's rows, and those that are its columns (or ())."""
        axes = tuple(range(rank))
        if self.inputs is None:
            return axes[:1], axes[1:]
        return axes[self.inputs :], axes[: self.inputs]

    def read(
        self,
        tensors: Tensors,
        name: str,
        part: tuple[int, ...],
        index: Index,
        out: Shaped[np.ndarray, "..."],
    ) -> None:
        """Copy `index` of our slice of shape `part`, whose values are tensor `name`, into `out`.

        The tensor is read a block of rows at a time, and no more of it than `index` asks for where
        only the first of the axes that make up one of theirs is cut.
        """
        rows, columns = self.groups(len(part))
        order, uncut = rows + columns, rows[:1] + columns[:1]
        each = math.prod(part[a] for a in rows[1:])  # rows in one step of our first row axis
        beside = (_flat(part, index, columns),) if columns else ()
        step = max(1, BLOCK_VALUES // (each * math.prod(len(r) for r in beside)))
        target = [slice(None)] * len(part)
        for low in range(index[rows[0]].start, index[rows[0]].stop, step):
            high = min(low + step, index[rows[0]].stop)
            block = tensors.read(name, (range(low * each, high * each), *beside))
            sizes = dict(enumerate(part)) | {a: len(index[a]) for a in uncut}
            sizes[rows[0]] = high - low
            block = block.reshape([sizes[a] for a in order])
            block = block[tuple(slice(None) if a in uncut else as_slice(index[a]) for a in order)]
            target[rows[0]] = slice(low - index[rows[0]].start, high - index[rows[0]].start)
            out[tuple(target)] = block.transpose([order.index(a) for a in range(len(part))])

    def to_ours(self, tensor: np.ndarray, part: tuple[int, ...]) -> np.ndarray:
        """Our slice, of shape `part`, of a whole tensor of theirs."""
        return (tensor.T if self.inputs else tensor).reshape(part)

    def to_hf(self, part: np.ndarray) -> np.ndarray:
        """Their tensor of our slice; inverse of to_ours."""
        shape = self.hf_shape(part.shape)
        return part.reshape(shape[::-1]).T if self.inputs else part.reshape(shape)


LAYER = "model.layers.{l}."


def table(cfg: DecoderConfig) -> list[NamesLine]:
    """The rows of a decoder of this shape, in the order checkpoints are written."""
    rows = [NamesLine(("embed",), "model.embed_tokens.weight", None)]
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
    rows += [NamesLine(("blocks", ours), LAYER + theirs, inputs) for ours, theirs, inputs in block]
    rows.append(NamesLine(("final_norm",), "model.norm.weight", 0))
    if not cfg.tied:
        rows.append(NamesLine(("head",), "lm_head.weight", 1))
    return rows


def as_slice(part: range) -> slice:
    """For indexing arrays and files."""
    return slice(part.start, part.stop)


def some(names: list[str]) -> str:
    """The first few of the names and how many more there are, for messages."""
    if not names:
        return "none"
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def _flat(part: tuple[int, ...], index: Index, axes: tuple[int, ...]) -> range:
    """`index` along `axes` taken as one axis: the first of them cut, the others whole."""
    each = math.prod(part[a] for a in axes[1:])
    return range(index[axes[0]].start * each, index[axes[0]].stop * each)


def export(module: decoder.Decoder) -> Iterator[tuple[str, tuple[int, ...], Callable]]:
    """(name, shape, read) of every tensor under its Hugging Face name; read() copies it to host.

    Of a module over several processes all must read, each tensor in its turn.
    """
    if module.scales or module.blocks.lora:
        raise ValueError(
            "a module with int8 weights or adapters has no Hugging Face tensors; give "
            "lora.merge(module), or write the adapters alone with lora.export_peft."
        )
    state = dict(nnx.to_flat_state(nnx.state(module, nnx.Param)))
    for row in table(module.cfg):
        parameter = state[row.path][...]
        shape = row.hf_shape(parameter.shape[row.rank :])
        for index, name in row.names(module.cfg):

            def read(
                row: NamesLine = row, parameter: Array = parameter, index: tuple[int, ...] = index
            ) -> np.ndarray:
                part = np.asarray(sharding.fetch(parameter[index] if index else parameter))
                return np.ascontiguousarray(row.to_hf(part))

            yield name, shape, read
