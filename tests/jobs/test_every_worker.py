"""Export started on every worker of a slice: what one process writes, written once."""

import pytest
from safetensors.numpy import load_file

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
