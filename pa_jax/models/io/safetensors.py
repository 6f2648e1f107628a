"""Hugging Face folders: safetensors in, one file or sharded, and out again."""

import contextlib
import dataclasses
import itertools
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import safetensors

from pa_jax.core import files
from pa_jax.models import decoder
from pa_jax.models.io import names

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9
MAPPED_BYTES = 1 << 28
DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}  # as the format names them


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object; raises ValueError naming the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing; give a complete Hugging Face folder.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no valid JSON ({error}); fetch it again.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: got {type(value).__name__}, a JSON object is expected.")
    return value


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor lies: in a file under a name, or as rows of one expert of a fused tensor."""

    file: pathlib.Path
    name: str
    expert: int | None = None
    first_row: int = 0


class _Mapped:
    """The folder's files, memory-mapped as they are read.

    What was read stays in the process's memory until its file is unmapped: done every so often.
    """

    def __init__(self) -> None:
        self.open: dict[pathlib.Path, Any] = {}
        self.held = 0

    def read(self, place: _Place, index: names.Index) -> np.ndarray:
        if self.held > MAPPED_BYTES:
            self.open.clear()
            self.held = 0
        if place.file not in self.open:
            self.open[place.file] = _opened(place.file)
        whole, (rows, *columns) = self.open[place.file].get_slice(place.name), index
        cut = slice(place.first_row + rows.start, place.first_row + rows.stop)
        cuts = (cut, *map(names.as_slice, columns))
        if place.expert is None:
            found = whole[cuts]
        else:
            found = whole[(slice(place.expert, place.expert + 1), *cuts)][0]
        pages = found.nbytes if not columns else len(rows) * max(4096, found[0].nbytes)
        self.held += pages
        return found


@contextlib.contextmanager
def opened(folder: pathlib.Path) -> Iterator[names.Tensors]:
    """The folder's tensors, memory-mapped; fused experts appear one by one."""
    shapes, places = {}, {}
    for path in _files(folder):
        file = _opened(path)
        for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
            shapes[name] = tuple(file.get_slice(name).get_shape())
            places[name] = _Place(path, name)
    _split_experts(shapes, places)
    mapped = _Mapped()
    yield names.Tensors(shapes, lambda name, index: mapped.read(places[name], index))


def _opened(path: pathlib.Path) -> Any:
    try:
        return safetensors.safe_open(path, framework="numpy")
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): missing or half written; fetch it again."
        ) from error


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    if (folder / INDEX).is_file():
        weight_map = read_json(folder / INDEX).get("weight_map", {})
        return [folder / name for name in sorted(set(weight_map.values()))]
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    raise ValueError(f"{folder} has neither {SINGLE} nor {INDEX}; only safetensors are read.")


def _split_experts(shapes: dict[str, tuple[int, ...]], places: dict[str, _Place]) -> None:
    """Offer fused experts (gate_up_proj [e, 2f, d], down_proj [e, d, f]) one by one instead."""
    for name in [n for n in shapes if n.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        (count, rows, columns), file = shapes.pop(name), places.pop(name).file
        prefix, fused = name.rsplit(".", 1)
        parts = ("gate_proj", "up_proj") if fused == "gate_up_proj" else ("down_proj",)
        size = rows // len(parts)
        for e, (i, part) in itertools.product(range(count), enumerate(parts)):
            single = f"{prefix}.{e}.{part}.weight"
            shapes[single] = (size, columns)
            places[single] = _Place(file, name, e, i * size)


def write(module: decoder.Decoder, folder: pathlib.Path, *, shard_bytes: int = SHARD_BYTES) -> None:
    """One model.safetensors, or shards of at most `shard_bytes` and an index.

    A checkpoint already there is replaced only once the new one is wholly written. The host holds
    one tensor at a time; of several processes all must call it, and the first writes.
    """
    itemsize = module.embed[...].dtype.itemsize
    shards: list[list[tuple[str, tuple[int, ...], Callable[[], np.ndarray]]]] = [[]]
    size = total = 0
    for name, shape, read in names.export(module):
        count = itemsize * math.prod(shape)
        if shards[-1] and size + count > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, read))
        size, total = size + count, total + count
    count = len(shards)
    parts = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
    if count == 1:
        parts = [SINGLE]
    dtype = module.embed[...].dtype
    for file, shard in zip(parts, shards, strict=True):
        _stream(folder / f"{file}.part", dtype, shard)
    if jax.process_index() > 0:
        return
    for stale in [folder / INDEX, *folder.glob("model*.safetensors")]:
        stale.unlink(missing_ok=True)
    for file in parts:
        os.replace(folder / f"{file}.part", folder / file)
    if count > 1:
        where = {name: f for f, shard in zip(parts, shards, strict=True) for name, _, _ in shard}
        index = {"metadata": {"total_size": total}, "weight_map": where}
        files.atomic_write(folder / INDEX, json.dumps(index, indent=2) + "\n")


def _stream(path: pathlib.Path, dtype: np.dtype, tensors: Sequence[tuple]) -> None:
    """Write (name, shape, read) tensor by tensor; the library would hold all of a file at once.

    The format: the header's length in 8 bytes, the header (JSON, padded to 8), then the bytes.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape, _ in tensors:
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": DTYPES[dtype.name], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("wb")) if jax.process_index() == 0 else None
        if file is not None:
            file.write(len(text).to_bytes(8, "little") + text)
        for name, shape, read in tensors:
            tensor = read()
            if tensor.shape != tuple(shape) or tensor.dtype != dtype:
                raise ValueError(f"{name} is {tensor.dtype}{tensor.shape}, not {dtype}{shape}.")
            if file is not None:
                file.write(tensor.view(np.uint8).data)
            del tensor  # before the next is read
    if jax.process_index() == 0:
        files.share(path)
