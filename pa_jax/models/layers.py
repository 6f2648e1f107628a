"""RMSNorm and rotary embedding."""

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core.typing import Array, Float, Int
from pa_jax.models import rope


def rms_norm(x: Float[Array, "*b d"], scale: Float[Array, " d"], eps: float) -> Array:
    """x / rms(x) * scale, the mean of squares in float32."""
    x32 = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(jnp.mean(x32 * x32, axis=-1, keepdims=True) + eps)
    return (x32 * inverse).astype(x.dtype) * scale


def rotary_tables(
    position_nt: Int[Array | np.ndarray, "n t"],
    head_dim: int,
    theta: float,
    scaling: rope.Scaling | None = None,
) -> tuple[Float[Array, "n t z2"], Float[Array, "n t z2"]]:
    """cos and sin of every position and frequency, float32; z2 = head_dim / 2."""
    frequency, times = rope.frequencies(head_dim, theta, scaling)
    angle = position_nt[..., None].astype(jnp.float32) * frequency
    if times == 1.0:
        return jnp.cos(angle), jnp.sin(angle)
    return jnp.cos(angle) * times, jnp.sin(angle) * times


def rotate(x_nthz: Float[Array, "n t h z"], cos: Array, sin: Array) -> Float[Array, "n t h z"]:
    """Rotary embedding of the halves (x1, x2) as Hugging Face checkpoints store them."""
    x1, x2 = jnp.split(x_nthz.astype(jnp.float32), 2, axis=-1)
    cos, sin = cos[:, :, None, :], sin[:, :, None, :]
    return jnp.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], axis=-1).astype(x_nthz.dtype)
