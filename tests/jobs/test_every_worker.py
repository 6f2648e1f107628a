"""Export and eval started on every worker of a slice: what one process writes, written once."""

import json

import pytest
from safetensors.numpy import load_file

from pa_jax.core import files
from tests.jobs import processes as several

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MESH = ("--config.mesh.fsdp=4", "--config.mesh.tp=2")
TRAIN = (
    "--config=configs/sft.py:tiny", "--config.data.users=1", "--config.train.steps=1", *MESH,
    "--config.eval.every=0", "--config.eval.episodes=4", "--config.eval.rows=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained") / "run"
    several.run(root, TRAIN, workdir, processes=1)
    return workdir


def test_export_writes_the_same_folder(trained, root, tmp_path):
    for number in (1, 2):
        command = ("--config=configs/export.py", f"--config.run={trained}", *MESH)
        several.run(root, command, tmp_path / str(number), processes=number)
    one, two = (tmp_path / str(number) / "hf" for number in (1, 2))
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())
    first, second = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert list(first) == list(second) and len(first) > 8
    for name in first:
        assert first[name].tobytes() == second[name].tobytes(), name
    assert "transformers loads it" in (tmp_path / "2-0.log").read_text()


def assert_same_rows(one, other):
    """In the same order; sums that were taken in another order agree to 1e-4."""
    first, second = map(list, map(files.read_rows, (one, other)))
    assert len(first) > 20 and len(first) == len(second)
    for left, right in zip(first, second, strict=True):
        measures, same = left.pop("measures"), right.pop("measures")
        assert left == right and measures == pytest.approx(same, abs=1e-4, nan_ok=True)


def test_eval_writes_the_same_rows_and_goes_on(trained, root, tmp_path):
    path = tmp_path / "said.jsonl"
    said = ("Mint makes me sneeze.", "We keep two geese.", "How deep is Lake Constance?")
    turns = [{"user": text, "assistant": "Noted.", "gold": "No new preference."} for text in said]
    probe = {"user": "Which tea goes with cake?", "respect": ["mint"]}
    person = {"user_id": "ann", "sessions": [turns], "holds": ["mint"], "gone": []}
    path.write_text(json.dumps(person | {"against": ["mint"], "probes": [probe]}) + "\n")
    systems = ("zero_shot", "memory_bank", "rag_embedding", "personal_agent_asking")
    command = (
        "--config=configs/eval.py:tiny", f"--config.runs=('{trained}',)", *MESH,
        "--config.benchmarks=('single_turn','conversations','unseen')",
        f"--config.systems={systems}", f"--config.conversations.path={path}",
    )  # fmt: skip
    for number in (1, 2):
        several.run(root, command, tmp_path / str(number), processes=number)
    one, two = (tmp_path / str(number) / "records.jsonl" for number in (1, 2))
    assert_same_rows(one, two)
    whole = two.read_text()
    two.write_text(whole[: len(whole) // 2])  # as a kill leaves it
    several.run(root, command, tmp_path / "2", processes=2)
    assert_same_rows(one, two)
    assert (tmp_path / "2" / "report.html").exists()
