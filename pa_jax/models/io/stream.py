"""A checkpoint's tensors into a decoder's parameters, straight into the shards of each device.

No stack is built whole on the host: it is written a few layers at a time into the array that
already lies on the devices. Every process reads only what its own devices hold.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core.typing import Array, DTypeLike
from pa_jax.models import decoder
from pa_jax.models.config import DecoderConfig
from pa_jax.models.io import names

CHUNK_BYTES = 1 << 28  # of one stacked parameter, on the host at a time; one layer at least
# Layout of the parameter at a path; None: JAX's default device, not committed to it.
Where = Callable[[tuple[str, ...]], jax.sharding.Sharding | None]


def fill(
    cfg: DecoderConfig,
    tensors: names.Tensors,
    *,
    dtype: DTypeLike,
    attention: str,
    where: Where,
    chunk_bytes: int = CHUNK_BYTES,
) -> decoder.Decoder:
    """Decoder with the checkpoint's values as `dtype`, laid out by `where`.

    Beside the parameters the host holds `chunk_bytes` of one; more only for a layer, or a device's
    part of a single tensor, that is larger.
    Raises ValueError naming missing, unexpected and wrongly shaped tensors before reading any.
    """
    graph, state = nnx.split(decoder.abstract(cfg, dtype=dtype, attention=attention))
    shapes = {path: variable.shape for path, variable in nnx.to_flat_state(state)}
    rows = {row.path: row for row in names.table(cfg)}
    _check(cfg, rows, shapes, tensors.shapes)

    def value(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> Array:
        path = tuple(key.key for key in path if isinstance(key, jax.tree_util.DictKey))
        row, sharding = rows[path], where(path)
        layers = cfg.layers if row.rank else 0
        layer_bytes = math.prod(leaf.shape[1:]) * leaf.dtype.itemsize
        chunk = _divisor(layers, chunk_bytes // layer_bytes) if layers else 0
        if chunk == layers:
            return _read(tensors, row, leaf, 0, sharding)
        whole = jax.jit(lambda: jnp.zeros(leaf.shape, leaf.dtype), out_shardings=sharding)()
        write = jax.jit(_write, donate_argnums=0, out_shardings=sharding)
        few = jax.ShapeDtypeStruct((chunk, *leaf.shape[1:]), leaf.dtype)
        for start in range(0, layers, chunk):
            # Without a name for the part: it must be gone when the next is read.
            whole = write(whole, _read(tensors, row, few, start, sharding), np.int32(start))
            whole.block_until_ready()
        return whole

    return nnx.merge(graph, jax.tree_util.tree_map_with_path(value, state))


def _divisor(n: int, most: int) -> int:
    """The largest divisor of n that is at most `most`, and at least 1."""
    return max(d for d in range(1, n + 1) if n % d == 0 and (d <= most or d == 1))


def _write(whole: Array, part: Array, start: Any) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(whole, part, start, axis=0)


def _read(
    tensors: names.Tensors,
    row: names.NamesLine,
    leaf: jax.ShapeDtypeStruct,
    first: int,
    sharding: jax.sharding.Sharding | None,
) -> Array:
    """A parameter, or its layers from `first` on as many as `leaf` has, on its devices."""
    everything = tuple(range(n) for n in leaf.shape)
    devices: dict[names.Index, list[Any]] = {}  # by what they hold
    if sharding is None:
        devices[everything] = [None]
    else:
        for device, cut in sharding.addressable_devices_indices_map(leaf.shape).items():
            held = everything if cut is None else _ranges(cut, everything)
            devices.setdefault(held, []).append(device)
    # Layers come tensor by tensor, to read each once; a large single tensor shard by shard.
    groups = [list(devices)] if row.rank else [[index] for index in devices]
    shards: dict[Any, Array] = {}
    for group in groups:
        parts = _parts(tensors, row, leaf, first, group)
        for index in group:  # never as a view of host memory, which could not be donated later
            for device in devices[index]:
                shards[device] = jax.device_put(parts[index], device, may_alias=False)
        jax.block_until_ready(list(shards.values()))  # the host holds no more than this group
    if sharding is None:
        return shards[None]
    return jax.make_array_from_single_device_arrays(leaf.shape, sharding, list(shards.values()))


def _parts(
    tensors: names.Tensors,
    row: names.NamesLine,
    leaf: jax.ShapeDtypeStruct,
    first: int,
    indices: list[names.Index],
) -> dict[names.Index, np.ndarray]:
    """These parts of what `_read` returns, in host memory."""
    parts = {index: np.empty([len(r) for r in index], leaf.dtype) for index in indices}
    stack = row.rank
    for number in np.ndindex(leaf.shape[:stack]):
        name = row.name((number[0] + first, *number[1:]) if stack else ())
        for index, part in parts.items():
            if all(n in r for n, r in zip(number, index[:stack], strict=True)):
                here = tuple(n - r.start for n, r in zip(number, index[:stack], strict=True))
                row.read(tensors, name, leaf.shape[stack:], index[stack:], part[here])
    return parts


def _ranges(cut: tuple[slice, ...], everything: names.Index) -> names.Index:
    return tuple(r[s] for r, s in zip(everything, cut, strict=True))


def _check(
    cfg: DecoderConfig,
    rows: Mapping[tuple[Any, ...], names.NamesLine],
    shapes: Mapping[tuple[Any, ...], tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise ValueError unless the checkpoint holds exactly the tensors of this decoder."""
    wanted: dict[str, tuple[int, ...]] = {}
    for path, row in rows.items():
        part = shapes[path][row.rank :]
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
            f"missing tensors: {names.some(missing)}; unexpected tensors: "
            f"{names.some(unexpected)}. "
            "Check that config.json belongs to these weights and that every shard is there."
        )
    for name, shape in wanted.items():
        if tuple(found[name]) != shape:
            raise ValueError(
                f"tensor {name}: got shape {tuple(found[name])}, the config asks for {shape}; "
                "check that config.json belongs to these weights."
            )
