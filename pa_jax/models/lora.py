"""LoRA: low-rank adapters beside frozen weights, y + alpha / rank * (x A) B (arXiv 2106.09685).

Adapted are attention (q, k, v, o) and the MLP (gate, up, down); of a mixture of experts attention
only: experts see few tokens each, and `peft` has no name for ours. Adapters are float32
nnx.LoRAParam, stacked over layers like the weights and computed with in the activations' dtype,
so that `split` parts what trains from what does not. The base may be int8 (quant.py).
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from pa_jax.core import files, sharding
from pa_jax.core.typing import Array, Bool, Float, Key
from pa_jax.models import decoder, precision, quant
from pa_jax.models.io import names
from pa_jax.models.io.safetensors import read_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
HARMLESS = (  # keys of peft that leave a plain adapter what it is; all others are foreign
    *("base_model_name_or_path", "revision", "peft_version", "auto_mapping", "task_type"),
    *("peft_type", "r", "lora_alpha", "bias", "init_lora_weights"),  # looked at by themselves
    *("inference_mode", "lora_dropout", "runtime_config", "megatron_config", "megatron_core"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("eva_config", "loftq_config", "corda_config", "lora_ga_config", "qalora_group_size"),
)
BASE_KEPT = (True, False, None, "gaussian", "eva", "orthogonal")  # beginnings; others change it


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """Inner width of every adapter, and the numerator of its weight alpha / rank."""

    rank: int
    alpha: float

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise ValueError(f"{self}: rank must be at least 1 and alpha above 0.")


def add(module: decoder.Decoder, cfg: LoraConfig, key: Key[Array, ""]) -> decoder.Decoder:
    """The decoder with adapters that change nothing yet (B = 0); shares the base's arrays."""
    pairs = {}
    for i, name in enumerate(adapted(module)):
        a_shape, b_shape = _shapes(module, name, cfg.rank)
        bound = math.prod(a_shape[1:-1]) ** -0.5  # kaiming uniform with a = sqrt(5), as peft draws
        a = jax.random.uniform(jax.random.fold_in(key, i), a_shape, jnp.float32, -bound, bound)
        pairs[name] = a, jnp.zeros(b_shape, jnp.float32)
    return _with_pairs(module, pairs, cfg.alpha)


def merge(module: decoder.Decoder) -> decoder.Decoder:
    """A plain decoder, the adapters added into its weights (rounded to their dtype).

    An int8 base is dequantised first, to the norms' dtype.
    """
    made = base(quant.dequantise(module))
    for name, pair in module.blocks.lora.items():
        weight = getattr(made.blocks, name)
        scaling = module.blocks.lora_alpha / pair["a"].shape[-1]
        values = _summed(weight[...], pair["a"][...], pair["b"][...], scaling)
        setattr(made.blocks, name, nnx.Param(values, axes=weight.get_metadata()["axes"]))
    return made


def base(module: decoder.Decoder) -> decoder.Decoder:
    """The reference: the same arrays without adapters."""
    made = quant.copy(module)
    made.blocks.lora, made.blocks.lora_alpha = nnx.Dict(), 0.0
    return made


def on_rows(module: decoder.Decoder, on: Bool[Array | np.ndarray, " n"]) -> decoder.Decoder:
    """The decoder for n rows at a time, whose adapters count in those alone that are `on`.

    It is the one given, changed; without adapters it stays as it was.
    """
    if module.blocks.lora:
        rows = jnp.broadcast_to(on.astype(jnp.float32), (module.cfg.layers, len(on)))
        module.blocks.lora_rows["on"] = nnx.Variable(rows, axes=("layers", "rows"))
    return module


def split(module: decoder.Decoder) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """(graph, adapters, everything else); nnx.merge of the three gives the module back."""
    graph, adapters, *rest = nnx.split(module, nnx.LoRAParam, ...)
    return graph, adapters, rest[0]


def adapted(module: decoder.Decoder) -> list[str]:
    """Names of the block's weights that get adapters."""
    experts = bool(module.cfg.experts)
    return [name for name in decoder.PROJECTIONS if not (experts and name.startswith("w_"))]


def _shapes(module: decoder.Decoder, name: str, rank: int) -> tuple[tuple[int, ...], ...]:
    """Shapes of a [layers, *inputs, rank] and b [layers, rank, *outputs]."""
    shape, cut = getattr(module.blocks, name).shape, 1 + decoder.PROJECTIONS[name]
    return (*shape[:cut], rank), (shape[0], rank, *shape[cut:])


def _with_pairs(
    module: decoder.Decoder, pairs: dict[str, tuple[Array, Array]], alpha: float
) -> decoder.Decoder:
    if module.blocks.lora:
        raise ValueError("the module has adapters already; take lora.base or lora.merge of it.")
    made = quant.copy(module)
    made.blocks.lora_alpha = float(alpha)
    for name, (a, b) in pairs.items():
        axes = getattr(module.blocks, name).get_metadata()["axes"]
        cut = 1 + decoder.PROJECTIONS[name]
        made.blocks.lora[name] = nnx.Dict(
            a=nnx.LoRAParam(a, axes=(*axes[:cut], "rank")),
            b=nnx.LoRAParam(b, axes=(axes[0], "rank", *axes[cut:])),
        )
    return made


@jax.jit
def _summed(weight: Array, a: Array, b: Array, scaling: Float[Array, ""]) -> Array:
    """weight + scaling * a b, in float32 for one layer at a time."""

    def layer(this: tuple[Array, Array, Array]) -> Array:
        weight, a, b = this
        delta = scaling * jnp.tensordot(a, b, 1, precision=jax.lax.Precision.HIGHEST)
        return (weight.astype(jnp.float32) + delta).astype(weight.dtype)

    return jax.lax.map(layer, (precision.matrix(weight), a, b))


def export_peft(module: decoder.Decoder, folder: str | pathlib.Path, base_name: str) -> None:
    """Write the adapters as `peft` reads them; `base_name` is the base's folder or hub name."""
    lora = module.blocks.lora
    if not lora:
        raise ValueError("the module has no adapters to export; make them with lora.add.")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    host = sharding.fetch({name: (p["a"][...], p["b"][...]) for name, p in lora.items()})
    tensors, targets = {}, []
    for name, part, index, row, key in _tensors(module):
        if name in host:
            tensors[key] = np.ascontiguousarray(row.to_hf(host[name]["ab".index(part)][index]))
            targets.append(key.split(".")[-3])
    ranks = {a.shape[-1] for a, _ in host.values()}
    alpha = module.blocks.lora_alpha
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": ranks.pop(),
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(dict.fromkeys(targets)),
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
    }
    if jax.process_index() > 0:  # all must come as far as this; the first writes
        return
    half = folder / f"{WEIGHTS}.part"
    safetensors.numpy.save_file(tensors, half, metadata={"format": "pt"})
    files.share(half)
    os.replace(half, folder / WEIGHTS)
    files.atomic_write(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def import_peft(module: decoder.Decoder, folder: str | pathlib.Path) -> decoder.Decoder:
    """The decoder with the adapters of a `peft` folder; weights that it leaves out get none."""
    folder = pathlib.Path(folder)
    config = read_json(folder / CONFIG)
    cfg = _checked(config, folder)
    try:
        found = safetensors.numpy.load_file(folder / WEIGHTS)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"{folder / WEIGHTS} cannot be read ({error}): missing or half written; only "
            "safetensors are read."
        ) from error
    wanted = {key: (name, part, index, row) for name, part, index, row, key in _tensors(module)}
    present = {wanted[key][0] for key in found if key in wanted}
    missing = [key for key, (name, *_) in wanted.items() if name in present and key not in found]
    unexpected = [key for key in found if key not in wanted]
    if missing or unexpected or not present:
        raise ValueError(
            f"{folder / WEIGHTS} does not fit this decoder ({module.cfg.family}, "
            f"{module.cfg.layers} layers): missing tensors: {names.some(missing)}; unexpected "
            f"tensors: {names.some(unexpected)}; allowed are {adapted(module)} of every layer. "
            "Check that the adapter was trained on this base."
        )
    pairs = {
        name: tuple(np.empty(shape, np.float32) for shape in _shapes(module, name, cfg.rank))
        for name in adapted(module)
        if name in present
    }
    for key, tensor in found.items():
        name, part, index, row = wanted[key]
        ours = pairs[name]["ab".index(part)]
        shape = row.hf_shape(ours.shape[1:])
        if tensor.shape != shape:
            raise ValueError(
                f"tensor {key}: got shape {tensor.shape}, rank {cfg.rank} on this decoder asks "
                f"for {shape}; check that the adapter was trained on this base."
            )
        ours[index] = row.to_ours(tensor, ours.shape[1:])
    return _with_pairs(module, jax.tree.map(jnp.asarray, pairs), cfg.alpha)


def _tensors(
    module: decoder.Decoder,
) -> Iterator[tuple[str, str, tuple[int, ...], names.NamesLine, str]]:
    """(weight, "a" or "b", layer, transform, peft's name) of every adapter tensor there may be."""
    rows = {row.path[-1]: row for row in names.table(module.cfg)}
    for name in adapted(module):
        whole = rows[name]
        for part, inputs in (("a", whole.inputs), ("b", 1)):
            row = dataclasses.replace(whole, inputs=inputs)
            for index, theirs in row.names(module.cfg):
                key = theirs.removesuffix("weight") + f"lora_{part.upper()}.weight"
                yield name, part, index, row, PREFIX + key


def _checked(config: dict, folder: pathlib.Path) -> LoraConfig:
    """Rank and alpha of an adapter_config.json that asks for plain LoRA."""
    kind, bias = config.get("peft_type"), config.get("bias", "none")
    begun = config.get("init_lora_weights")
    foreign = {name: value for name, value in config.items() if value and name not in HARMLESS}
    if begun not in BASE_KEPT:
        foreign["init_lora_weights"] = begun
    if kind != "LORA" or bias != "none" or foreign:
        raise ValueError(
            f"{folder / CONFIG}: got peft_type={kind!r}, bias={bias!r}, {foreign}; only plain LORA "
            "without biases, on the weights of its base as they are, is read. Merge such an "
            "adapter with peft and load the merged folder."
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if (
        not isinstance(rank, int)
        or not isinstance(alpha, int | float)
        or bool in (type(rank), type(alpha))
        or not math.isfinite(alpha)
    ):
        raise ValueError(
            f"{folder / CONFIG}: got r={rank!r}, lora_alpha={alpha!r}; r must be a whole number, "
            "lora_alpha a number. Fetch it again."
        )
    try:
        return LoraConfig(rank=rank, alpha=float(alpha))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG}: {error}") from error
