"""Checkpoints cut straight into the shards of their devices, and what that costs on the host."""

import dataclasses
import json
import math
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import mesh, sharding
from pa_jax.models import config
from pa_jax.models.io import names, safetensors, stream
from tests import devices

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
ROOT = pathlib.Path(__file__).parent.parent.parent
GIGABYTE = 10**9


def values(module) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(module, nnx.Param))
    return {".".join(path): np.asarray(variable[...]) for path, variable in flat}


def fill(cfg, tensors, grid=None, **options):
    options = {"dtype": "float32", "attention": "blocks"} | options
    where = models._where(cfg, options["dtype"], grid, sharding.TRAIN_RULES)
    return stream.fill(cfg, tensors, where=where, **options)


def shape_of(name: str) -> config.DecoderConfig:
    return config.from_hf(safetensors.read_json(GOLDEN / name / "config.json"))


def write_checkpoint(folder: pathlib.Path, cfg: config.DecoderConfig, shard_bytes: int) -> int:
    """Shards of random bfloat16 numbers, written without holding a tensor; the largest's bytes."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_hf(cfg, dtype="bfloat16")))
    draws = np.random.default_rng(0).normal(size=1 << 20).astype(np.float32)
    pattern = (draws.view(np.uint32) >> 16).astype(np.uint16).tobytes() * 2
    abstract = models.decoder.abstract(cfg, dtype="bfloat16")
    shapes = {path: leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(abstract))}
    shards, sizes = [[]], []
    for row in names.table(cfg):
        shape = row.hf_shape(shapes[row.path][row.rank :])
        for _, name in row.names(cfg):
            if sum(size for *_, size in shards[-1]) >= shard_bytes:
                shards.append([])
            shards[-1].append((name, shape, 2 * math.prod(shape)))
            sizes.append(shards[-1][-1][-1])
    where, count = {}, len(shards)
    for number, shard in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        header, offset = {}, 0
        for name, shape, size in shard:
            ends = [offset, offset + size]
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": ends}
            where[name], offset = file, offset + size
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for k, (_, _, size) in enumerate(shard):
                start = 2 * (7919 * (k + 1) % (1 << 20))  # another stretch for every tensor
                while size:
                    size -= out.write(pattern[start : start + min(size, 1 << 21)])
    (folder / safetensors.INDEX).write_text(json.dumps({"weight_map": where}))
    return max(sizes)


@pytest.mark.parametrize(
    "name, grid",  # fsdp, tp, ep
    [
        ("qwen3", (8, 1, 1)),
        ("qwen3_moe", (2, 2, 2)),
        ("qwen3_moe", (1, 4, 2)),
        ("qwen2", (4, 2, 1)),
        ("llama_untied", (2, 4, 1)),
    ],
)
def test_layer_by_layer_into_shards_is_the_whole_checkpoint(name: str, grid: tuple[int, ...]):
    fsdp, tp, ep = grid
    grid = mesh.make(mesh.MeshConfig(fsdp=fsdp, tp=tp, ep=ep))
    whole = values(models.load(str(GOLDEN / name), dtype="float32").module)
    with safetensors.opened(GOLDEN / name) as tensors:
        cut = fill(shape_of(name), tensors, grid, chunk_bytes=1)
    for path, value in values(cut).items():
        np.testing.assert_array_equal(value, whole[path], err_msg=path)
    where = models._shardings(cut.cfg, "float32", grid, sharding.TRAIN_RULES)
    for (path, leaf), (_, wanted) in zip(
        nnx.to_flat_state(nnx.state(cut)), nnx.to_flat_state(where), strict=True
    ):
        assert leaf[...].sharding.is_equivalent_to(wanted.get_value(), leaf[...].ndim), path


@pytest.mark.parametrize(
    "inputs, part", [(None, (7, 6)), (0, (4, 5)), (1, (6, 4, 3)), (2, (4, 3, 8))]
)
def test_any_cut_of_a_tensor_is_that_cut_of_the_whole(inputs: int | None, part: tuple[int, ...]):
    row = names.NamesLine(("x",), "x", inputs)
    ours = np.arange(math.prod(part)).reshape(part)
    theirs = {None: ours, 0: ours.ravel()}.get(inputs)
    if theirs is None:  # [out, in] of [*in, *out]
        theirs = ours.reshape(math.prod(part[:inputs]), -1).T
    assert theirs.shape == row.hf_shape(part)

    def read(_, index):
        return theirs[tuple(map(names.as_slice, index))]

    tensors = names.Tensors({"x": theirs.shape}, read)
    rng = np.random.default_rng(1)
    for _ in range(50):
        ends = [sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in part]
        index = tuple(range(*pair) for pair in ends)
        out = np.full([len(r) for r in index], -1)
        row.read(tensors, "x", part, index, out)
        np.testing.assert_array_equal(out, ours[tuple(slice(*pair) for pair in ends)])


def test_a_misfit_is_told_before_anything_is_read():
    def read(name, index):
        raise AssertionError(f"{name} was read")

    with safetensors.opened(GOLDEN / "llama") as tensors:
        shapes = dict(tensors.shapes)
    del shapes["model.norm.weight"]
    with pytest.raises(ValueError, match="missing tensors: model.norm.weight"):
        fill(shape_of("llama"), names.Tensors(shapes, read))


def test_the_host_holds_one_tensor_and_not_a_stack(tmp_path):
    """Python's and numpy's memory, which the devices' own arrays are no part of."""
    cfg = dataclasses.replace(config.PRESETS["tiny"], layers=16, width=256, mlp=2048, vocab=8192)
    largest = write_checkpoint(tmp_path, cfg, shard_bytes=5_000_000)
    grid = mesh.make(mesh.MeshConfig(fsdp=4, tp=2, ep=1))
    with safetensors.opened(tmp_path) as tensors:
        fill(cfg, tensors, grid, dtype="bfloat16", chunk_bytes=1 << 20)  # compiled beforehand
        tracemalloc.start()
        module = fill(cfg, tensors, grid, dtype="bfloat16", chunk_bytes=1 << 20)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert largest == 2 * 8192 * 256
    assert module.blocks.w_up[...].nbytes == 4 * largest
    # A layer is a quarter of the largest, and JAX lets go of one when it takes the next.
    assert peak < largest


TWO = """
import json, sys
import jax
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_cpu_collectives_implementation", "gloo")
port, number, folder = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(number))
import numpy as np
from flax import nnx
from pa_jax import models
from pa_jax.core import mesh, sharding
from pa_jax.models import config
from pa_jax.models.io import names, safetensors, stream
grid = mesh.make(mesh.MeshConfig(fsdp=4, tp=1, ep=1))
cfg = config.from_hf(safetensors.read_json(models.pathlib.Path(folder) / "config.json"))
where, read = models._where(cfg, "float32", grid, sharding.TRAIN_RULES), 0
with safetensors.opened(models.pathlib.Path(folder)) as tensors:
    def counted(name, index):
        global read
        found = tensors.read(name, index)
        read += found.nbytes
        return found
    module = stream.fill(cfg, names.Tensors(tensors.shapes, counted), dtype="float32",
        attention="blocks", where=where, chunk_bytes=1)
held = {}
for path, leaf in nnx.to_flat_state(nnx.state(module)):
    shards = {str(s.index): s.data for s in leaf[...].addressable_shards}
    held[".".join(path)] = {k: np.asarray(v).astype(float).sum() for k, v in shards.items()}
print(json.dumps([read, held]))
"""


def test_each_of_two_processes_reads_its_own_half():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    flags = {"XLA_FLAGS": devices.flags(2)}
    both = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TWO, port, str(n), str(GOLDEN / "qwen3")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | flags,
        )
        for n in range(2)
    ]
    out = [json.loads(p.communicate(timeout=120)[0].splitlines()[-1]) for p in both]
    whole = values(models.load(str(GOLDEN / "qwen3"), dtype="float32").module)
    total = sum(value.nbytes for value in whole.values())
    norms = sum(value.nbytes for path, value in whole.items() if "norm" in path)
    for read, _ in out:
        assert read == (total - norms) / 2 + norms
    for path, value in whole.items():
        shards = out[0][1][path] | out[1][1][path]
        assert len(shards) == (1 if "norm" in path else 4)
        np.testing.assert_allclose(sum(shards.values()), value.sum(dtype=float), rtol=1e-6)


MEASURED = """
import json, pathlib, sys, time, tracemalloc
import jax
import numpy as np
from flax import nnx
from pa_jax import models
from pa_jax.core import mesh, sharding
from pa_jax.models.io import names, safetensors

def memory(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))

folder = pathlib.Path(sys.argv[1])
grid = mesh.make(mesh.MeshConfig(fsdp=4, tp=2, ep=1))
jax.block_until_ready(jax.jit(lambda: jax.numpy.zeros(8))())  # the runtime is up
pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here
before, start = memory("VmRSS"), time.time()
tracemalloc.start()
model = models.load(str(folder), mesh=grid, dtype="bfloat16")
staged = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()
seconds, peak, after = time.time() - start, memory("VmHWM"), memory("VmRSS")
state = dict(nnx.to_flat_state(nnx.state(model.module)))
held = sum(s.data.nbytes for leaf in state.values() for s in leaf[...].addressable_shards)
checked = 0
with safetensors.opened(folder) as tensors:
    for row in names.table(model.config):
        found = list(row.names(model.config))
        for index, name in {found[0][1]: found[0], found[-1][1]: found[-1]}.values():
            theirs = tensors.read(name, tuple(map(range, tensors.shapes[name])))
            ours = np.asarray(state[row.path][...][index])
            np.testing.assert_array_equal(row.to_hf(ours), theirs)
            checked += 1
figures = dict(seconds=seconds, before=before, peak=peak, after=after, held=held)
print(json.dumps(figures | dict(staged=staged, checked=checked)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_six_gigabytes_load_within_the_largest_tensor_and_one(tmp_path):
    """The peak of the process's whole memory, mapped files included, less the arrays it made.

    `staged` is what Python and numpy held at most: all there is on a host whose devices have
    memory of their own.
    """
    cfg = dataclasses.replace(config.PRESETS["qwen3-4b"], layers=26)
    largest = write_checkpoint(tmp_path, cfg, shard_bytes=2 * GIGABYTE)
    total = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert total > 6 * GIGABYTE and len(list(tmp_path.glob("*.safetensors"))) > 2
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "JAX_DISABLE_MOST_OPTIMIZATIONS"},
    )
    got = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{got} largest={largest}\n")
    assert got["held"] > total - GIGABYTE / 100 and got["checked"] > 20
    assert got["peak"] - got["before"] - got["held"] < largest + GIGABYTE
    assert got["staged"] < largest
