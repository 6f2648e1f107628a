"""Flip bytes of a checkpoint's files, one at a time: what is restored is always what was saved.

python -m tests.core.flips FOLDER STEP GLOB ROWS COLUMNS: how often each step was restored, as JSON.
A process of its own: of reads that failed Orbax leaves coroutines, which pytest takes for faults.
"""

import collections
import json
import pathlib
import random
import sys

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core import checkpoint

EACH = 5  # bytes of a file


def restored(folder: pathlib.Path, shape: tuple[int, ...], step: int | None = None):
    saver = checkpoint.Checkpointer(folder, keep=2)
    try:
        return saver.restore({"w": jax.ShapeDtypeStruct(shape, jnp.float32)}, step=step)
    finally:
        saver.close()


def main(folder: pathlib.Path, step: int, glob: str, shape: tuple[int, ...]) -> None:
    saved = {
        int(path.name): restored(folder, shape, int(path.name))
        for path in folder.iterdir()
        if path.name.isdecimal()
    }
    assert len(saved) == 2
    rng, found = random.Random(0), collections.Counter()
    for path in sorted(p for p in (folder / str(step)).glob(glob) if p.is_file()):
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(EACH - 2))}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
            got = restored(folder, shape)
            want = saved[got.step]
            assert got.meta == want.meta
            np.testing.assert_array_equal(got.state["w"], want.state["w"])
            found[got.step] += 1
        path.write_bytes(whole)
    assert restored(folder, shape).step == step
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], tuple(map(int, sys.argv[4:])))
