import json

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from pa_jax.core import metrics


def scalars(folder):
    """(step, name, value) of every event file: length 8, crc 4, record, crc 4."""
    found = []
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = event_pb2.Event.FromString(data[12 : 12 + size])
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
            data = data[16 + size :]
    return found


def write(folder, steps, resume_step=0, tensorboard=False):
    writer = metrics.MetricWriter(folder, tensorboard=tensorboard, resume_step=resume_step)
    for step in steps:
        writer.write(step, {"reward/mean": np.float32(step) / 3, "seconds/update": 0.1 * step})
    writer.close()
    return writer.path


def test_row_starts_with_step_then_sorted_keys(tmp_path):
    writer = metrics.MetricWriter(tmp_path, tensorboard=False, resume_step=0)
    writer.write(3, {"b": jnp.float32(0.5), "a": np.int32(2), "c": 1})
    row = writer.path.read_text()
    assert row == '{"step": 3, "a": 2, "b": 0.5, "c": 1, "metrics/nonfinite": 0}\n'


def test_nonfinite_values_are_null_and_counted(tmp_path):
    writer = metrics.MetricWriter(tmp_path, tensorboard=False, resume_step=0)
    writer.write(0, {"a": float("nan"), "b": float("-inf"), "c": 1.0})
    row = json.loads(writer.path.read_text())
    assert (row["a"], row["b"], row["metrics/nonfinite"]) == (None, None, 2)


def test_resumed_rows_equal_the_uninterrupted_ones(tmp_path):
    whole = write(tmp_path / "whole", range(6)).read_bytes()
    path = write(tmp_path / "cut", range(5))
    with path.open("ab") as f:
        f.write(b'{"step": 5, "rew')
    write(tmp_path / "cut", range(3, 6), resume_step=3)
    assert path.read_bytes() == whole


def test_timings_are_apart():
    row = {"step": 1, "reward": 0.5, "seconds/update": 3.0, "rate/tokens": 9.0}
    assert metrics.without_timing(row) == {"step": 1, "reward": 0.5}


def test_tensorboard_gets_the_same_figures(tmp_path):
    write(tmp_path, [0, 1], tensorboard=True)
    got = [(s, n, v) for s, n, v in scalars(tmp_path / "tb") if n == "reward/mean"]
    assert got == [(0, "reward/mean", 0.0), (1, "reward/mean", np.float32(1) / np.float32(3))]


def test_own_names_are_refused(tmp_path):
    writer = metrics.MetricWriter(tmp_path, tensorboard=False, resume_step=0)
    with pytest.raises(ValueError, match="step"):
        writer.write(0, {"step": 1.0})


def evaluate(folder, steps, resume_step=0, evaluated=-1):
    writer = metrics.MetricWriter(
        folder, tensorboard=True, resume_step=resume_step, evaluated=evaluated
    )
    for step in steps:
        writer.evaluated(step, {"token_f1": step / 4}, phase="grpo")
    writer.close()
    return (folder / "evaluations.jsonl").read_text()


def test_evaluations_have_rows_of_their_own_and_resume(tmp_path):
    whole = evaluate(tmp_path / "whole", [0, 2, 4])
    assert whole.startswith('{"step": 0, "phase": "grpo", "metrics/nonfinite": 0, "token_f1": 0.0}')
    evaluate(tmp_path / "cut", [0, 2, 4])
    assert evaluate(tmp_path / "cut", [4], resume_step=2, evaluated=2) == whole
    last = [(s, v) for s, n, v in scalars(tmp_path / "cut" / "tb") if n == "heldout/token_f1"]
    assert last[-2:] == [(2, 0.5), (4, 1.0)]  # step 2 again: TensorBoard drops what it goes on from
    assert evaluate(tmp_path / "cut", [0]).count("step") == 1  # a fresh run
    assert not (tmp_path / "cut" / "metrics.jsonl").exists()


def test_a_row_may_name_its_phase(tmp_path):
    writer = metrics.MetricWriter(tmp_path, tensorboard=True, resume_step=0)
    writer.write(3, {"a": 1.0}, phase="warm")
    writer.close()
    row = writer.path.read_text()
    assert row == '{"step": 3, "phase": "warm", "a": 1.0, "metrics/nonfinite": 0}\n'
    assert {n for _, n, _ in scalars(tmp_path / "tb")} == {"a", "metrics/nonfinite"}
