"""Jobs end to end with tiny random weights: train, report, export, load again; measure a judge."""

import importlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from pa_jax import models
from pa_jax.core import checkpoint, files
from pa_jax.core import mesh as meshes
from pa_jax.dialogue import schema
from pa_jax.evaluate import chat_model
from pa_jax.jobs import export, grpo, judge, policy, sft
from pa_jax.models import lora


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Work directory of a short SFT run."""
    workdir = tmp_path_factory.mktemp("sft")
    config = importlib.import_module("configs.sft").get_config("tiny")
    config.mesh.tp = 2
    config.train.steps, config.train.keep = 4, 1
    config.data.users = 2
    config.eval.episodes = config.eval.part = 2
    config.eval.every = 3  # at 0, 3 and the end
    # The first of equal ones is the best: nothing is ever finished in 12 tokens of tiny.
    config.eval.best = "finished"
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
    config.run, config.checkpoint, config.dtype = str(trained), "newest", "float32"
    export.run(config, tmp_path)
    model, number = policy.trained(trained, "newest")
    assert number == 4
    loaded = models.load(str(tmp_path / "hf"), dtype="float32")
    written = json.loads((trained / "config.json").read_text())["prompt"]
    assert loaded.prompt == json.loads(json.dumps(model.prompt)) == written
    start = models.load("random:tiny", dtype="float32")
    ids = jnp.arange(3, 19)[None]
    rows = ids, jnp.full_like(ids, 16), jnp.arange(16)[None]
    got, want, before = (
        m.module.logits(m.module.on_rows(*rows).hidden) for m in (loaded, model, start)
    )
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert np.abs(got - before).max() > 1e-2


def test_an_export_is_half_as_large_and_for_all_to_read(trained, tmp_path):
    config = importlib.import_module("configs.export").get_config()
    config.run = str(trained)
    export.run(config, tmp_path)
    weights = tmp_path / "hf" / "model.safetensors"
    assert {x.dtype.name for x in load_file(weights).values()} == {"bfloat16"}
    described = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert described["torch_dtype"] == "bfloat16" and described["tie_word_embeddings"]
    (tmp_path / "any").touch()
    assert weights.stat().st_mode == (tmp_path / "any").stat().st_mode
    config.dtype = "int8"
    with pytest.raises(ValueError, match="dtype='int8': choose one of .*float32"):
        export.run(config, tmp_path / "other")


def test_a_run_opens_on_a_mesh_of_another_shape(trained):
    mesh = meshes.make(meshes.MeshConfig(fsdp=4, tp=2, ep=1))
    one, _ = policy.trained(trained, "newest")
    many, _ = policy.trained(trained, "newest", mesh)
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


def weights(folder, which):
    model, number = policy.trained(folder, which)
    return number, np.asarray(model.module.embed[...])


def test_a_run_opens_at_its_best_its_newest_or_any_kept_step(trained):
    start = np.asarray(models.load("random:tiny", dtype="float32").module.embed[...])
    (step, best), (number, newest) = weights(trained, "best"), weights(trained, "newest")
    assert (step, number) == (0, 4)
    np.testing.assert_array_equal(best, start)
    assert np.abs(newest - start).max() > 1e-3
    for which, want in (("4", newest), ("0", best)):  # beside the newest, out of its rotation
        number, got = weights(trained, which)
        assert number == int(which)
        np.testing.assert_array_equal(got, want)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 2; .* those of \[0, 4\]"):
        policy.trained(trained, "2")
    with pytest.raises(ValueError, match="checkpoint='last': choose 'best', 'newest' or a step's"):
        policy.trained(trained, "last")


def test_without_a_best_one_the_newest_is_opened(trained, tmp_path):
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    shutil.copy(trained / "config.json", tmp_path)
    assert weights(tmp_path, "best")[0] == 4
    shutil.rmtree(tmp_path / "checkpoints" / "4")
    with pytest.raises(FileNotFoundError, match="no finished checkpoint yet"):
        policy.trained(tmp_path, "best")


def test_a_damaged_best_checkpoint_is_not_passed_over(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "best" / "0" / "meta" / "metadata").write_text("{}")
    with pytest.raises(checkpoint.DamagedError, match="none is intact"):
        policy.trained(tmp_path / "run", "best")
    assert policy.trained(tmp_path / "run", "newest")[1] == 4


def test_exporting_a_folder_that_is_no_run_says_so(tmp_path):
    config = importlib.import_module("configs.export").get_config()
    config.run = str(tmp_path)
    with pytest.raises(FileNotFoundError, match="work directory of a grpo or sft run"):
        export.run(config, tmp_path / "out")


def test_a_run_of_another_version_says_what_it_lacks(tmp_path):
    (tmp_path / "config.json").write_text('{"model": {"source": "random:tiny", "lora": {}}}')
    with pytest.raises(ValueError, match=r"no model.dtype and no model.int8: another version"):
        policy.trained(tmp_path, "newest")


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
    config.warm.steps, config.warm.learning_rate = 1, 1e-2
    grpo.run(config, tmp_path / "run")
    warm, *rows = files.read_rows(tmp_path / "run" / "metrics.jsonl")
    assert warm["phase"] == "warm" and [row["step"] for row in rows] == [1, 2]
    assert rows[0]["logp_delta_max"] < 1e-3  # sampler and trainer use the same int8 base
    assert rows[0]["kl"] < 1e-6 < rows[1]["kl"]  # from the warm-started adapters
    saver = checkpoint.Checkpointer(tmp_path / "run" / "warm", keep=1)
    assert saver.steps() == [1]
    saver.close()
    model, number = policy.trained(tmp_path / "run", "newest")
    assert number == 3
    pairs = model.module.blocks.lora
    assert all(np.abs(np.asarray(pair["b"][...])).max() > 0 for pair in pairs.values())

    settings = importlib.import_module("configs.export").get_config()
    settings.run, settings.checkpoint = str(tmp_path / "run"), "newest"
    settings.dtype, settings.base = "float32", "me/tiny"
    export.run(settings, tmp_path / "out")
    merged = models.load(str(tmp_path / "out" / "hf"), dtype="float32")
    plain = models.load("random:tiny", dtype="float32")
    named = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert named["base_model_name_or_path"] == "me/tiny"
    again = lora.import_peft(plain.module, tmp_path / "out" / "adapter")
    ids = jnp.arange(3, 19)[None]
    rows = ids, jnp.full_like(ids, 16), jnp.arange(16)[None]
    got, want = (module.logits(module.on_rows(*rows).hidden) for module in (merged.module, again))
    np.testing.assert_allclose(got, want, atol=1e-4)
