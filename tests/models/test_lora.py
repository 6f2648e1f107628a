"""Adapters: what they change, what they leave alone, and their files."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from pa_jax import models
from pa_jax.core import mesh, sharding
from pa_jax.models import decoder, lora, quant

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
FAMILIES = ("llama", "qwen2", "qwen3_untied", "qwen3_moe")
CFG = lora.LoraConfig(rank=3, alpha=6.0)
IDS = np.random.default_rng(0).integers(0, 128, (2, 14))
# Six tokens and two branches of four; four tokens, branches of one and three, and padding.
END = np.array([[14] * 6 + [10] * 4 + [14] * 4, [8] * 4 + [5] + [8] * 3 + [*range(9, 15)]])
POSITION = np.array([[*range(10), *range(6, 10)], [*range(5), *range(4, 7), *[0] * 6]])


def load(name: str) -> decoder.Decoder:
    return models.load(str(GOLDEN / name), dtype="float32").module


def trained(module: decoder.Decoder, cfg: lora.LoraConfig = CFG) -> decoder.Decoder:
    """With adapters that do something."""
    made = lora.add(module, cfg, jax.random.key(1))
    for i, pair in enumerate(made.blocks.lora.values()):
        b = pair["b"]
        b[...] = 0.2 * jax.random.normal(jax.random.key(i), b.shape)
    return made


def logits_of(module: decoder.Decoder, remat: str = "none"):
    rows = map(jnp.asarray, (IDS, END, POSITION))
    return module.logits(module.on_rows(*rows, remat=remat).hidden)


@functools.partial(jax.jit, static_argnums=0)
def _run(graph, state):
    return logits_of(nnx.merge(graph, state))


def run(module: decoder.Decoder):
    return _run(*nnx.split(module))


@pytest.mark.parametrize("name", FAMILIES)
def test_new_adapters_change_no_logit_and_share_the_base(name):
    module = load(name)
    before = np.asarray(run(module))
    made = lora.add(module, CFG, jax.random.key(0))
    assert np.array_equal(run(made), before)
    assert not module.blocks.lora and np.array_equal(run(module), before)
    a = made.blocks.lora["wq"]["a"][...]
    bound = module.cfg.width**-0.5
    assert float(jnp.abs(a).max()) <= bound and float(jnp.abs(a).mean()) > 0.4 * bound
    assert made.blocks.wq[...] is module.blocks.wq[...]
    assert lora.base(made).embed[...] is module.embed[...]


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_merged_and_base_logits(name, int8):
    module = quant.quantise(load(name)) if int8 else load(name)
    made = trained(module)
    unmerged = np.asarray(run(made))
    assert np.abs(unmerged - run(module)).max() > 0.05
    merged = lora.merge(made)
    np.testing.assert_allclose(run(merged), unmerged, atol=1e-4)
    assert np.array_equal(run(lora.base(made)), run(module))
    assert nnx.graphdef(merged) == nnx.graphdef(load(name))  # plain again, in structure too
    assert nnx.graphdef(lora.base(made)) == nnx.graphdef(module)


def test_experts_get_no_adapters():
    assert set(trained(load("qwen3_moe")).blocks.lora) == {"wq", "wk", "wv", "wo"}
    assert set(trained(load("llama")).blocks.lora) == set(decoder.PROJECTIONS)


def test_files_hold_what_merging_by_hand_needs(tmp_path):
    """W + alpha / r * B A on Hugging Face's own tensors, in numpy, is what we compute."""
    model = models.load(str(GOLDEN / "qwen3"), dtype="float32")
    made = trained(model.module)
    lora.export_peft(made, tmp_path / "adapter", "base")
    models.save_hf(model, tmp_path / "base")
    pairs = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (3, 6, "base")
    weights = load_file(tmp_path / "base" / "model.safetensors")
    count = 0
    for name in weights:
        stem = "base_model.model." + name.removesuffix(".weight")
        if f"{stem}.lora_A.weight" in pairs:
            a, b = pairs[f"{stem}.lora_A.weight"], pairs[f"{stem}.lora_B.weight"]
            weights[name] = weights[name] + config["lora_alpha"] / config["r"] * b @ a
            assert name.split(".")[-2] in config["target_modules"]
            count += 2
    assert count == len(pairs) == 2 * 7 * 2
    save_file(weights, tmp_path / "base" / "model.safetensors")
    by_hand = models.load(str(tmp_path / "base"), dtype="float32").module
    np.testing.assert_allclose(run(by_hand), run(made), atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_adapters_come_back_from_their_files_exactly(name, tmp_path):
    module = load(name)
    made = trained(module, lora.LoraConfig(rank=2, alpha=0.3))
    lora.export_peft(made, tmp_path, "base")
    back = lora.import_peft(module, tmp_path)
    assert nnx.graphdef(back) == nnx.graphdef(made)
    assert jax.tree.all(jax.tree.map(np.array_equal, nnx.state(back), nnx.state(made)))


def test_an_adapter_of_some_weights_is_read(tmp_path):
    """As peft's default for Llama: q_proj and v_proj only."""
    module = load("llama")
    made = trained(module)
    lora.export_peft(made, tmp_path, "base")
    path = tmp_path / "adapter_model.safetensors"
    some = {k: x for k, x in load_file(path).items() if "q_proj" in k or "v_proj" in k}
    save_file(some, path)
    back = lora.import_peft(module, tmp_path)
    assert set(back.blocks.lora) == {"wq", "wv"}
    for name in set(decoder.PROJECTIONS) - {"wq", "wv"}:
        del made.blocks.lora[name]
    assert np.array_equal(run(back), run(made))


@pytest.mark.parametrize(("name", "int8"), [("qwen2", True), ("qwen3_moe", False)])
def test_a_step_changes_adapters_alone(name, int8):
    module = quant.quantise(load(name)) if int8 else load(name)
    graph, adapters, rest = lora.split(trained(module))
    kept = jax.tree.map(np.array, rest)
    want = jax.nn.one_hot(IDS[:, ::-1], 128)

    def step(remat):
        def loss(adapters, rest):
            logits = logits_of(nnx.merge(graph, adapters, rest), remat)
            return -jnp.mean(jnp.sum(want * jax.nn.log_softmax(logits), axis=-1))

        def update(adapters, rest):
            value, grads = jax.value_and_grad(loss)(adapters, rest)
            return value, grads, jax.tree.map(lambda x, g: x - 0.1 * g, adapters, grads)

        return jax.jit(update)

    value, grads, after = step("full")(adapters, rest)
    paths = [".".join(map(str, path)) for path, _ in nnx.to_flat_state(grads)]
    assert paths and all(path.startswith("blocks.lora.") for path in paths)
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(grads))
    plain_step = step("none")
    assert float(plain_step(after, rest)[0]) < float(value)
    _, plain, _ = plain_step(adapters, rest)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), grads, plain)
    assert jax.tree.all(jax.tree.map(np.array_equal, rest, kept))


def test_gradients_follow_from_those_of_merged_weights():
    """dL/dA = s dL/dW B^T and dL/dB = s A^T dL/dW, with dL/dW taken on the merged decoder."""
    made = trained(load("qwen3"))
    graph, adapters, rest = lora.split(made)
    plain, weights = nnx.split(lora.merge(made))
    got = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(logits_of(nnx.merge(graph, x, rest))))))(
        adapters
    )
    whole = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(logits_of(nnx.merge(plain, x))))))(weights)
    scaling = CFG.alpha / CFG.rank
    for name, inputs in decoder.PROJECTIONS.items():
        dw = np.asarray(whole["blocks"][name][...])
        for i in range(dw.shape[0]):
            a, b = (np.asarray(made.blocks.lora[name][part][...][i]) for part in "ab")
            rows = int(np.prod(dw.shape[1 : 1 + inputs]))
            a, b, d = a.reshape(rows, -1), b.reshape(3, -1), dw[i].reshape(rows, -1)
            ours = {p: np.asarray(got["blocks"]["lora"][name][p][...][i]) for p in "ab"}
            top = np.abs(d).max()
            np.testing.assert_allclose(
                ours["a"].reshape(a.shape), scaling * d @ b.T, atol=1e-3 * top
            )
            np.testing.assert_allclose(
                ours["b"].reshape(b.shape), scaling * a.T @ d, atol=1e-3 * top
            )


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("llama", (8, 1, 1)),
        ("llama", (2, 4, 1)),
        ("qwen3_moe", (4, 2, 1)),
        ("qwen3_moe", (2, 2, 2)),
    ],
)
def test_sharded_equals_unsharded(name, sizes):
    made = trained(quant.quantise(load(name)))
    graph, adapters, rest = lora.split(made)
    grid = mesh.make(mesh.MeshConfig(*sizes), jax.devices()[:8])
    state = nnx.merge_state(adapters, rest)
    placed = jax.device_put(state, sharding.shardings(state, grid, sharding.TRAIN_RULES))
    want = run(made)
    with jax.set_mesh(grid):
        got = jax.jit(lambda x: logits_of(nnx.merge(graph, x)))(placed)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_layout_of_adapters_and_scales():
    made = lora.add(quant.quantise(load("qwen3_moe")), CFG, jax.random.key(0))
    grid = mesh.make(mesh.MeshConfig(2, 2, 2), jax.devices()[:8])
    lines = sharding.layout(nnx.state(made), grid, sharding.TRAIN_RULES)
    some = {path: lines[path] for path in lines if "lora.w" in path or "scales" in path}
    assert some == {
        "blocks.lora.wk.a": "float32[2,32,3] layers:-, embed:fsdp+ep, rank:-",
        "blocks.lora.wk.b": "float32[2,3,2,8] layers:-, rank:-, kv_heads:tp, head_dim:-",
        "blocks.lora.wo.a": "float32[2,4,8,3] layers:-, heads:tp, head_dim:-, rank:-",
        "blocks.lora.wo.b": "float32[2,3,32] layers:-, rank:-, embed:fsdp+ep",
        "blocks.lora.wq.a": "float32[2,32,3] layers:-, embed:fsdp+ep, rank:-",
        "blocks.lora.wq.b": "float32[2,3,4,8] layers:-, rank:-, heads:tp, head_dim:-",
        "blocks.lora.wv.a": "float32[2,32,3] layers:-, embed:fsdp+ep, rank:-",
        "blocks.lora.wv.b": "float32[2,3,2,8] layers:-, rank:-, kv_heads:tp, head_dim:-",
        "blocks.scales.w_down": "float32[2,8,32] layers:-, experts:ep, embed:fsdp",
        "blocks.scales.w_gate": "float32[2,8,16] layers:-, experts:ep, mlp:tp",
        "blocks.scales.w_up": "float32[2,8,16] layers:-, experts:ep, mlp:tp",
        "blocks.scales.wk": "float32[2,2,8] layers:-, kv_heads:tp, head_dim:-",
        "blocks.scales.wo": "float32[2,32] layers:-, embed:fsdp+ep",
        "blocks.scales.wq": "float32[2,4,8] layers:-, heads:tp, head_dim:-",
        "blocks.scales.wv": "float32[2,2,8] layers:-, kv_heads:tp, head_dim:-",
        "scales.embed": "float32[128] vocab:tp",
        "scales.head": "float32[128] vocab:tp",
    }


def test_abstract_modules_get_adapters_for_planning():
    key, empty = jax.random.key(0), decoder.abstract(load("llama").cfg, dtype="bfloat16")
    whole = nnx.eval_shape(lambda m: lora.add(quant.quantise(m), CFG, key), empty)
    real = lora.add(quant.quantise(load("llama")), CFG, jax.random.key(0))
    shapes = [
        {path: leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(m))} for m in (whole, real)
    ]
    assert shapes[0] == shapes[1]
    assert whole.blocks.wq.dtype == jnp.int8 and whole.blocks.lora["wq"]["a"].dtype == jnp.float32


def test_what_cannot_be_done_is_said(tmp_path):
    module = load("llama")
    made = trained(module)
    with pytest.raises(ValueError, match="rank must be at least 1"):
        lora.LoraConfig(rank=0, alpha=1.0)
    with pytest.raises(ValueError, match=r"adapters already; take lora\.base"):
        lora.add(made, CFG, jax.random.key(0))
    with pytest.raises(ValueError, match=r"no adapters to export; make them with lora\.add"):
        lora.export_peft(module, tmp_path, "base")
    plain = models.load(str(GOLDEN / "llama"), dtype="float32")
    with pytest.raises(ValueError, match=r"int8 weights or adapters .* lora\.merge"):
        models.save_hf(models.LoadedModel(made, made.cfg, None, plain.generation), tmp_path / "hf")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"use_rslora": True}, "use_rslora.*only plain LORA"),
        ({"use_dora": True}, "use_dora.*only plain LORA"),
        ({"alora_invocation_tokens": [7, 8]}, "alora_invocation_tokens.*only plain LORA"),
        ({"use_bdlora": {"nblocks": 2}}, "use_bdlora.*only plain LORA"),
        ({"arrow_config": {"top_k": 3}}, "arrow_config.*only plain LORA"),
        ({"an_option_of_tomorrow": 1}, "an_option_of_tomorrow.*only plain LORA"),
        ({"init_lora_weights": "pissa"}, "'pissa'.*weights of its base as they are"),
        ({"init_lora_weights": "pissa_niter_16"}, "'pissa_niter_16'.*Merge"),
        ({"init_lora_weights": "olora"}, "'olora'.*Merge"),
        ({"init_lora_weights": "corda"}, "'corda'.*Merge"),
        ({"init_lora_weights": "loftq"}, "'loftq'.*Merge"),
        ({"init_lora_weights": "lora_ga"}, "'lora_ga'.*Merge"),
        ({"bias": "all"}, "bias='all'.*only plain LORA"),
        ({"peft_type": "IA3"}, "peft_type='IA3'.*only plain LORA"),
        ({"r": None}, "r=None, .*r must be a whole number"),
        ({"r": 4.5}, "r=4.5, .*r must be a whole number"),
        ({"r": True}, "r=True, .*r must be a whole number"),
        ({"r": "3"}, "r='3', .*r must be a whole number"),
        ({"r": 0}, "adapter_config.json: .*rank must be at least 1"),
        ({"lora_alpha": "16"}, "lora_alpha='16'; .*lora_alpha a number"),
        ({"lora_alpha": False}, "lora_alpha=False; .*lora_alpha a number"),
        ({"lora_alpha": float("nan")}, "lora_alpha=nan; .*lora_alpha a number"),
        ({"r": 5}, r"lora_A.weight: got shape \(3, 56\), rank 5 .* asks for \(5, 56\)"),
    ],
)
def test_foreign_adapters_are_refused(changed, words, tmp_path):
    module = load("llama")
    lora.export_peft(trained(module), tmp_path, "base")
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ValueError, match=words):
        lora.import_peft(module, tmp_path)


def test_what_changes_no_figure_is_no_reason_to_refuse(tmp_path):
    """As peft 0.21 writes it, with every key that it has."""
    module = load("llama")
    lora.export_peft(trained(module), tmp_path, "base")
    path = tmp_path / "adapter_config.json"
    written = json.loads(path.read_text())
    empty = dict.fromkeys(("alora_invocation_tokens", "arrow_config", "use_bdlora", "rank_pattern"))
    more = {"peft_version": "0.21.2", "qalora_group_size": 16, "eva_config": {"rho": 2.0}}
    for begun in (True, False, "gaussian", "eva", "orthogonal"):
        path.write_text(json.dumps(written | empty | more | {"init_lora_weights": begun}))
        assert lora.import_peft(module, tmp_path).blocks.lora


def test_adapters_of_another_base_are_refused(tmp_path):
    module = load("llama")
    with pytest.raises(ValueError, match=r"adapter_config.json is missing"):
        lora.import_peft(module, tmp_path)
    lora.export_peft(trained(module), tmp_path, "base")
    with pytest.raises(ValueError, match=r"unexpected tensors: .*mlp.*allowed are \['wq'"):
        lora.import_peft(load("qwen3_moe"), tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    some = load_file(path)
    del some["base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"]
    save_file(some, path)
    with pytest.raises(ValueError, match=r"missing tensors: .*layers.1.mlp.up_proj.lora_B"):
        lora.import_peft(module, tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read .* half written"):
        lora.import_peft(module, tmp_path)


@pytest.mark.filterwarnings("ignore")  # torch's and peft's own
@pytest.mark.parametrize("name", FAMILIES)
def test_peft_reads_ours_and_we_read_theirs(name, tmp_path):
    """Live: the exported adapter on the saved base gives our logits; peft's own save comes back."""
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison")
    peft = pytest.importorskip("peft", reason="peft is not installed: no live comparison")
    import transformers

    model = models.load(str(GOLDEN / name), dtype="float32")
    made = trained(model.module)
    models.save_hf(model, tmp_path / "base")
    lora.export_peft(made, tmp_path / "adapter", str(tmp_path / "base"))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", dtype=torch.float32
    )
    theirs = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    ids = np.random.default_rng(1).integers(0, 128, (2, 9))
    with torch.no_grad():
        want = theirs(input_ids=torch.tensor(ids)).logits.numpy()
    rows = ids, np.full_like(ids, 9), np.broadcast_to(np.arange(9), ids.shape)
    got = made.logits(made.on_rows(*map(jnp.asarray, rows)).hidden)
    np.testing.assert_allclose(got, want, atol=2e-4)
    plain = model.module.logits(model.module.on_rows(*map(jnp.asarray, rows)).hidden)
    assert np.abs(np.asarray(plain) - want).max() > 0.05
    theirs.save_pretrained(tmp_path / "again")
    back = lora.import_peft(model.module, tmp_path / "again")
    assert jax.tree.all(jax.tree.map(np.array_equal, nnx.state(back), nnx.state(made)))
