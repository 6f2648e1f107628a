"""GGUF files written here tensor by tensor, as llama.cpp's converter lays them out."""

import json
import pathlib

import gguf
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file
from tokenizers import pre_tokenizers

from pa_jax import models

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
KINDS = gguf.GGMLQuantizationType
MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w")]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if stem in TOP:
        return f"{TOP[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{PARTS[part]}.{kind}"


def vocabulary(size: int) -> list[str]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda c: (not c.isascii(), c))
    letters.remove("Ġ")
    tokens = [*SPECIAL, *("".join(merge) for merge in MERGES), "Ġ", *letters]
    return tokens[:size]


def write(path: pathlib.Path, source: pathlib.Path, kind: KINDS, arch: str = "") -> None:
    """The safetensors folder `source` as GGUF; what a block size does not divide stays F32."""
    hf = json.loads((source / "config.json").read_text())
    arch = arch or hf["model_type"]
    heads, kv_heads = hf["num_attention_heads"], hf["num_key_value_heads"]
    out = gguf.GGUFWriter(path, arch)
    out.add_block_count(hf["num_hidden_layers"])
    out.add_context_length(hf["max_position_embeddings"])
    out.add_embedding_length(hf["hidden_size"])
    out.add_feed_forward_length(hf["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_key_length(hf.get("head_dim") or hf["hidden_size"] // heads)
    out.add_rope_freq_base(hf["rope_parameters"]["rope_theta"])
    out.add_layer_norm_rms_eps(hf["rms_norm_eps"])
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(vocabulary(hf["vocab_size"]))
    out.add_token_types([3] * len(SPECIAL) + [1] * (hf["vocab_size"] - len(SPECIAL)))
    out.add_token_merges([" ".join(merge) for merge in MERGES])
    out.add_eos_token_id(2)
    out.add_chat_template("{{ messages[0]['content'] }}")
    for shard in sorted(source.glob("*.safetensors")):
        for name, value in load_file(shard).items():
            if arch == "llama" and ("q_proj" in name or "k_proj" in name):
                value = interleave(value, heads if "q_proj" in name else kv_heads)
            fits = value.ndim == 2 and value.shape[1] % gguf.GGML_QUANT_SIZES[kind][0] == 0
            stored = kind if fits else KINDS.F32
            out.add_tensor(gguf_name(name), gguf.quantize(value, stored), raw_dtype=stored)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """Row i of a head's first half to 2i, of its second half to 2i + 1."""
    out = np.empty_like(rows)
    size = rows.shape[0] // heads
    for head in range(heads):
        for i in range(size // 2):
            out[head * size + 2 * i] = rows[head * size + i]
            out[head * size + 2 * i + 1] = rows[head * size + size // 2 + i]
    return out


def values(model: models.LoadedModel) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model.module, nnx.Param))
    return {".".join(path): np.asarray(variable[...]) for path, variable in flat}


@pytest.mark.parametrize("name", ["llama", "llama_untied", "qwen2", "qwen3", "qwen3_untied"])
def test_float32_file_is_the_same_model(name: str, tmp_path):
    write(tmp_path / "model.gguf", GOLDEN / name, KINDS.F32)
    model = models.load(str(tmp_path), dtype="float32")
    assert model.config == models.load(str(GOLDEN / name), dtype="float32").config
    expected = load_file(GOLDEN / name / "expected.st")
    ids, lengths = expected["ids"], expected["lengths"]
    slot, length = np.broadcast_to(np.arange(ids.shape[1]), ids.shape), lengths[:, None]
    rows = ids, np.where(slot < length, length, slot + 1), slot
    hidden = model.module.on_rows(*(jnp.asarray(x, jnp.int32) for x in rows)).hidden
    logits = np.asarray(model.module.logits(hidden))
    for row, length in enumerate(lengths):
        assert np.abs(logits[row, :length] - expected["logits"][row, :length]).max() <= 2e-4


HALF = 2.0**-11  # relative rounding of a float16, which the block scales are


@pytest.mark.parametrize(
    "kind, step",  # half a step as a fraction of the largest magnitude, plus the scales' rounding
    [(KINDS.F16, HALF), (KINDS.Q8_0, 0.5 / 127 + HALF), (KINDS.Q4_1, 0.5 * 2 / 15 + 3 * HALF)],
    ids=lambda x: getattr(x, "name", ""),
)
def test_quantised_files_round_within_half_a_step(kind: KINDS, step: float, tmp_path):
    source = GOLDEN / "llama_untied"
    write(tmp_path / "model.gguf", source, kind)
    exact = values(models.load(str(source), dtype="float32"))
    rounded = values(models.load(str(tmp_path / "model.gguf"), dtype="float32"))
    for name, value in exact.items():
        assert np.abs(value - rounded[name]).max() <= step * np.abs(value).max(), name
    assert np.abs(exact["blocks.wq"] - rounded["blocks.wq"]).max() > 0


def test_tokenizer_and_template_are_rebuilt(tmp_path):
    write(tmp_path / "model.gguf", GOLDEN / "qwen3", KINDS.F32)
    words = models.load(str(tmp_path)).tokenizer
    tokens = vocabulary(128)
    spelled = ["hello", "Ġw", "o", "1", "2", "<", "|"]
    assert [tokens[i] for i in words.encode("hello wo12<|")] == spelled
    assert words.added == {token: i for i, token in enumerate(SPECIAL)}
    assert words.eos_ids == (2,) and words.vocab_size == 128
    assert words.decode([3 + 3, 8, 2]) == "hello "
    assert words.template == "{{ messages[0]['content'] }}"


def test_other_architectures_are_refused_by_name(tmp_path):
    write(tmp_path / "model.gguf", GOLDEN / "qwen3", KINDS.F32, arch="gemma2")
    with pytest.raises(ValueError, match="architecture 'gemma2'.*llama.*qwen3"):
        models.load(str(tmp_path))


def test_a_half_written_file_is_named(tmp_path):
    path = tmp_path / "model.gguf"
    write(path, GOLDEN / "qwen3", KINDS.F32)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"model\.gguf.*fetch it again"):
        models.load(str(path))
