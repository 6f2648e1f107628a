"""The shape of a decoder, read from and written to Hugging Face's config.json."""

import dataclasses
from typing import Any

FAMILIES = {  # model_type -> the transformers class that reads it
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}

REQUIRED = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "vocab_size",
)


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """One decoder of any supported family; `experts == 0` means a dense MLP in every layer."""

    family: str
    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int  # dense MLP width, or one expert's
    rope_theta: float
    norm_eps: float
    tied: bool
    qkv_bias: bool
    qk_norm: bool
    max_positions: int
    experts: int = 0
    experts_per_token: int = 0
    norm_topk: bool = False

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"model_type={self.family!r}: choose one of {sorted(FAMILIES)}.")
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} query heads over {self.kv_heads} key/value heads: must divide."
            )


def _rope_theta(hf: dict[str, Any]) -> float:
    """RoPE base of either spelling of config.json; scaled RoPE is refused, not ignored."""
    rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise ValueError(
            f"rope type {kind!r} is not supported; use a checkpoint with plain RoPE (default)."
        )
    if "rope_theta" in hf:
        return float(hf["rope_theta"])
    return float(rope.get("rope_theta", 10_000.0))


def from_hf(hf: dict[str, Any]) -> DecoderConfig:
    """DecoderConfig of a config.json; raises ValueError on what the decoder cannot compute."""
    family = hf.get("model_type")
    if family not in FAMILIES:
        raise ValueError(f"model_type={family!r}: choose one of {sorted(FAMILIES)}.")
    missing = [key for key in REQUIRED if key not in hf]
    if family == "qwen3_moe":
        missing += [k for k in ("moe_intermediate_size", "num_experts_per_tok") if k not in hf]
    if missing:
        raise ValueError(f"config.json of a {family} has no {missing}; use a complete checkpoint.")
    if hf.get("use_sliding_window") or hf.get("hidden_act", "silu") != "silu":
        raise ValueError("sliding windows and activations other than silu are not supported.")
    moe = family == "qwen3_moe"
    if moe and (hf.get("decoder_sparse_step", 1) != 1 or hf.get("mlp_only_layers")):
        raise ValueError("Qwen3-MoE with dense layers in between is not supported: all or none.")
    bias = bool(hf.get("attention_bias", False))
    if bias and family != "llama":
        raise ValueError(f"{family} with attention_bias=true is not supported (output bias).")
    if bias or hf.get("mlp_bias"):
        raise ValueError("Llama checkpoints with attention or MLP biases are not supported.")
    heads = int(hf["num_attention_heads"])
    return DecoderConfig(
        family=family,
        vocab=int(hf["vocab_size"]),
        width=int(hf["hidden_size"]),
        layers=int(hf["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(hf.get("num_key_value_heads") or heads),
        head_dim=int(hf.get("head_dim") or hf["hidden_size"] // heads),
        mlp=int(hf["moe_intermediate_size"] if moe else hf["intermediate_size"]),
        rope_theta=_rope_theta(hf),
        norm_eps=float(hf.get("rms_norm_eps", 1e-6)),
        tied=bool(hf.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2",
        qk_norm=family in ("qwen3", "qwen3_moe"),
        max_positions=int(hf.get("max_position_embeddings", 4096)),
        experts=int(hf.get("num_experts", hf.get("num_local_experts", 0))) if moe else 0,
        experts_per_token=int(hf["num_experts_per_tok"]) if moe else 0,
        norm_topk=bool(hf.get("norm_topk_prob", False)) if moe else False,
    )


def to_hf(cfg: DecoderConfig, *, dtype: str) -> dict[str, Any]:
    """config.json that transformers 4.5x and 5.x both read."""
    hf = {
        "architectures": [FAMILIES[cfg.family]],
        "model_type": cfg.family,
        "vocab_size": cfg.vocab,
        "hidden_size": cfg.width,
        "num_hidden_layers": cfg.layers,
        "num_attention_heads": cfg.heads,
        "num_key_value_heads": cfg.kv_heads,
        "head_dim": cfg.head_dim,
        "intermediate_size": cfg.mlp,
        "hidden_act": "silu",
        "rope_theta": cfg.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": cfg.rope_theta},
        "rms_norm_eps": cfg.norm_eps,
        "tie_word_embeddings": cfg.tied,
        "max_position_embeddings": cfg.max_positions,
        "torch_dtype": dtype,
    }
    if cfg.experts:
        hf |= {
            "moe_intermediate_size": cfg.mlp,
            "num_experts": cfg.experts,
            "num_experts_per_tok": cfg.experts_per_token,
            "norm_topk_prob": cfg.norm_topk,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    return hf


def _qwen3(width: int, layers: int, heads: int, kv_heads: int, mlp: int, **other: Any):
    values = {
        "family": "qwen3",
        "vocab": 151_936,
        "head_dim": 128,
        "rope_theta": 1e6,
        "norm_eps": 1e-6,
        "tied": True,
        "qkv_bias": False,
        "qk_norm": True,
        "max_positions": 40_960,
    }
    return DecoderConfig(
        width=width, layers=layers, heads=heads, kv_heads=kv_heads, mlp=mlp, **(values | other)
    )


PRESETS = {  # sizes for `random:NAME`, for planning and for tests
    "tiny": DecoderConfig(
        family="llama",
        vocab=512,
        width=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=16,
        mlp=128,
        rope_theta=1e4,
        norm_eps=1e-5,
        tied=True,
        qkv_bias=False,
        qk_norm=False,
        max_positions=2048,
    ),
    "smollm2-135m": DecoderConfig(
        family="llama",
        vocab=49_152,
        width=576,
        layers=30,
        heads=9,
        kv_heads=3,
        head_dim=64,
        mlp=1536,
        rope_theta=1e5,
        norm_eps=1e-5,
        tied=True,
        qkv_bias=False,
        qk_norm=False,
        max_positions=8192,
    ),
    "qwen3-36m": _qwen3(512, 8, 8, 4, 1536, vocab=20_480, head_dim=64),
    "qwen2.5-coder-0.5b": DecoderConfig(  # as its GGUF file has it: the head apart from embed
        family="qwen2",
        vocab=151_936,
        width=896,
        layers=24,
        heads=14,
        kv_heads=2,
        head_dim=64,
        mlp=4864,
        rope_theta=1e6,
        norm_eps=1e-6,
        tied=False,
        qkv_bias=True,
        qk_norm=False,
        max_positions=32_768,
    ),
    "qwen3-0.6b": _qwen3(1024, 28, 16, 8, 3072),
    "qwen3-4b": _qwen3(2560, 36, 32, 8, 9728, rope_theta=5e6, max_positions=262_144),
    "qwen3-30b-a3b": _qwen3(
        2048,
        48,
        32,
        4,
        768,
        family="qwen3_moe",
        tied=False,
        rope_theta=1e7,
        max_positions=262_144,
        experts=128,
        experts_per_token=8,
        norm_topk=True,
    ),
}
