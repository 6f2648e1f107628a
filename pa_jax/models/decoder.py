"""One decoder for Llama, Qwen2/2.5, Qwen3 and Qwen3-MoE checkpoints, as a Flax NNX module.

Block parameters are stacked over layers (first axis) and the blocks run by `jax.lax.scan`. How
tokens attend is the caller's: a function `attend(q, k, v, layer, carry) -> (output, kept, carry)`
of one layer, so that training, prefill and decode run the same block code.
Every parameter names its logical axes in its `axes` metadata; core/sharding maps them to a mesh.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int, Key
from pa_jax.models import attention, layers, moe, tree
from pa_jax.models.config import DecoderConfig

REMAT = {  # what a training step keeps of each layer's forward pass
    "none": None,
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}

Attend = Callable[[Array, Array, Array, Any, Any], tuple[Array, Any, Any]]


class _Maker:
    """Draws parameters in order from one key, normal with the given scale."""

    def __init__(self, key: Key[Array, ""], dtype) -> None:
        self.key, self.count, self.dtype = key, 0, dtype

    def normal(self, shape: tuple[int, ...], fan_in: int, axes: tuple[str | None, ...]):
        self.count += 1
        key = jax.random.fold_in(self.key, self.count)
        value = jax.random.normal(key, shape, jnp.float32) * fan_in**-0.5
        return nnx.Param(value.astype(self.dtype), axes=axes)

    def constant(self, shape: tuple[int, ...], value: float, axes: tuple[str | None, ...]):
        return nnx.Param(jnp.full(shape, value, self.dtype), axes=axes)


class Block(nnx.Module):
    """Pre-norm attention and SwiGLU MLP (or experts); built for all layers, called on one."""

    def __init__(self, cfg: DecoderConfig, make: _Maker) -> None:
        d, f, z, n = cfg.width, cfg.mlp, cfg.head_dim, cfg.layers
        h, k = cfg.heads, cfg.kv_heads
        self.cfg = cfg
        self.attention_norm = make.constant((n, d), 1.0, ("layers", "norm"))
        self.wq = make.normal((n, d, h, z), d, ("layers", "embed", "heads", "head_dim"))
        self.wk = make.normal((n, d, k, z), d, ("layers", "embed", "kv_heads", "head_dim"))
        self.wv = make.normal((n, d, k, z), d, ("layers", "embed", "kv_heads", "head_dim"))
        self.wo = make.normal((n, h, z, d), h * z, ("layers", "heads", "head_dim", "embed"))
        if cfg.qkv_bias:
            self.bq = make.constant((n, h, z), 0.0, ("layers", "heads", "head_dim"))
            self.bk = make.constant((n, k, z), 0.0, ("layers", "kv_heads", "head_dim"))
            self.bv = make.constant((n, k, z), 0.0, ("layers", "kv_heads", "head_dim"))
        if cfg.qk_norm:
            self.q_norm = make.constant((n, z), 1.0, ("layers", "norm"))
            self.k_norm = make.constant((n, z), 1.0, ("layers", "norm"))
        self.mlp_norm = make.constant((n, d), 1.0, ("layers", "norm"))
        e = cfg.experts
        if e:
            self.router = make.normal((n, d, e), d, ("layers", "embed", None))
            up, down = ("layers", "experts", "embed", "mlp"), ("layers", "experts", "mlp", "embed")
            self.w_gate = make.normal((n, e, d, f), d, up)
            self.w_up = make.normal((n, e, d, f), d, up)
            self.w_down = make.normal((n, e, f, d), f, down)
        else:
            self.w_gate = make.normal((n, d, f), d, ("layers", "embed", "mlp"))
            self.w_up = make.normal((n, d, f), d, ("layers", "embed", "mlp"))
            self.w_down = make.normal((n, f, d), f, ("layers", "mlp", "embed"))

    def __call__(self, x_ntd: Array, rotary: tuple[Array, Array], attend: Callable):
        """Next residual stream, and whatever else `attend(q, k, v)` returned."""
        cfg = self.cfg
        y = layers.rms_norm(x_ntd, self.attention_norm[...], cfg.norm_eps)
        q = jnp.einsum("ntd,dhz->nthz", y, self.wq[...])
        k = jnp.einsum("ntd,dkz->ntkz", y, self.wk[...])
        v = jnp.einsum("ntd,dkz->ntkz", y, self.wv[...])
        if cfg.qkv_bias:
            q, k, v = q + self.bq[...], k + self.bk[...], v + self.bv[...]
        if cfg.qk_norm:
            q = layers.rms_norm(q, self.q_norm[...], cfg.norm_eps)
            k = layers.rms_norm(k, self.k_norm[...], cfg.norm_eps)
        q, k = layers.rotate(q, *rotary), layers.rotate(k, *rotary)
        o, *rest = attend(q, k, v)
        x_ntd = x_ntd + jnp.einsum("nthz,hzd->ntd", o, self.wo[...])
        y = layers.rms_norm(x_ntd, self.mlp_norm[...], cfg.norm_eps)
        return x_ntd + (self._experts(y) if cfg.experts else self._mlp(y)), *rest

    def _mlp(self, y_ntd: Array) -> Array:
        gate = jnp.einsum("ntd,df->ntf", y_ntd, self.w_gate[...])
        up = jnp.einsum("ntd,df->ntf", y_ntd, self.w_up[...])
        return jnp.einsum("ntf,fd->ntd", jax.nn.silu(gate) * up, self.w_down[...])

    def _experts(self, y_ntd: Array) -> Array:
        cfg, stacks = self.cfg, (self.w_gate[...], self.w_up[...], self.w_down[...])
        return moe.mixture(
            y_ntd,
            self.router[...],
            stacks,
            top=cfg.experts_per_token,
            normalise=cfg.norm_topk,
        )


class Decoder(nnx.Module):
    """Token ids to hidden states; logits are a separate call, on as few positions as needed."""

    def __init__(self, cfg: DecoderConfig, *, key: Key[Array, ""], dtype, attention: str) -> None:
        make = _Maker(key, dtype)
        self.cfg = cfg
        self.attention = attention
        self.embed = make.normal((cfg.vocab, cfg.width), cfg.width, ("vocab", "embed"))
        self.blocks = Block(cfg, make)
        self.final_norm = make.constant((cfg.width,), 1.0, ("norm",))
        if not cfg.tied:
            self.head = make.normal((cfg.width, cfg.vocab), cfg.width, ("embed", "vocab"))

    def hidden(
        self,
        ids_nt: Int[Array, "n t"],
        position_nt: Int[Array, "n t"],
        attend: Attend,
        *,
        per_layer: Any = None,
        carry: Any = None,
        remat: str = "none",
    ) -> tuple[Float[Array, "n t d"], Any, Any]:
        """Final-norm hidden states, what `attend` kept of each layer (stacked), and its carry.

        `per_layer` is stacked over layers and handed to `attend` slice by slice; `carry` goes from
        layer to layer.
        """
        if remat not in REMAT:
            raise ValueError(f"remat={remat!r}: choose one of {sorted(REMAT)}.")
        rotary = layers.rotary_tables(position_nt, self.cfg.head_dim, self.cfg.rope_theta)
        graph, state = nnx.split(self.blocks)

        def layer(x_and_carry, this):
            (x_ntd, carry), (layer_state, layer_input) = x_and_carry, this
            block = nnx.merge(graph, layer_state)
            x_ntd = sharding.constrain(x_ntd, "rows", None, None)
            x_ntd, kept, carry = block(
                x_ntd, rotary, lambda q, k, v: attend(q, k, v, layer_input, carry)
            )
            return (x_ntd, carry), kept

        if remat != "none":
            layer = jax.checkpoint(layer, policy=REMAT[remat], prevent_cse=False)
        start = sharding.constrain(self.embed[...][ids_nt], "rows", None, None), carry
        (x_ntd, carry), kept = jax.lax.scan(layer, start, (state, per_layer))
        return layers.rms_norm(x_ntd, self.final_norm[...], self.cfg.norm_eps), kept, carry

    def on_tree(
        self,
        ids_nt: Int[Array, "n t"],
        spec: tree.TreeSpec,
        lens: tree.TreeLengths,
        *,
        remat: str = "none",
    ) -> Float[Array, "n t d"]:
        """Hidden states of whole trees, every slot seeing its own path only."""

        def attend(q, k, v, layer, carry):
            o = attention.tree_attention(q, k, v, spec=spec, lens=lens, impl=self.attention)
            return o, layer, carry

        return self.hidden(ids_nt, tree.positions(spec, lens), attend, remat=remat)[0]

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Float32 logits of the given hidden states."""
        if self.cfg.tied:
            weight = sharding.constrain(self.embed[...], "all_vocab", None)
            spelled = "...d,vd->...v"
        else:
            weight = sharding.constrain(self.head[...], None, "all_vocab")
            spelled = "...d,dv->...v"
        return jnp.einsum(spelled, hidden, weight, preferred_element_type=jnp.float32)


def abstract(cfg: DecoderConfig, *, dtype, attention: str = "blocks") -> Decoder:
    """The module with shapes in place of arrays: for loading, sharding and planning."""
    return nnx.eval_shape(
        lambda: Decoder(cfg, key=jax.random.key(0), dtype=dtype, attention=attention)
    )
