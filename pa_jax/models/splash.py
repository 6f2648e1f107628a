"""Tree attention by the Splash kernel that ships with JAX: the tree is a mask computed per block.

Padding goes in as segment ids (1 real, 0 not). Under a mesh set by `jax.set_mesh` the kernel runs
in a shard_map: rows over the data axes, heads over tp.
"""

import functools

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernel
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks
from jax.sharding import PartitionSpec

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float
from pa_jax.models import tree

LANES = 128  # the kernel's tile: sequences are padded to multiples of it


class TreeMask(masks._ComputableMask):  # the only mask class that takes a function
    """Splash's view of `tree.visible`; equal specs compare equal, so kernels are shared."""

    def __init__(self, spec: tree.TreeSpec, slots: int) -> None:
        self.spec = spec
        super().__init__((slots, slots), functools.partial(tree.visible, spec))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeMask) and (self.spec, self.shape) == (other.spec, other.shape)

    def __hash__(self) -> int:
        return hash((TreeMask, self.spec, self.shape))


def block(slots: int) -> int:
    """Side of the kernel's blocks: the largest that divides the padded sequence."""
    return max(b for b in (512, 384, 256, 128) if slots % b == 0)


def _kernel(spec: tree.TreeSpec, slots: int, heads: int, interpret: bool):
    side = block(slots)
    sizes = kernel.BlockSizes(
        block_q=side,
        block_kv=side,
        block_q_dkv=side,
        block_kv_dkv=side,
        block_kv_dkv_compute=side,
        block_q_dq=side,
        block_kv_dq=side,
    )
    return kernel.make_splash_mha(
        masks.MultiHeadMask([TreeMask(spec, slots)] * heads),
        block_sizes=sizes,
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )


def attend(
    q_nthz: Float[Array, "n t h z"],
    k_ntkz: Float[Array, "n t k z"],
    v_ntkz: Float[Array, "n t k z"],
    spec: tree.TreeSpec,
    lens: tree.TreeLengths,
    *,
    interpret: bool = False,
) -> Float[Array, "n t h z"]:
    """As attention.tree_attention; `interpret` runs the kernel's semantics without a TPU."""
    n, t, _, z = q_nthz.shape
    slots = -(-t // LANES) * LANES
    pad = ((0, 0), (0, slots - t))
    segment_nt = jnp.pad(tree.real(spec, lens).astype(jnp.int32), pad)
    q, k, v = (
        jnp.moveaxis(jnp.pad(x, (*pad, (0, 0), (0, 0))), 2, 1)
        for x in (q_nthz * z**-0.5, k_ntkz, v_ntkz)
    )

    def local(q_nhtz, k_nktz, v_nktz, segment_nt):
        run = _kernel(spec, slots, q_nhtz.shape[1], interpret)
        each = jax.vmap(lambda q, k, v, s: run(q, k, v, segment_ids=kernel.SegmentIds(s, s)))
        return each(q_nhtz, k_nktz, v_nktz, segment_nt)

    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.empty:
        # Queries and their grouped keys are cut alike, or not at all.
        heads = sharding.activation_spec(("rows", "kv_heads", None, None), k.shape, mesh)
        rows = PartitionSpec(heads[0])
        local = jax.shard_map(
            local, mesh=mesh, in_specs=(heads, heads, heads, rows), out_specs=heads, check_vma=False
        )
    return jnp.moveaxis(local(q, k, v, segment_nt), 1, 2)[:, :t].astype(v_ntkz.dtype)
