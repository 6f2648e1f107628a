"""The GRPO update of the large preset compiles for a TPU slice, without a TPU."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parent / "compile_for_tpu.py"

pytestmark = [
    pytest.mark.tpu,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("libtpu") is None,
        reason="no libtpu: pip install 'pa_jax[tpu]' to compile for a TPU without one",
    ),
]


def compiled(**flags: int | str) -> dict:
    """Figures of the script, run in a process of its own: JAX here has eight CPU devices."""
    ours = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_DISABLE_MOST_OPTIMIZATIONS")  # of conftest.py
    env = {k: v for k, v in os.environ.items() if k not in ours}
    command = [sys.executable, str(SCRIPT), *(f"--{k}={v}" for k, v in flags.items())]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=880)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_tree_update_of_a_small_model_compiles_with_heads_over_tp():
    figures = compiled(preset="tiny", topology="v5e:2x2", fsdp=2, tp=2, prompts=4, trunk=128)
    assert figures["chips"] == 4
    assert figures["splash_kernels"] > 0


def test_the_tree_update_of_qwen3_4b_compiles_for_sixteen_v5e_chips():
    figures = compiled(preset="qwen3-4b", topology="v5e:4x4", fsdp=16, tp=1)
    n = figures["parameters"]
    assert 4.0e9 < n < 4.1e9
    assert figures["splash_kernels"] > 0
    assert figures["bytes_per_chip"] < 15e9
    # parameters and both moments in float32, cut over all chips, and given back to the next step
    state = 3 * 4 * n / 16
    assert state <= figures["state_bytes_per_chip"] < 1.02 * state
    assert figures["donated_bytes_per_chip"] >= state
