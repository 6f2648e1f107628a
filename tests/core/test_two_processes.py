import json
import pathlib
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core import checkpoint

PROCESS = """
import os, sys
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import pathlib
import jax, jax.numpy as jnp, numpy as np
from pa_jax.core import checkpoint, mesh, metrics, sharding

folder, port, rank = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{port}", 2, rank)
over = mesh.make(mesh.MeshConfig(fsdp=-1, tp=1, ep=1))
rows = np.arange(8 * 3000, dtype=np.float32).reshape(8, 3000)
w = sharding.put(rows, over, "rows")
asked = {"w": jax.ShapeDtypeStruct(w.shape, w.dtype, sharding=w.sharding)}
saver = checkpoint.Checkpointer(folder / "ckpt", keep=2)
assert saver.restore(asked) is None
for step in (1, 2):
    saver.save(step, {"w": w + step}, {"at": step})
got = saver.restore(asked)
assert (got.step, got.meta) == (2, {"at": 2})
for shard in got.state["w"].addressable_shards:
    assert (np.asarray(shard.data) == rows[shard.index] + 2).all()
writer = metrics.MetricWriter(folder, tensorboard=False, resume_step=0)
writer.write(0, {"rank": rank})
saver.close()
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_two_processes_save_together_and_one_reads_it(tmp_path: pathlib.Path, root):
    port = str(free_port())
    run = [sys.executable, "-W", "error", "-c", PROCESS, str(tmp_path), port]
    both = [
        subprocess.Popen([*run, rank], cwd=root, stderr=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    errors = [child.communicate(timeout=120)[1] for child in both]
    assert [child.returncode for child in both] == [0, 0], "\n".join(errors)
    saver = checkpoint.Checkpointer(tmp_path / "ckpt", keep=1)
    got = saver.restore({"w": jax.ShapeDtypeStruct((8, 3000), jnp.float32)})
    saver.close()
    rows = np.arange(8 * 3000, dtype=np.float32).reshape(8, 3000)
    np.testing.assert_array_equal(np.asarray(got.state["w"]), rows + 2)
    for rank in (0, 1):  # in the shards that each of them wrote
        command = [sys.executable, "-m", "tests.core.flips", str(tmp_path / "ckpt"), "2"]
        command += [f"state/ocdbt.process_{rank}/**/*", "8", "3000"]
        out = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
        assert json.loads(out.stdout)["1"] > 0
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 1
