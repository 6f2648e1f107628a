"""Log-probs of given tokens on trees, and label probabilities at leaves.

[tokens, vocabulary] is never materialised beyond a chunk: hidden states are gathered at the
predicting slots first, then go through the output projection CHUNK tokens at a time, in float32.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Bool, Float, Int
from pa_jax.infer import buckets
from pa_jax.models import decoder, tree

CHUNK = 512


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TreeIds:
    """Token ids of trees node by node, padding anywhere past the lengths."""

    trunk: Int[Array, "n p"]
    branch: Int[Array, "n g c"]
    leaf: Int[Array, "n g j q"]
    lens: tree.TreeLengths

    @property
    def spec(self) -> tree.TreeSpec:
        (_, g, c), (_, _, j, q) = self.branch.shape, self.leaf.shape
        return tree.TreeSpec(self.trunk.shape[1], g, c, j, q)

    def flat(self) -> Int[Array, "n t"]:
        return tree.join(self.spec, self.trunk, self.branch, self.leaf)

    def branch_real(self) -> Bool[Array, "n g c"]:
        return jnp.arange(self.branch.shape[2]) < self.lens.branch[..., None]

    def leaf_real(self) -> Bool[Array, "n g j q"]:
        return jnp.arange(self.leaf.shape[3]) < self.lens.leaf[..., None]


def token_logprobs(
    model: decoder.Decoder,
    hidden_nkd: Float[Array, "n k d"],
    token_nk: Int[Array, "n k"],
    real_nk: Bool[Array, "n k"],
    temperature: Float[Array, ""],
) -> tuple[Float[Array, "n k"], Float[Array, "n k"]]:
    """Log-prob of each token and entropy of its distribution, float32; 0 where not real.

    Real tokens are moved to the front and chunks without any are skipped, so padding costs no
    output projection. On a mesh that happens within the rows of each chip: no hidden state leaves
    it. The backward pass recomputes each chunk's logits.
    """
    n, k, d = hidden_nkd.shape
    parts = sharding.row_parts(n)
    each = n // parts * k
    chunk = min(CHUNK, each)
    chunks = -(-each // chunk)
    real = real_nk.reshape(parts, each)
    order = jnp.argsort(~real, axis=1, stable=True)

    def chunked(x):
        """[n, k, ...] as [chunks, parts, chunk, ...], real tokens first."""
        x = x.reshape(parts, each, *x.shape[2:])
        x = jnp.take_along_axis(x, order.reshape(parts, each, *[1] * (x.ndim - 2)), axis=1)
        x = jnp.pad(x, ((0, 0), (0, chunks * chunk - each), *[(0, 0)] * (x.ndim - 2)))
        x = x.reshape(parts, chunks, chunk, *x.shape[2:]).swapaxes(0, 1)
        return sharding.constrain(x, None, "rows", *[None] * (x.ndim - 2))

    hidden, token = chunked(hidden_nkd), chunked(token_nk)
    any_real = chunked(real_nk).any(axis=(1, 2))
    output = model.output()  # brought together once, not once a chunk

    def project(hidden, token):
        logits = model.logits(hidden, output) / temperature
        total = jax.nn.logsumexp(logits, axis=-1)
        logp = jnp.take_along_axis(logits, token[..., None], axis=-1)[..., 0] - total
        share = jax.lax.stop_gradient(jnp.exp(logits - total[..., None]))
        entropy = jax.lax.stop_gradient(total - jnp.sum(share * logits, axis=-1))
        return logp, entropy

    # Around the branch, not inside: what a branch keeps for the backward pass, the output weights
    # among it, would be kept once a chunk.
    @jax.checkpoint
    def projected(hidden, token, some):
        nothing = jnp.zeros((parts, chunk)), jnp.zeros((parts, chunk))
        return jax.lax.cond(some, project, lambda *_: nothing, hidden, token)

    def one(_, this):
        return None, projected(*this)

    _, found = jax.lax.scan(one, None, (hidden, token, any_real))
    back = jnp.argsort(order, axis=1)

    def restored(x):
        x = jnp.take_along_axis(x.swapaxes(0, 1).reshape(parts, -1)[:, :each], back, axis=1)
        return jnp.where(real_nk, x.reshape(n, k), 0.0)

    logp, entropy = found
    return restored(logp), restored(entropy)


def branch_logprobs(
    model: decoder.Decoder, trees: TreeIds, temperature: Float[Array, ""], *, remat: str = "none"
) -> tuple[Float[Array, "n g c"], Float[Array, "n g c"]]:
    """Log-probs and entropies of branch tokens given their trunk: 0 on padding."""
    spec = trees.spec
    hidden_ntd = model.on_tree(trees.flat(), spec, trees.lens, remat=remat)
    at_ngc = tree.branch_predictors(spec, trees.lens)
    return _gathered(model, hidden_ntd, at_ngc, trees.branch, trees.branch_real(), temperature)


def node_logprobs(
    model: decoder.Decoder, trees: TreeIds, temperature: Float[Array, ""]
) -> tuple[Float[Array, "n g c"], Float[Array, "n g j q"], Int[Array, "l e"]]:
    """Log-probs of branch tokens given their trunk, and of leaf tokens given both: one forward.

    And the experts' load.
    """
    spec, lens = trees.spec, trees.lens
    passed = model.routed(trees.flat(), spec, lens)
    hidden_ntd = passed.hidden
    at = tree.branch_predictors(spec, lens)
    branch, _ = _gathered(model, hidden_ntd, at, trees.branch, trees.branch_real(), temperature)
    if not spec.leaf_slots:
        return branch, jnp.zeros(trees.leaf.shape, jnp.float32), passed.load
    at = tree.leaf_predictors(spec, lens)
    leaf, _ = _gathered(model, hidden_ntd, at, trees.leaf, trees.leaf_real(), temperature)
    return branch, leaf, passed.load


def leaf_labels(
    model: decoder.Decoder, trees: TreeIds, label: Int[Array, " k"]
) -> tuple[Float[Array, "n g j k"], Int[Array, "l e"]]:
    """Log-probs of each label token right after every leaf, and the experts' load."""
    passed = model.routed(trees.flat(), trees.spec, trees.lens)
    at_ngj = tree.leaf_end(trees.spec, trees.lens)
    n, shape = at_ngj.shape[0], at_ngj.shape
    last = jnp.take_along_axis(passed.hidden, at_ngj.reshape(n, -1)[..., None], axis=1)
    logp = jax.nn.log_softmax(model.logits(last), axis=-1)
    return logp[..., label].reshape(*shape, -1), passed.load


def _gathered(model, hidden_ntd, at, token, real, temperature):
    n = hidden_ntd.shape[0]
    hidden_nkd = jnp.take_along_axis(hidden_ntd, at.reshape(n, -1)[..., None], axis=1)
    token_nk, real_nk = token.reshape(n, -1), real.reshape(n, -1)
    logp, entropy = token_logprobs(model, hidden_nkd, token_nk, real_nk, temperature)
    return logp.reshape(token.shape), entropy.reshape(token.shape)


@functools.partial(jax.jit, static_argnames=("graph",))
def scored(
    graph: nnx.GraphDef, state: nnx.State, trees: TreeIds, temperature: Float[Array, ""]
) -> Float[Array, "n g c"]:
    """Jitted branch log-probs under softmax(logits / temperature), as the sampler reports them."""
    return branch_logprobs(nnx.merge(graph, state), trees, temperature)[0]


@functools.partial(jax.jit, static_argnames=("graph",))
def labelled(
    graph: nnx.GraphDef, state: nnx.State, trees: TreeIds, label: Array
) -> tuple[Array, Array]:
    """Jitted `leaf_labels` of a model split into graph and state."""
    return leaf_labels(nnx.merge(graph, state), trees, label)


@functools.partial(jax.jit, static_argnames=("graph",))
def leaf_scored(graph: nnx.GraphDef, state: nnx.State, trees: TreeIds) -> Float[Array, "n g j q"]:
    """Jitted log-probs of leaf tokens given their trunk and branch: 0 on padding."""
    return node_logprobs(nnx.merge(graph, state), trees, jnp.float32(1.0))[1]


@functools.partial(jax.jit, static_argnames=("graph",))
def pooled(graph: nnx.GraphDef, state: nnx.State, trees: TreeIds) -> Float[Array, "n d"]:
    """The mean of a trunk's hidden states, float32: an embedding of its text."""
    spec = tree.TreeSpec(trees.trunk.shape[1])
    lens = tree.lengths(trees.lens.trunk)
    hidden = nnx.merge(graph, state).on_tree(trees.trunk, spec, lens).astype(jnp.float32)
    real = jnp.arange(spec.trunk) < lens.trunk[:, None]
    total = jnp.where(real[..., None], hidden, 0.0).sum(axis=1)
    return total / jnp.maximum(lens.trunk, 1)[:, None]


TRUNKS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
NODES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)


def pack(
    prompts: Sequence[Sequence[int]],
    branches: Sequence[Sequence[Sequence[int]]],
    leaves: Sequence[Sequence[Sequence[Sequence[int]]]] | None = None,
    *,
    rows: int | None = None,
    trunks: Sequence[int] = TRUNKS,
    nodes: Sequence[int] = NODES,
    leaf_nodes: Sequence[int] | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> TreeIds:
    """Trees of token-id lists as `padded` makes them, on the devices.

    On a mesh the rows are cut over its data axes; every process passes all of them.
    """
    ids, lengths = padded(
        prompts, branches, leaves, rows=rows, trunks=trunks, nodes=nodes, leaf_nodes=leaf_nodes
    )
    return placed(ids, lengths, mesh)


def padded(
    prompts: Sequence[Sequence[int]],
    branches: Sequence[Sequence[Sequence[int]]],
    leaves: Sequence[Sequence[Sequence[Sequence[int]]]] | None = None,
    *,
    rows: int | None = None,
    trunks: Sequence[int] = TRUNKS,
    nodes: Sequence[int] = NODES,
    leaf_nodes: Sequence[int] | None = None,
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Ids and lengths of trunks, branches, leaves: smallest buckets, `rows` rows where given.

    Branches are padded to `nodes`, leaves to `leaf_nodes` (None: to `nodes`, too).

    branches[i] are prompt i's; leaves[i][g] are branch g's. Missing nodes have length 0.
    """
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("an empty prompt: a trunk needs at least one token (a BOS or a newline).")
    n = rows or len(prompts)
    g = max(len(row) for row in branches)
    p = buckets.fit(max(map(len, prompts)), trunks, what="prompt")
    c = buckets.fit(max((len(b) for row in branches for b in row), default=1), nodes, what="branch")
    trunk, trunk_len = buckets.pad_rows([*prompts, *[[0]] * (n - len(prompts))], p)
    branch, branch_len = np.zeros((n, g, c), np.int32), np.zeros((n, g), np.int32)
    for i, row in enumerate(branches):
        branch[i, : len(row)], branch_len[i, : len(row)] = buckets.pad_rows(row, c)
    j = max((len(b) for row in leaves for b in row), default=0) if leaves else 0
    q = 0
    if j:
        longest = max(len(leaf) for row in leaves for b in row for leaf in b)
        q = buckets.fit(longest, leaf_nodes or nodes, what="leaf")
    leaf, leaf_len = np.zeros((n, g, j, q), np.int32), np.zeros((n, g, j), np.int32)
    for i, row in enumerate(leaves or ()):
        for k, b in enumerate(row):
            if b:
                leaf[i, k, : len(b)], leaf_len[i, k, : len(b)] = buckets.pad_rows(b, q)
    return (trunk, branch, leaf), (trunk_len, branch_len, leaf_len)


def placed(
    ids: Sequence[np.ndarray], lengths: Sequence[np.ndarray], mesh: jax.sharding.Mesh | None
) -> TreeIds:
    """TreeIds of host arrays (trunk, branch, leaf ids and lengths), rows cut over the mesh."""
    trunk, branch, leaf, *lens = (sharding.put(x, mesh, "rows") for x in (*ids, *lengths))
    return TreeIds(trunk, branch, leaf, tree.TreeLengths(*lens))


def logprobs(
    model,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[Sequence[int]]],
    *,
    rows: int = 4,
) -> list[list[np.ndarray]]:
    """One float32 log-prob a completion token; a prompt's completions share its computation.

    `model` is a LoadedModel. Prompts go `rows` at a time, those of like lengths together.
    """
    graph, state = nnx.split(model.module)
    out: list[list[np.ndarray]] = [[] for _ in prompts]
    longest = [max(map(len, row), default=0) for row in completions]
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), longest[i]))
    order = [i for i in order if completions[i]]
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        trees = pack([prompts[i] for i in chosen], [completions[i] for i in chosen], rows=rows)
        logp = np.asarray(jax.device_get(scored(graph, state, trees, jnp.float32(1.0))))
        for row, i in enumerate(chosen):
            out[i] = [logp[row, g, : len(ids)] for g, ids in enumerate(completions[i])]
    return out
