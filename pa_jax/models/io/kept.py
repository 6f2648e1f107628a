"""A GGUF file's weights kept as float32 beside it, in a Hugging Face folder that loads by mapping.

Reading the vocabulary and dequantising take longer than everything else in loading; the folder
costs four bytes a weight on disk and nothing in memory. It appears under its name only when it is
wholly on disk, and its files are hashed again when they change (io/checked).
"""

import errno
import json
import math
import os
import pathlib
import shutil
import tempfile

import numpy as np
from absl import logging
from safetensors import SafetensorError
from safetensors.numpy import save_file

from pa_jax.core import files
from pa_jax.models.io import checked, folder, gguf, names, safetensors

FORM = 1  # of what is written; another form is another folder
SUMS = "sums.json"  # written last: {file: sha256}
SHARD_BYTES = 1 << 29  # one in memory at a time
SPARE_BYTES = 1 << 30  # of the disk that is left to others


def floats(file: pathlib.Path) -> pathlib.Path:
    """The folder of a .gguf file, made at the first call; the file itself where the disk is full.

    A damaged folder is named and made again.
    """
    target = file.with_name(f"{file.stem}.float32-{FORM}")
    with checked.lock(file.with_name("lock")):
        for leftover in file.parent.glob(f"{target.name}.part-*"):  # of a process that was killed
            shutil.rmtree(leftover)
        if target.exists():
            problem = _problem(target)
            if not problem:
                return target
            logging.warning("%s: %s; making it again", target, problem)
            shutil.rmtree(target)
        try:
            _make(file, target)
        except (OSError, SafetensorError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            logging.warning(
                "%s: no room to keep the weights as float32 (%s); loading takes longer each time",
                target,
                error,
            )
            return file
    return target


def _problem(target: pathlib.Path) -> str:
    """What is wrong with a folder, "" if nothing."""
    try:
        sums = safetensors.read_json(target / SUMS)
    except ValueError as error:
        return str(error)
    for name, wanted in sums.items():
        problem = checked.problem(target / name, wanted, target / f".{name}.stamp")
        if problem:
            return f"{name}: {problem}"
    return ""


def _make(file: pathlib.Path, target: pathlib.Path) -> None:
    """Write the folder beside its place and move it there."""
    logging.info("%s: dequantising once, kept as %s", file.name, target.name)
    found = gguf.read(file)
    size = 4 * sum(math.prod(shape) for shape in found.tensors.shapes.values())
    free = shutil.disk_usage(file.parent).free
    if free < size + SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB free")
    part = pathlib.Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=file.parent))
    try:
        ids = folder.token_ids(found.tokenizer)
        folder.describe(
            part, found.config, dtype="float32", generation=ids, tokenizer=found.tokenizer
        )
        _write_weights(found.tensors, part)
        sums = {}
        for path in sorted(part.iterdir()):
            sums[path.name] = checked.digest(path, "0" * 64)
            checked.stamp(path, sums[path.name], part / f".{path.name}.stamp")
        files.atomic_write(part / SUMS, json.dumps(sums, indent=2) + "\n")
        part.chmod(0o755)  # as other folders; mkdtemp's is for its owner alone
        os.replace(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    files.sync_folder(target.parent)


def _write_weights(tensors: names.Tensors, part: pathlib.Path) -> None:
    """All tensors as float32, in shards, durably, with their index."""
    shards: list[list[str]] = [[]]
    size = 0
    for name, shape in tensors.shapes.items():
        count = 4 * math.prod(shape)
        if shards[-1] and size + count > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += count
    where: dict[str, str] = {}
    for number, shard in enumerate(shards):
        path = part / f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        values = {name: _whole(tensors, name) for name in shard}
        save_file(values, path, metadata={"format": "pt"})
        del values
        path.chmod(0o644)
        with path.open("rb") as written:
            os.fsync(written.fileno())
        where |= dict.fromkeys(shard, path.name)
    total = 4 * sum(math.prod(shape) for shape in tensors.shapes.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    files.atomic_write(part / safetensors.INDEX, json.dumps(index, indent=2) + "\n")


def _whole(tensors: names.Tensors, name: str) -> np.ndarray:
    index = tuple(range(n) for n in tensors.shapes[name])
    return np.ascontiguousarray(tensors.read(name, index), np.float32)
