"""Rotary frequencies, plain or stretched: linear, llama3 and YaRN, as config.json names them.

transformers 4 writes `rope_scaling` beside `rope_theta`, transformers 5 both in `rope_parameters`.
Where a file has the two (somebody added `rope_scaling` to a newer folder), `rope_scaling` counts,
as in transformers.
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from pa_jax.core.typing import Array, Float

PLAIN = "default"
NEEDS = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor",),
}


@dataclasses.dataclass(frozen=True)
class Scaling:
    """How a model that was trained on `original` positions reads more; fields as in config.json.

    Linear scaling is the same whatever the original length, and says 0 there.
    low_freq_factor and high_freq_factor are llama3's; attention_factor (of cos and sin, so twice
    in every score), beta_fast, beta_slow and truncate are YaRN's.
    """

    rope_type: str
    factor: float
    original: int
    low_freq_factor: float = 1.0
    high_freq_factor: float = 1.0
    attention_factor: float = 1.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True


def from_hf(hf: dict[str, Any]) -> tuple[float, Scaling | None]:
    """Base and scaling of a config.json; ValueError names a kind that is not known here."""
    rope = hf.get("rope_scaling") or hf.get("rope_parameters") or {}
    if any(isinstance(value, dict) for value in rope.values()):
        raise ValueError(
            f"config.json has rotary parameters by kind of layer ({', '.join(rope)}); one set for "
            "all layers is supported: use another checkpoint."
        )
    theta = rope.get("rope_theta") or hf.get("rope_theta") or 10_000.0
    part = rope.get("partial_rotary_factor") or hf.get("partial_rotary_factor") or 1.0
    if part != 1.0:
        raise ValueError(f"partial_rotary_factor={part}: all of a head is rotated here (1.0).")
    kind = rope.get("type") or rope.get("rope_type") or PLAIN
    if kind == PLAIN:
        return float(theta), None
    if kind not in NEEDS:
        raise ValueError(
            f"rope type {kind!r} is not supported; use a checkpoint with one of {[PLAIN, *NEEDS]}."
        )
    original = (
        hf.get("original_max_position_embeddings")
        or rope.get("original_max_position_embeddings")
        or hf.get("max_position_embeddings")
    )
    if kind == "yarn" and not rope.get("factor") and original and "factor" in rope:
        rope = rope | {"factor": hf.get("max_position_embeddings", original) / original}
    missing = [name for name in NEEDS[kind] if rope.get(name) is None]
    missing += [] if original or kind == "linear" else ["original_max_position_embeddings"]
    if missing:
        raise ValueError(f"rope type {kind!r} has no {missing}; use a complete config.json.")
    made = Scaling(kind, float(rope["factor"]), int(original or 0) if kind != "linear" else 0)
    if kind == "llama3":
        if not rope["low_freq_factor"] < rope["high_freq_factor"]:
            raise ValueError(
                f"rope type 'llama3' with low_freq_factor={rope['low_freq_factor']} and "
                f"high_freq_factor={rope['high_freq_factor']}: the second must be above the first."
            )
        made = dataclasses.replace(
            made,
            low_freq_factor=float(rope["low_freq_factor"]),
            high_freq_factor=float(rope["high_freq_factor"]),
        )
    if kind == "yarn":
        made = dataclasses.replace(
            made,
            attention_factor=_attention_factor(rope),
            beta_fast=float(rope.get("beta_fast") or 32),
            beta_slow=float(rope.get("beta_slow") or 1),
            truncate=bool(rope.get("truncate", True)),
        )
    return float(theta), made


def _attention_factor(rope: dict[str, Any]) -> float:
    """Of cos and sin: as given, or YaRN's own by how far it stretches."""
    given, factor = rope.get("attention_factor"), float(rope["factor"])
    if given is not None:
        return float(given)

    def scale(by: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * by * math.log(factor) + 1.0

    over, under = rope.get("mscale"), rope.get("mscale_all_dim")
    return scale(over) / scale(under) if over and under else scale(1.0)


def to_hf(theta: float, scaling: Scaling | None) -> dict[str, Any]:
    """The keys of config.json that transformers 4 reads, and those that 5 reads."""
    if scaling is None:
        plain = {"rope_type": PLAIN, "rope_theta": theta}
        return {"rope_theta": theta, "rope_parameters": plain}
    made = {"rope_type": scaling.rope_type, "factor": scaling.factor}
    if scaling.rope_type != "linear":
        made["original_max_position_embeddings"] = scaling.original
    if scaling.rope_type == "llama3":
        made |= {
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
        }
    if scaling.rope_type == "yarn":
        names = ("attention_factor", "beta_fast", "beta_slow", "truncate")
        made |= {name: getattr(scaling, name) for name in names}
    both = {"rope_scaling": made, "rope_parameters": {**made, "rope_theta": theta}}
    return {"rope_theta": theta, **both}


def frequencies(
    head_dim: int, theta: float, scaling: Scaling | None
) -> tuple[Float[Array, " z2"], float]:
    """Radians a position of each pair of dimensions, float32; and what cos and sin are times."""
    frequency = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    if scaling is None:
        return frequency, 1.0
    slow = frequency / scaling.factor
    if scaling.rope_type == "linear":
        return slow, 1.0
    if scaling.rope_type == "llama3":
        kept = _kept_by_llama3(frequency, scaling)
    else:
        kept = _kept_by_yarn(head_dim, theta, scaling)
    return slow * (1 - kept) + frequency * kept, scaling.attention_factor


def _kept_by_llama3(frequency: Array, scaling: Scaling) -> Array:
    """Share of each frequency that stays: 1 where it turns often in the original length."""
    turns = scaling.original * frequency / (2 * math.pi)
    span = scaling.high_freq_factor - scaling.low_freq_factor
    return jnp.clip((turns - scaling.low_freq_factor) / span, 0, 1)


def _kept_by_yarn(head_dim: int, theta: float, scaling: Scaling) -> Array:
    """The same of YaRN (arXiv 2309.00071, section 3.2): a ramp over the pairs of dimensions."""

    def pair(turns: float) -> float:
        """The pair, counted in dimensions, that turns so often in the original length."""
        wave = scaling.original / (turns * 2 * math.pi)
        return head_dim * math.log(wave) / (2 * math.log(theta))

    first, last = pair(scaling.beta_fast), pair(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_dim - 1)
    span = last - first or 0.001
    return 1 - jnp.clip((jnp.arange(head_dim // 2, dtype=jnp.float32) - first) / span, 0, 1)
