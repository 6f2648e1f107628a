"""Write tests/golden/rope: small random checkpoints with stretched RoPE, and transformers' logits.

Needs torch and transformers (seen with torch 2.13.0 and transformers 5.24.0; 4.57.1 gives the same
logits to 1e-6):
    python -m tests.golden.make_rope [FOLDER]
"""

import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

ORIGINAL = 32  # positions that the model was trained on, as its config says
LENGTHS = (24, 96)  # one row below it, one beyond
SIZES = {
    "vocab_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "head_dim": 16,
    "intermediate_size": 48,
    "tie_word_embeddings": True,
    "rope_theta": 1e4,
    "max_position_embeddings": 4 * ORIGINAL,
}
MODELS = {
    "linear": ("Llama", {"rope_type": "linear", "factor": 4.0}),
    "llama3": (
        "Llama",
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": ORIGINAL,
        },
    ),
    "yarn": (
        "Qwen3",
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL},
    ),
    "yarn_every_key": (
        "Qwen3",
        {
            "rope_type": "yarn",
            "factor": 3.0,
            "original_max_position_embeddings": ORIGINAL,
            "beta_fast": 8.0,
            "beta_slow": 2.0,
            "mscale": 1.5,
            "mscale_all_dim": 0.5,
            "truncate": False,
        },
    ),
}


def build(family: str, rope: dict, seed: int) -> torch.nn.Module:
    """A random float32 model whose attention has something to tell positions apart by."""
    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**SIZES, rope_scaling=dict(rope))
    model = getattr(transformers, f"{family}ForCausalLM")(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.uniform_(0.5, 1.5) if "norm" in name else parameter.normal_(std=0.2)
    return model


def main(folder: pathlib.Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for seed, (name, (family, rope)) in enumerate(MODELS.items()):
        model = build(family, rope, seed)
        rng = np.random.default_rng(seed)
        ids = rng.integers(0, SIZES["vocab_size"], (len(LENGTHS), max(LENGTHS)))
        mask = np.arange(ids.shape[1])[None] < np.array(LENGTHS)[:, None]
        with torch.no_grad():
            out = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask).long())
        model.save_pretrained(folder / name)
        logits = out.logits.float().numpy()
        expected = {"ids": ids, "lengths": np.array(LENGTHS), "logits": logits}
        save_file(expected, folder / name / "expected.st")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if sys.argv[1:] else pathlib.Path(__file__).parent / "rope"))
