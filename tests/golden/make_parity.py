"""Write tests/golden/parity: small random checkpoints and transformers' logits on them.

Needs torch and transformers (seen with torch 2.13.0, transformers 5.23.0):
    python tests/golden/make_parity.py
"""

import pathlib
import shutil

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent / "parity"
LENGTHS = (11, 1, 7)  # ragged rows; the rest of each row holds random ids
SIZES = {
    "vocab_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
MODELS = {
    "llama": ("Llama", {"hidden_size": 48, "head_dim": 16, "rope_theta": 1e5}),
    "llama_untied": ("Llama", {"hidden_size": 32, "tie_word_embeddings": False}),
    "qwen2": ("Qwen2", {"hidden_size": 48, "rope_theta": 1e6, "rms_norm_eps": 1e-6}),
    "qwen2_untied": ("Qwen2", {"hidden_size": 32, "tie_word_embeddings": False}),
    "qwen3": ("Qwen3", {"hidden_size": 48, "head_dim": 16, "rope_theta": 5e6}),
    "qwen3_untied": ("Qwen3", {"hidden_size": 32, "head_dim": 16, "tie_word_embeddings": False}),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "hidden_size": 32,
            "head_dim": 8,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 16,
            "norm_topk_prob": True,
            "tie_word_embeddings": False,
        },
    ),
    "qwen3_moe_raw_weights": (
        "Qwen3Moe",
        {
            "hidden_size": 32,
            "head_dim": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "norm_topk_prob": False,
        },
    ),
}


def build(family: str, options: dict, seed: int) -> torch.nn.Module:
    """A random float32 model; no norm weight stays 1 and no bias stays 0."""
    torch.manual_seed(seed)
    options = {"intermediate_size": 56, "tie_word_embeddings": True} | SIZES | options
    rope = {"rope_type": "default", "rope_theta": options.pop("rope_theta", 1e4)}
    config = getattr(transformers, f"{family}Config")(**options, rope_parameters=rope)
    model = getattr(transformers, f"{family}ForCausalLM")(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(std=0.15)
    return model


def logits(model: torch.nn.Module, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Float32 logits [n, t, v] of right-padded rows."""
    mask = np.arange(ids.shape[1])[None] < lengths[:, None]
    with torch.no_grad():
        out = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask).long())
    return out.logits.float().numpy()


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for seed, (name, (family, options)) in enumerate(MODELS.items()):
        model = build(family, dict(options), seed)
        rng = np.random.default_rng(seed)
        ids = rng.integers(0, SIZES["vocab_size"], (len(LENGTHS), 12))
        lengths = np.array(LENGTHS)
        # one sharded checkpoint, to read an index
        model.save_pretrained(
            FOLDER / name, max_shard_size="30KB" if name == "llama_untied" else "5GB"
        )
        expected = {"ids": ids, "lengths": lengths, "logits": logits(model, ids, lengths)}
        save_file(expected, FOLDER / name / "expected.st")


if __name__ == "__main__":
    main()
