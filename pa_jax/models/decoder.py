"""One decoder for Llama, Qwen2/2.5, Qwen3 and Qwen3-MoE checkpoints, as a Flax NNX module.

Block parameters are stacked over layers (first axis) and the blocks run by `jax.lax.scan`. How
tokens attend is the caller's: a function `attend(q, k, v, layer, carry) -> (output, kept, carry)`
of one layer, so that training, prefill and decode run the same block code.
Every parameter names its logical axes in its `axes` metadata; core/sharding maps them to a mesh.
A module may hold int8 weights with their scales (quant.py) and low-rank adapters (lora.py).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array, DTypeLike, Float, Int, Key
from pa_jax.models import attention, layers, moe, precision
from pa_jax.models.config import DecoderConfig

REMAT = {  # what a training step keeps of each layer's forward pass
    "none": None,
    "full": jax.checkpoint_policies.nothing_saveable,
    # products and attention; all that lies between them is cheaper than its way to memory and back
    "dots": jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        jax.checkpoint_policies.save_only_these_names(attention.SAVED, precision.SAVED),
    ),
}

PROJECTIONS = {  # a layer's matrices -> how many of their leading axes a product sums over
    "wq": 1,
    "wk": 1,
    "wv": 1,
    "wo": 2,
    "w_gate": 1,
    "w_up": 1,
    "w_down": 1,
}

Attend = Callable[[Array, Array, Array, Any, Any], tuple[Array, Any, Any]]


class Pass(NamedTuple):
    """What a pass through the blocks gives.

    hidden  final-norm hidden states
    kept    what `attend` kept of each layer, stacked
    carry   what `attend` handed on from layer to layer
    load    [layers, experts] choices that fell on each expert; no experts, no columns
    """

    hidden: Float[Array, "n t d"]
    kept: Any
    carry: Any
    load: Int[Array, "l e"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """What all rows follow, computed before: keys and values of all layers, padded behind.

    One row for all of them, or a copy a row.
    """

    kv: tuple[Float[Array, "l r s k z"], Float[Array, "l r s k z"]]
    length: Int[Array, ""]


class _Maker:
    """Draws parameters in order from one key, normal with the given scale.

    dtype  of all, or MIXED: of matrices bfloat16, of norms, biases and router float32
    """

    def __init__(self, key: Key[Array, ""], dtype: DTypeLike) -> None:
        self.key, self.count = key, 0
        mixed = dtype == precision.MIXED
        self.of_matrices: DTypeLike = precision.DTYPES[0] if mixed else dtype
        self.of_small: DTypeLike = precision.DTYPES[1] if mixed else dtype

    def normal(
        self,
        shape: tuple[int, ...],
        fan_in: int,
        axes: tuple[str | None, ...],
        *,
        small: bool = False,
    ) -> nnx.Param[Array]:
        self.count += 1
        key = jax.random.fold_in(self.key, self.count)
        value = jax.random.normal(key, shape, jnp.float32) * fan_in**-0.5
        return nnx.Param(value.astype(self.of_small if small else self.of_matrices), axes=axes)

    def constant(
        self, shape: tuple[int, ...], value: float, axes: tuple[str | None, ...]
    ) -> nnx.Param[Array]:
        return nnx.Param(jnp.full(shape, value, self.of_small), axes=axes)


class Block(nnx.Module):
    """Pre-norm attention and SwiGLU MLP (or experts); built for all layers, called on one.

    scales      name -> scale of each output channel, for the weights that are int8
    lora        name -> {a, b}, for the weights that have adapters
    lora_rows   {on}: [layers, rows], 1 where adapters count; empty: everywhere (lora.on_rows)
    """

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
            self.router = make.normal((n, d, e), d, ("layers", "embed", None), small=True)
            up, down = ("layers", "experts", "embed", "mlp"), ("layers", "experts", "mlp", "embed")
            self.w_gate = make.normal((n, e, d, f), d, up)
            self.w_up = make.normal((n, e, d, f), d, up)
            self.w_down = make.normal((n, e, f, d), f, down)
        else:
            self.w_gate = make.normal((n, d, f), d, ("layers", "embed", "mlp"))
            self.w_up = make.normal((n, d, f), d, ("layers", "embed", "mlp"))
            self.w_down = make.normal((n, f, d), f, ("layers", "mlp", "embed"))
        self.scales: nnx.Dict[Any] = nnx.Dict()
        self.lora: nnx.Dict[Any] = nnx.Dict()
        self.lora_rows: nnx.Dict[Any] = nnx.Dict()
        self.lora_alpha = 0.0

    def __call__(
        self,
        x_ntd: Array,
        rotary: tuple[Array, Array],
        attend: Callable[[Array, Array, Array], tuple[Array, Any, Any]],
    ) -> tuple[Array, Array, Any, Any]:
        """Next residual stream, the experts' load, and what else `attend(q, k, v)` returned."""
        cfg = self.cfg
        y = layers.rms_norm(x_ntd, self.attention_norm[...], cfg.norm_eps)
        q, k, v = self._project(y, "wq"), self._project(y, "wk"), self._project(y, "wv")
        if cfg.qkv_bias:
            q, k, v = q + self.bq[...], k + self.bk[...], v + self.bv[...]
        if cfg.qk_norm:
            q = layers.rms_norm(q, self.q_norm[...], cfg.norm_eps)
            k = layers.rms_norm(k, self.k_norm[...], cfg.norm_eps)
        q, k = layers.rotate(q, *rotary), layers.rotate(k, *rotary)
        o, kept, carry = attend(q, k, v)
        x_ntd = x_ntd + self._project(o, "wo")
        y = layers.rms_norm(x_ntd, self.mlp_norm[...], cfg.norm_eps)
        y, load = self._experts(y) if cfg.experts else (self._mlp(y), jnp.zeros((0,), jnp.int32))
        return x_ntd + y, load, kept, carry

    def _project(self, x: Array, name: str) -> Array:
        """x times the weight of that name, with its scale and its adapters where it has them.

        Tokens are one axis here: the gradient of a product over rows and time contracts two axes,
        which takes a CPU half as long again.
        """
        inputs, weight = PROJECTIONS[name], precision.matrix(getattr(self, name)[...])
        lead, outputs = x.shape[: x.ndim - inputs], weight.shape[inputs:]
        x = x.reshape(math.prod(lead), -1)

        def times(x: Array, w: Array, dtype: DTypeLike | None) -> Array:
            w = w.reshape(x.shape[-1], -1)
            if precision.is_narrower(w, x):
                return precision.product(x, w)
            return jnp.dot(x, w, preferred_element_type=dtype)

        if name in self.scales:
            y = times(x, weight.astype(x.dtype), jnp.float32) * self.scales[name][...].reshape(-1)
            y = y.astype(x.dtype)
        else:
            y = times(x, weight, None)
        if name in self.lora:
            a, b = (self.lora[name][part][...].astype(x.dtype) for part in "ab")
            low = times(x, a, None)
            if self.lora_rows:  # tokens of a row follow each other
                on = self.lora_rows["on"][...].astype(x.dtype)
                low = low * jnp.repeat(on, len(low) // len(on))[:, None]
            y = y + self.lora_alpha / a.shape[-1] * times(low, b, None)
        return y.reshape(*lead, *outputs)

    def _mlp(self, y_ntd: Array) -> Array:
        gate, up = self._project(y_ntd, "w_gate"), self._project(y_ntd, "w_up")
        return self._project(jax.nn.silu(gate) * up, "w_down")

    def _experts(self, y_ntd: Array) -> tuple[Array, Array]:
        cfg, names = self.cfg, ("w_gate", "w_up", "w_down")
        gate, up, down = (precision.matrix(getattr(self, name)[...]) for name in names)
        return moe.mixture(
            y_ntd,
            self.router[...],
            (gate, up, down),
            tuple(self.scales[name][...] for name in names) if self.scales else None,
            top=cfg.experts_per_token,
            normalise=cfg.norm_topk,
        )


class Decoder(nnx.Module):
    """Token ids to hidden states; logits are a separate call, on as few positions as needed."""

    def __init__(
        self, cfg: DecoderConfig, *, key: Key[Array, ""], dtype: DTypeLike, attention: str
    ) -> None:
        make = _Maker(key, dtype)
        self.cfg = cfg
        self.attention = attention
        self.embed = make.normal((cfg.vocab, cfg.width), cfg.width, ("vocab", "embed"))
        self.blocks = Block(cfg, make)
        self.final_norm = make.constant((cfg.width,), 1.0, ("norm",))
        if not cfg.tied:
            self.head = make.normal((cfg.width, cfg.vocab), cfg.width, ("embed", "vocab"))
        self.scales: nnx.Dict[Any] = nnx.Dict()  # as in Block, of embed and head

    def hidden(
        self,
        ids_nt: Int[Array | np.ndarray, "n t"],
        position_nt: Int[Array | np.ndarray, "n t"],
        attend: Attend,
        *,
        per_layer: Any = None,
        carry: Any = None,
        remat: str = "none",
        blocks: Sequence[nnx.State] | None = None,
    ) -> Pass:
        """All blocks, one after the other.

        `per_layer` is stacked over layers and handed to `attend` slice by slice; `carry` goes from
        layer to layer. With `blocks` (of `apart`) the layers are written out instead of scanned,
        and `per_layer` is a list.
        """
        if remat not in REMAT:
            raise ValueError(f"remat={remat!r}: choose one of {sorted(REMAT)}.")
        cfg = self.cfg
        rotary = layers.rotary_tables(position_nt, cfg.head_dim, cfg.rope_theta, cfg.rope_scaling)
        graph, state = nnx.split(self.blocks)

        def layer(
            x_and_carry: tuple[Array, Any], this: tuple[nnx.State, Any]
        ) -> tuple[tuple[Array, Any], tuple[Any, Array]]:
            (x_ntd, carry), (layer_state, layer_input) = x_and_carry, this
            block = nnx.merge(graph, sharding.gathered(layer_state))
            x_ntd = sharding.constrain(x_ntd, "rows", None, None)
            x_ntd, load, kept, carry = block(
                x_ntd, rotary, lambda q, k, v: attend(q, k, v, layer_input, carry)
            )
            return (x_ntd, carry), (kept, load)

        if remat != "none":
            layer = jax.checkpoint(layer, policy=REMAT[remat], prevent_cse=False)
        start = sharding.constrain(self._embedded(ids_nt), "rows", None, None), carry
        if blocks is None:
            (x_ntd, carry), (kept, load) = jax.lax.scan(layer, start, (state, per_layer))
        else:
            made, (x_ntd, carry) = [], start
            for this in zip(blocks, per_layer, strict=True):
                (x_ntd, carry), one = layer((x_ntd, carry), this)
                made.append(one)
            kept, load = jax.tree.map(lambda *each: jnp.stack(each), *made)
        hidden = layers.rms_norm(x_ntd, self.final_norm[...], self.cfg.norm_eps)
        return Pass(hidden, kept, carry, load)

    def apart(self) -> list[nnx.State]:
        """The blocks' parameters, a state a layer: copies, for loops that pass them many times."""
        state = nnx.state(self.blocks)

        def of(layer: int) -> nnx.State:
            return jax.tree.map(lambda x: precision.matrix(x[layer]), state)

        return [of(layer) for layer in range(self.cfg.layers)]

    def on_rows(
        self,
        ids_nt: Int[Array | np.ndarray, "n t"],
        end_nt: Int[Array | np.ndarray, "n t"],
        position_nt: Int[Array | np.ndarray, "n t"],
        *,
        context: Context | None = None,
        remat: str = "none",
        keep: bool = False,
    ) -> Pass:
        """A forest's rows (infer/forest.py), every token seeing its own path, and the context.

        `keep` has the keys and values of all layers kept: ([l, n, t, k, z], the same).
        """
        if context is None:
            end_ns, per_layer = end_nt, None
        else:
            n, before = ids_nt.shape[0], context.kv[0].shape[2]
            real = jnp.arange(before) < context.length  # padding of the context ends before all
            first = jnp.where(real, before + ids_nt.shape[1], 0)
            end_ns = jnp.concatenate([jnp.broadcast_to(first, (n, before)), before + end_nt], 1)
            per_layer, position_nt = context.kv, position_nt + context.length

        def attend(
            q: Array, k: Array, v: Array, before: tuple[Array, Array] | None, carry: None
        ) -> tuple[Array, tuple[Array, Array] | None, None]:
            own = (k, v)
            if before is not None:
                rows = (jnp.broadcast_to(x, (k.shape[0], *x.shape[1:])) for x in before)
                k, v = (jnp.concatenate(pair, 1) for pair in zip(rows, (k, v), strict=True))
            o = attention.forest_attention(q, k, v, end_ns, impl=self.attention)
            return o, own if keep else None, carry

        return self.hidden(ids_nt, position_nt, attend, per_layer=per_layer, remat=remat)

    def _embedded(self, ids_nt: Int[Array | np.ndarray, "n t"]) -> Float[Array, "n t d"]:
        x = precision.matrix(self.embed[...][ids_nt])
        if "embed" in self.scales:
            x = x * self.scales["embed"][...][ids_nt][..., None]
        return x.astype(self.final_norm[...].dtype)  # activations are of the norms' dtype

    def output(self) -> tuple[Array, Array | None]:
        """The output projection, [v, d] where it is the embedding, else [d, v].

        And the scale of each token where it is int8. On a mesh it is cut by vocabulary over tp and
        brought together over the data axes.
        """
        if self.cfg.tied:
            embed = precision.matrix(self.embed[...])
            name, weight = "embed", sharding.constrain(embed, "vocab", None)
        else:
            name, weight = "head", sharding.constrain(self.head[...], None, "vocab")
        if name not in self.scales:
            return weight, None
        return weight, sharding.constrain(self.scales[name][...], "vocab")

    def logits(
        self, hidden: Float[Array, "*b d"], output: tuple[Array, Array | None] | None = None
    ) -> Float[Array, "*b v"]:
        """Float32 logits of the given hidden states, whose first axis is cut by rows.

        `output` is what `output()` gave, for those who ask more than once.
        """
        return project(hidden, output or self.output(), tied=self.cfg.tied)


def project(
    hidden: Float[Array, "*b d"], output: tuple[Array, Array | None], *, tied: bool
) -> Float[Array, "*b v"]:
    """Float32 logits of hidden states; `output` as of Decoder.output."""
    weight, scale = output
    if scale is not None:
        weight = weight.astype(hidden.dtype)
    if precision.is_narrower(weight, hidden):
        logits = precision.product(hidden, weight, along=int(tied))
    else:
        spelled = "...d,vd->...v" if tied else "...d,dv->...v"
        logits = jnp.einsum(spelled, hidden, weight, preferred_element_type=jnp.float32)
    if scale is not None:
        logits = logits * scale
    if logits.ndim > 1:
        logits = sharding.constrain(logits, "rows", *[None] * (logits.ndim - 2), "vocab")
    return logits


def abstract(cfg: DecoderConfig, *, dtype: DTypeLike, attention: str = "blocks") -> Decoder:
    """The module with shapes in place of arrays: for loading, sharding and planning."""
    return nnx.eval_shape(
        lambda: Decoder(cfg, key=jax.random.key(0), dtype=dtype, attention=attention)
    )
