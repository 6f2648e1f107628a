"""The shape of a decoder, read from and written to Hugging Face's config.json."""

import dataclasses
from typing import Any

from pa_jax.models import rope

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
    rope_scaling: rope.Scaling | None = None

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"model_type={self.family!r}: choose one of {sorted(FAMILIES)}.")
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} query heads over {self.kv_heads} key/value heads: must divide."
            )


def _check_windows(hf: dict[str, Any]) -> None:
    """ValueError names the layers that do not see all that came before, as transformers has it."""
    window, layers = hf.get("sliding_window"), int(hf["num_hidden_layers"])
    kinds = hf.get("layer_types") or []
    if not kinds and hf.get("use_sliding_window") and window:
        # Qwen3-MoE has no such layer number: there all layers have the window.
        first = 0 if hf["model_type"] == "qwen3_moe" else hf.get("max_window_layers", 28)
        kinds = ["full_attention"] * min(first, layers)
        kinds += ["sliding_attention"] * (layers - len(kinds))
    if window and window >= hf.get("max_position_embeddings", 4096):
        kinds = [kind for kind in kinds if kind != "sliding_attention"]  # it holds all there is
    odd = [(i, kind) for i, kind in enumerate(kinds) if kind != "full_attention"]
    if odd:
        shown = ", ".join(f"{i} ({kind})" for i, kind in odd[:4])
        shown += f" and {len(odd) - 4} more" if len(odd) > 4 else ""
        raise ValueError(
            f"layers {shown} of {layers} do not attend to all before them (sliding_window={window})"
            ": only full attention is supported; use a checkpoint without windows."
        )


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
    if hf.get("hidden_act", "silu") != "silu":
        raise ValueError(f"hidden_act={hf['hidden_act']!r} is not supported: silu only.")
    _check_windows(hf)
    moe = family == "qwen3_moe"
    if moe and (hf.get("decoder_sparse_step", 1) != 1 or hf.get("mlp_only_layers")):
        raise ValueError("Qwen3-MoE with dense layers in between is not supported: all or none.")
    bias = bool(hf.get("attention_bias", False))
    if bias and family != "llama":
        raise ValueError(f"{family} with attention_bias=true is not supported (output bias).")
    if bias or hf.get("mlp_bias"):
        raise ValueError("Llama checkpoints with attention or MLP biases are not supported.")
    heads = int(hf["num_attention_heads"])
    theta, scaling = rope.from_hf(hf)
    return DecoderConfig(
        family=family,
        vocab=int(hf["vocab_size"]),
        width=int(hf["hidden_size"]),
        layers=int(hf["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(hf.get("num_key_value_heads") or heads),
        head_dim=int(hf.get("head_dim") or hf["hidden_size"] // heads),
        mlp=int(hf["moe_intermediate_size"] if moe else hf["intermediate_size"]),
        rope_theta=theta,
        rope_scaling=scaling,
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
        **rope.to_hf(cfg.rope_theta, cfg.rope_scaling),
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


def _qwen3(
    width: int, layers: int, heads: int, kv_heads: int, mlp: int, **other: Any
) -> DecoderConfig:
    values: dict[str, Any] = {
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
