"""Compiles the GRPO update for a TPU slice that is not there; prints one JSON line of figures.

Run as a script: the environment must be set before JAX is imported.
"""

import argparse
import json
import os
import sys
import time

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.infer import score
from pa_jax.models import config, decoder, tree
from pa_jax.rl import loss
from pa_jax.train import step

SLICES = {"v5e:1x1": (1, 1, 1), "v5e:2x2": (2, 2, 1), "v5e:2x4": (2, 2, 1), "v5e:4x4": (2, 2, 1)}


def shapes(state, mesh):
    """ShapeDtypeStructs laid out as training lays them out."""
    where = sharding.shardings(state, mesh, sharding.TRAIN_RULES)
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, where
    )


def group_batch(args, mesh) -> loss.GroupBatch:
    """The shapes of one batch, rows over fsdp."""
    rows = NamedSharding(mesh, PartitionSpec("fsdp"))

    def of(dtype, *shape):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=rows)

    n, g, p, c = args.prompts, args.branches, args.trunk, args.branch
    int32, float32 = jnp.int32, jnp.float32
    lens = tree.TreeLengths(of(int32, n), of(int32, n, g), of(int32, n, g, 0))
    trees = score.TreeIds(of(int32, n, p), of(int32, n, g, c), of(int32, n, g, 0, 0), lens)
    per_token = of(float32, n, g, c)
    return loss.GroupBatch(
        trees, per_token, per_token, of(float32, n, g), of(jnp.bool_, n, g), of(float32, n)
    )


def main(args) -> dict:
    """Lowers and compiles; seconds, bytes a chip and the compiler's FLOPs (loop bodies once)."""
    slice_ = topologies.get_topology_desc(
        platform="tpu",
        topology_name=args.topology,
        chips_per_host_bounds=SLICES[args.topology],
        num_slices=1,
    )
    mesh = meshes.make(meshes.MeshConfig(args.fsdp, args.tp, 1), slice_.devices)
    tx = optax.adam(1e-6)
    cfg = loss.LossConfig(clip_low=0.2, clip_high=0.28, beta=0.04)
    model = decoder.abstract(config.PRESETS[args.preset], dtype=jnp.float32, attention="splash")
    graph, params = nnx.split(model)

    def loss_fn(model, batch):
        return loss.grpo(model, batch, cfg=cfg, temperature=jnp.float32(1), remat="full")

    update = step.make_update(graph, loss_fn, tx, micro=args.prompts, compute="bfloat16")
    state = jax.eval_shape(lambda p: step.TrainState(p, tx.init(p), jnp.int32(0)), params)
    start = time.perf_counter()
    with jax.set_mesh(mesh):
        lowered = update.lower(shapes(state, mesh), group_batch(args, mesh))
    lower_seconds = time.perf_counter() - start
    compiled = lowered.compile()
    memory = compiled.memory_analysis()
    used = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
    )
    if args.hlo:
        with open(args.hlo, "w") as f:
            f.write(compiled.as_text())
    return {
        "chips": mesh.size,
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "lower_seconds": round(lower_seconds, 1),
        "compile_seconds": round(time.perf_counter() - start - lower_seconds, 1),
        "bytes_per_chip": used,
        "state_bytes_per_chip": memory.argument_size_in_bytes,
        "temporary_bytes_per_chip": memory.temp_size_in_bytes,
        "donated_bytes_per_chip": memory.alias_size_in_bytes,
        "flops_loops_once": compiled.cost_analysis()["flops"],
        "splash_kernels": compiled.as_text().count("splash_mha"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="qwen3-4b")
    parser.add_argument("--topology", default="v5e:4x4", choices=SLICES)
    for name, value in {
        "fsdp": 16,
        "tp": 1,
        "prompts": 16,
        "branches": 8,
        "trunk": 1024,
        "branch": 64,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--hlo", help="file for the compiled program's text")
    sys.stdout.write(json.dumps(main(parser.parse_args())) + "\n")
