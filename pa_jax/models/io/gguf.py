"""GGUF files: config from the metadata, tensors dequantised one by one, the tokenizer rebuilt.

transformers reads GGUF only with torch installed; here the `gguf` package does.
"""

import dataclasses
import functools
import pathlib
from typing import Any

import gguf
import numpy as np
import tokenizers
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from pa_jax.models import config
from pa_jax.models.io import names

ARCHITECTURES = {  # general.architecture -> (family, the gguf package's name)
    "llama": ("llama", gguf.MODEL_ARCH.LLAMA),
    "qwen2": ("qwen2", gguf.MODEL_ARCH.QWEN2),
    "qwen3": ("qwen3", gguf.MODEL_ARCH.QWEN3),
}
CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type of special and of other added tokens
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one GGUF file holds; the tokenizer is transformers' fast one."""

    config: config.DecoderConfig
    tensors: names.Tensors
    tokenizer: transformers.PreTrainedTokenizerFast


def read(path: pathlib.Path) -> Checkpoint:
    """Config, tensors and tokenizer of a GGUF file; raises ValueError on what is not supported."""
    try:
        reader = gguf.GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise ValueError(
            f"{path} is no whole GGUF file ({error}): damaged or half written; fetch it again."
        ) from error
    meta = dict(reader.fields)
    found = {tensor.name for tensor in reader.tensors}
    cfg = _config(meta, tied="output.weight" not in found)
    return Checkpoint(cfg, _tensors(reader, cfg, path), _tokenizer(meta))


def _value(meta: dict[str, Any], name: str, *default: Any) -> Any:
    if name in meta:
        return meta[name].contents()
    if default:
        return default[0]
    raise ValueError(f"the GGUF file has no metadata {name!r}; use a complete checkpoint.")


def _config(meta: dict[str, Any], *, tied: bool) -> config.DecoderConfig:
    arch = _value(meta, "general.architecture")
    if arch not in ARCHITECTURES:
        raise ValueError(
            f"GGUF architecture {arch!r}: choose a checkpoint of {sorted(ARCHITECTURES)}."
        )
    scaling = _value(meta, f"{arch}.rope.scaling.type", "none")
    if scaling != "none":
        raise ValueError(f"GGUF rope scaling {scaling!r} is not supported: plain RoPE only.")
    heads = _value(meta, f"{arch}.attention.head_count")
    width = _value(meta, f"{arch}.embedding_length")
    family = ARCHITECTURES[arch][0]
    return config.DecoderConfig(
        family=family,
        vocab=len(meta["tokenizer.ggml.tokens"].data),
        width=width,
        layers=_value(meta, f"{arch}.block_count"),
        heads=heads,
        kv_heads=_value(meta, f"{arch}.attention.head_count_kv", heads),
        head_dim=_value(meta, f"{arch}.attention.key_length", width // heads),
        mlp=_value(meta, f"{arch}.feed_forward_length"),
        rope_theta=float(_value(meta, f"{arch}.rope.freq_base", 10_000.0)),
        norm_eps=float(f"{_value(meta, f'{arch}.attention.layer_norm_rms_epsilon'):.6g}"),
        tied=tied,
        qkv_bias=family == "qwen2",
        qk_norm=family == "qwen3",
        max_positions=_value(meta, f"{arch}.context_length"),
    )


def _tensors(
    reader: gguf.GGUFReader, cfg: config.DecoderConfig, path: pathlib.Path
) -> names.Tensors:
    """The file's tensors under Hugging Face names; unknown ones keep their own."""
    arch = next(value for family, value in ARCHITECTURES.values() if family == cfg.family)
    known = gguf.get_tensor_name_map(arch, cfg.layers)
    to_hf = {}
    for row in names.table(cfg):
        for _, name in row.names(cfg):
            to_hf[known.get_name(name, (".weight", ".bias"))] = name
    tensors = {to_hf.get(tensor.name, tensor.name): tensor for tensor in reader.tensors}
    heads = {"q_proj": cfg.heads, "k_proj": cfg.kv_heads} if cfg.family == "llama" else {}

    @functools.lru_cache(maxsize=1)  # slices of one tensor are read one after the other
    def whole(name: str) -> np.ndarray:
        tensor = tensors[name]
        try:
            values = gguf.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ValueError(
                f"tensor {name} of {path} is stored as {tensor.tensor_type.name}, which the gguf "
                "package cannot read; use a Q4_1, Q8_0, F16 or F32 file."
            ) from error
        for part, count in heads.items():
            if part in name:
                values = _unpermute(values, count)
        return values

    shapes = {name: tuple(int(x) for x in tensor.shape[::-1]) for name, tensor in tensors.items()}
    return names.Tensors(shapes, lambda name, index: whole(name)[tuple(map(names.as_slice, index))])


def _unpermute(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k as Hugging Face orders them (halves), of llama.cpp's interleaved pairs."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _splitters() -> dict[str, tuple[Any, Any]]:
    """tokenizer.ggml.pre -> (normalizer, how text is cut before byte-level BPE)."""
    words = pre_tokenizers.Split(tokenizers.Regex(QWEN_WORDS), behavior="isolated")
    return {
        "smollm": (None, pre_tokenizers.Digits(individual_digits=True)),
        "qwen2": (normalizers.NFC(), words),
    }


def _tokenizer(meta: dict[str, Any]) -> transformers.PreTrainedTokenizerFast:
    """The byte-level BPE tokenizer in the metadata, with the file's chat template."""
    kind, pre = _value(meta, "tokenizer.ggml.model"), _value(meta, "tokenizer.ggml.pre", "default")
    splitters = _splitters()
    if kind != "gpt2" or pre not in splitters:
        raise ValueError(
            f"GGUF tokenizer {kind!r} with pre-tokenizer {pre!r} is not supported; use 'gpt2' with "
            f"one of {sorted(splitters)}, or the model's Hugging Face folder."
        )
    tokens = _value(meta, "tokenizer.ggml.tokens")
    types = _value(meta, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _value(meta, "tokenizer.ggml.merges")]
    vocab = {token: number for number, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab, merges))
    normalizer, splitter = splitters[pre]
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [splitter, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre == "smollm")]
    )
    backend.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, types, strict=True):
        if kind in (CONTROL, USER_DEFINED):
            added = tokenizers.AddedToken(token, special=kind == CONTROL, normalized=False)
            (backend.add_special_tokens if kind == CONTROL else backend.add_tokens)([added])
    special = {
        f"{ours}_token": tokens[_value(meta, f"tokenizer.ggml.{theirs}_token_id")]
        for ours, theirs in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown"))
        if f"tokenizer.ggml.{theirs}_token_id" in meta
    }
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        model_max_length=_value(meta, f"{_value(meta, 'general.architecture')}.context_length"),
        chat_template=_value(meta, "tokenizer.chat_template", None),
        **special,
    )
