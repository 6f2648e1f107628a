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


def test_eval_has_the_same_rows_and_goes_on_with_fewer_workers(trained, root, tmp_path):
    command = (
        "--config=configs/eval.py:tiny", "--config.benchmarks=('single_turn',)",
        f"--config.runs=('{trained}',)", *MESH, "--config.lengths=(768,)",
        "--config.chat_model.rows=4", "--config.chat_model.max_new_tokens=4",
        "--config.data.heldout_users=1", "--config.single_turn.episodes=4",
        "--config.single_turn.views=('inferencer','persistent')",
    )  # fmt: skip
    for number in (1, 2):
        several.run(root, command, tmp_path / str(number), processes=number)
    one, two = (
        sorted(files.read_rows(tmp_path / str(number) / "records.jsonl"), key=json.dumps)
        for number in (1, 2)
    )
    assert one == two and len(one) == 16  # two models, two views, four episodes: each once
    report = json.loads((tmp_path / "2" / "report.json").read_text())
    assert report["rows"] == 16
    path = tmp_path / "2" / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # a worker died as it wrote
    several.run(root, command, tmp_path / "2", processes=1)
    assert sorted(files.read_rows(path), key=json.dumps) == one
