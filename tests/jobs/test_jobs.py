"""Jobs end to end with tiny random weights: train, report, export, load again; measure a judge."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import files
from pa_jax.core import mesh as meshes
from pa_jax.dialogue import schema
from pa_jax.evaluate import chat_model
from pa_jax.jobs import export, grpo, judge, sft
from pa_jax.models import lora


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Work directory of a short SFT run."""
    workdir = tmp_path_factory.mktemp("sft")
    config = importlib.import_module("configs.sft").get_config("tiny")
    config.mesh.tp, config.micro = 2, 8
    config.train.steps = 4
    config.data.users = 2
    config.eval.episodes = 2
    config.optim.learning_rate = 3e-3
    sft.run(config, workdir)
    return workdir


def test_sft_lowers_its_loss_and_leaves_a_report_with_plots(trained):
    losses = [row["loss"] for row in files.read_rows(trained / "metrics.jsonl")]
    assert len(losses) == 4 and losses[-1] < losses[0]
    report = json.loads((trained / "report.json").read_text())
    assert report["before"]["token_f1"]["n"] == report["after"]["token_f1"]["n"] == 2
    for name in ("training.png", "heldout.png"):
        assert (trained / name).read_bytes().startswith(b"\x89PNG")
    page = (trained / "report.html").read_text()
    assert "steps</dt><dd>4 of 4" in page and "Sample trees" not in page


def test_an_exported_run_loads_with_the_trained_weights(trained, tmp_path):
    config = importlib.import_module("configs.export").get_config()
    config.run = str(trained)
    export.run(config, tmp_path)
    model, number = export.trained(trained)
    assert number == 4
    loaded = models.load(str(tmp_path / "hf"), dtype="float32")
    start = models.load("random:tiny", dtype="float32")
    ids = jnp.arange(3, 19)[None]
    rows = ids, jnp.full_like(ids, 16), jnp.arange(16)[None]
    got, want, before = (
        m.module.logits(m.module.on_rows(*rows).hidden) for m in (loaded, model, start)
    )
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert np.abs(got - before).max() > 1e-2


def test_a_run_opens_on_a_mesh_of_another_shape(trained):
    mesh = meshes.make(meshes.MeshConfig(fsdp=4, tp=2, ep=1))
    one, _ = export.trained(trained)
    many, _ = export.trained(trained, mesh)
    leaves = jax.tree.leaves(nnx.state(many.module))
    assert all(x.sharding.mesh.size == 8 for x in leaves)
    assert any(not x.is_fully_replicated for x in leaves)
    for got, want in zip(leaves, jax.tree.leaves(nnx.state(one.module)), strict=True):
        np.testing.assert_array_equal(got, want)
    talk = [[schema.Message("user", f"Is {n} a number?")] for n in range(3)]
    cfg = chat_model.ChatConfig(rows=4, max_new_tokens=4)
    said = [
        chat_model.ChatModel(m, cfg, lengths=(128,), mesh=on).reply(talk)
        for m, on in ((one, None), (many, mesh))
    ]
    assert said[0] == said[1]


def test_exporting_a_folder_that_is_no_run_says_so(tmp_path):
    config = importlib.import_module("configs.export").get_config()
    config.run = str(tmp_path)
    with pytest.raises(FileNotFoundError, match="work directory of a grpo or sft run"):
        export.run(config, tmp_path / "out")


def test_a_run_of_another_version_says_what_it_lacks(tmp_path):
    (tmp_path / "config.json").write_text('{"model": {"source": "random:tiny", "lora": {}}}')
    with pytest.raises(ValueError, match=r"no model.dtype and no model.int8: another version"):
        export.trained(tmp_path)


def test_the_judge_job_writes_its_figures(tmp_path):
    config = importlib.import_module("configs.judge").get_config("tiny")
    config.kinds = ("reference",)
    judge.run(config, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())["reference"]
    assert report["items"] == 8 and report["failed"] == 0
    assert report["canaries_lose"]["empty"] == 1.0


@pytest.mark.slow
def test_adapters_on_an_int8_base_train_and_are_exported(tmp_path):
    """GRPO with LoRA: the checkpoint holds adapters alone, the export both forms of the result."""
    config = importlib.import_module("configs.grpo").get_config("tiny")
    config.model.int8, config.model.lora.rank = True, 4
    config.mesh.tp = 2
    config.rollout.group, config.rollout.prompt_tokens = 2, 512
    config.data.users, config.eval.episodes, config.eval.rows = 1, 2, 4
    config.train.steps, config.optim.learning_rate = 2, 1e-2
    grpo.run(config, tmp_path / "run")
    rows = list(files.read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert [row["step"] for row in rows] == [0, 1]
    assert rows[0]["logp_delta_max"] < 1e-3  # sampler and trainer use the same int8 base
    assert rows[0]["kl"] < 1e-6 < rows[1]["kl"]  # fresh adapters change nothing, trained ones do
    model, number = export.trained(tmp_path / "run")
    assert number == 2
    pairs = model.module.blocks.lora
    assert all(np.abs(np.asarray(pair["b"][...])).max() > 0 for pair in pairs.values())

    settings = importlib.import_module("configs.export").get_config()
    settings.run = str(tmp_path / "run")
    export.run(settings, tmp_path / "out")
    merged = models.load(str(tmp_path / "out" / "hf"), dtype="float32")
    plain = models.load("random:tiny", dtype="float32")
    again = lora.import_peft(plain.module, tmp_path / "out" / "adapter")
    ids = jnp.arange(3, 19)[None]
    rows = ids, jnp.full_like(ids, 16), jnp.arange(16)[None]
    got, want = (module.logits(module.on_rows(*rows).hidden) for module in (merged.module, again))
    np.testing.assert_allclose(got, want, atol=1e-4)
