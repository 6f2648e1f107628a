"""A stalled step shows where it is stuck, and the process goes on."""

import subprocess
import sys


def test_the_watchdog_shows_the_stacks_of_a_stall_and_lets_it_go_on(root):
    program = """
import time
from pa_jax.core import distributed
def stuck():
    time.sleep(2.5)
with distributed.Watchdog(1) as watchdog:
    stuck()
    watchdog.beat()
    for _ in range(3):
        time.sleep(0.5)
        watchdog.beat()
print("went on")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "went on\n" and done.returncode == 0
    assert done.stderr.count("Timeout (0:00:01)!") == 2  # while stuck; no more once it beats
    assert "in stuck" in done.stderr
