"""All that is read off a frozen model without decoding: log-probs, label probabilities, states."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int
from pa_jax.infer import forest
from pa_jax.infer.logprobs import label_logprobs, token_logprobs
from pa_jax.infer.root import Root
from pa_jax.models import decoder, flops

Trees = Sequence[Sequence[forest.Path]]
Call = Callable[[forest.Forest, decoder.Context | None], tuple[Array, Array]]


def row_logprobs(
    model: decoder.Decoder,
    rows: forest.Forest,
    temperature: Float[Array, ""],
    *,
    before: decoder.Context | None = None,
    remat: str = "none",
) -> tuple[Float[Array, "n w"], Float[Array, "n w"], Int[Array, "l e"]]:
    """Log-probs and entropies of the wanted tokens of [n, t] rows, and the experts' load.

    The rows follow what was computed `before` (infer/root.py).
    """
    passed = model.on_rows(rows.ids, rows.end, rows.position, context=before, remat=remat)
    hidden = jnp.take_along_axis(passed.hidden, rows.at[..., None], axis=1)
    logp, entropy = token_logprobs(model, hidden, rows.token, rows.wanted, temperature)
    return logp, entropy, passed.load


@functools.partial(jax.jit, static_argnames="graph")
def scored(
    graph: nnx.GraphDef,
    state: nnx.State,
    rows: forest.Forest,
    before: decoder.Context | None,
    temperature: Float[Array, ""],
) -> tuple[Float[Array, "n w"], Int[Array, "l e"]]:
    """Log-probs of the wanted tokens under softmax(logits / temperature), and the experts' load."""
    logp, _, load = row_logprobs(nnx.merge(graph, state), rows, temperature, before=before)
    return logp, load


@functools.partial(jax.jit, static_argnames="graph")
def scored_calls(
    graph: nnx.GraphDef,
    state: nnx.State,
    rows: forest.Forest,
    count: Int[Array, ""],
    temperature: Float[Array, ""],
) -> Float[Array, "x n w"]:
    """Log-probs of the wanted tokens of [x, n, t] rows; 0 behind the first `count` calls.

    A call after the other in one program: how many there are is data.
    """
    model = nnx.merge(graph, state)

    def one(call: Array | int, made: Array) -> Array:
        some = jax.tree.map(lambda x: x[call], rows)
        return made.at[call].set(row_logprobs(model, some, temperature)[0])

    made = jnp.zeros(rows.at.shape, jnp.float32)
    return one(0, made) if len(rows.ids) == 1 else jax.lax.fori_loop(0, count, one, made)


@functools.partial(jax.jit, static_argnames="graph")
def labelled(
    graph: nnx.GraphDef,
    state: nnx.State,
    rows: forest.Forest,
    before: decoder.Context | None,
    label: Int[Array, " k"],
) -> tuple[Float[Array, "n w k"], Int[Array, "l e"]]:
    """Log-probs of each label as the next token at every wanted place, and the experts' load."""
    model = nnx.merge(graph, state)
    passed = model.on_rows(rows.ids, rows.end, rows.position, context=before)
    hidden = jnp.take_along_axis(passed.hidden, rows.at[..., None], axis=1)
    return label_logprobs(model, hidden, label, rows.wanted), passed.load


@functools.partial(jax.jit, static_argnames="graph")
def pooled(
    graph: nnx.GraphDef, state: nnx.State, rows: forest.Forest
) -> tuple[Float[Array, "n w d"], Int[Array, "l e"]]:
    """The mean hidden state, float32, of the path down to every wanted place."""
    passed = nnx.merge(graph, state).on_rows(rows.ids, rows.end, rows.position)
    slot = jnp.arange(rows.ids.shape[1])
    at = rows.at[..., None]
    seen_nwt = ((slot <= at) & (at < rows.end[:, None])).astype(jnp.float32)
    total = jnp.einsum("nwt,ntd->nwd", seen_nwt, passed.hidden.astype(jnp.float32))
    return total / seen_nwt.sum(axis=-1, keepdims=True), passed.load


class Scorer:
    """A frozen model behind one batching loop: trees of any shape in, an array a path out.

    tokens, slots  real tokens, and slots, that went through the model so far
    flops          what the model needs of those tokens
    """

    def __init__(
        self,
        module: decoder.Decoder,
        *,
        mesh: jax.sharding.Mesh | None = None,
        lengths: Sequence[int] = forest.LENGTHS,
        key: str = "lengths",
        root: Sequence[int] = (),
    ) -> None:
        """Rows have one of `lengths`; `key` is the config key that a message names for them.

        Of paths that begin with `root`, only what follows it is computed: it is kept until
        `update`.
        """
        self.graph, self.state = nnx.split(module)
        self.mesh, self.lengths, self.key = mesh, forest.row_lengths(lengths, key), key
        self.root = Root(root, self.graph, mesh)
        self.shards = sharding.data_shards(mesh)
        self.tokens = self.slots = 0
        self.flops, self._cfg = 0.0, module.cfg
        self._load = np.zeros((0, 0))  # [layers, experts], choices that fell on each expert

    def update(self, state: nnx.State) -> None:
        """Score under these parameters from now on."""
        self.state = state
        self.root.forget()

    def logprobs(self, trees: Trees, *, temperature: float = 1.0) -> list[list[np.ndarray]]:
        """One float32 log-prob a target of every path."""
        at = jnp.float32(temperature)
        return self._run(trees, lambda *rows: scored(self.graph, self.state, *rows, at))

    def labels(self, trees: Trees, label: Sequence[int]) -> list[list[np.ndarray]]:
        """[k] log-probs of the labels after every path (of forest.state_of)."""
        of = jnp.asarray(label, jnp.int32)
        made = self._run(trees, lambda *rows: labelled(self.graph, self.state, *rows, of))
        return [[x[0] for x in tree] for tree in made]

    def states(self, trees: Trees) -> list[list[np.ndarray]]:
        """[d] mean hidden state of every path (of forest.state_of): an embedding of its text."""
        made = self._on_rows(trees, lambda rows, _: pooled(self.graph, self.state, rows), None)
        return [[x[0] for x in tree] for tree in made]

    def warm_up(self, longest: int, *, label: Sequence[int] = ()) -> None:
        """Compiles `logprobs`, or `labels` of these, for rows up to the one that holds `longest`.

        With a root, for what follows it as for what does not.
        """
        for length in sorted(self.lengths):
            for before in {(), self.root.ids}:
                path = forest.state_of([*before, *[0] * length])
                self.labels([[path]], label) if label else self.logprobs([[path]])
            if length >= longest:
                return

    def fill(self) -> float:
        """Share of slots so far that held tokens."""
        return self.tokens / max(self.slots, 1)

    def busiest(self) -> float | None:
        """The busiest expert's choices over the mean expert's, of the worst layer; 1 is even.

        Since the last call; None without a forward in between, and of a model without experts.
        """
        load, self._load = self._load, np.zeros((0, 0))
        if not load.size:
            return None
        return float(np.max(np.max(load, axis=-1) / np.maximum(np.mean(load, axis=-1), 1.0)))

    def _run(self, trees: Trees, call: Call) -> list[list[Any]]:
        """What `call` gives each path: those that begin with the root behind it, or all whole."""
        cut, nothing = len(self.root), forest.Path((), ())
        behind = [[self._behind(path) for path in tree] for tree in trees]
        if not any(map(any, behind)):
            return self._on_rows(trees, call, None)
        pairs = [list(zip(tree, of, strict=True)) for tree, of in zip(trees, behind, strict=True)]
        made = self._on_rows(
            [
                [forest.Path(p.ids[cut:], p.targets) if yes else nothing for p, yes in tree]
                for tree in pairs
            ],
            call,
            self.root.context(self.state),
        )
        if all(map(all, behind)):
            return made
        whole = [[nothing if yes else p for p, yes in tree] for tree in pairs]
        others = self._on_rows(whole, call, None)
        return [
            [a if yes else b for a, b, yes in zip(*each, strict=True)]
            for each in zip(made, others, behind, strict=True)
        ]

    def _behind(self, path: forest.Path) -> bool:
        """Whether all of the path's places lie behind the root."""
        return self.root.begins(path.ids[: len(path.ids) - len(path.targets) + 1])

    def _on_rows(self, trees: Trees, call: Call, before: decoder.Context | None) -> list[list[Any]]:
        """All rows are dispatched before the first result is waited for."""
        packed = forest.pack(trees, self.lengths, shards=self.shards, key=self.key)
        by_length: dict[int, list[int]] = {}
        for number, row in enumerate(packed.rows):
            by_length.setdefault(len(row.ids), []).append(number)
        self.tokens += packed.tokens
        self.flops += flops.forward(self._cfg, packed.size).total
        made, numbers = [], []
        for length, of_length in by_length.items():
            for start in range(0, len(of_length), self.shards):
                some = of_length[start : start + self.shards]
                rows = forest.stacked([packed.rows[i] for i in some], self.shards)
                self.slots += self.shards * length
                with meshes.using(self.mesh):
                    made.append(call(rows.put(self.mesh, "rows"), before))
                numbers.append(some)
        of_row: dict[int, np.ndarray] = {}
        for some, (values, load) in zip(numbers, sharding.fetch(made), strict=True):
            of_row |= dict(zip(some, values, strict=False))
            load = load.astype(np.int64)
            self._load = self._load + load if self._load.size else load
        return [
            [of_row[row][place] if len(place) else np.zeros(0, np.float32) for row, place in tree]
            for tree in packed.places
        ]


def logprobs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[Sequence[int]]],
    *,
    lengths: Sequence[int] = forest.LENGTHS,
) -> list[list[np.ndarray]]:
    """One float32 log-prob a completion token; a prompt's completions share its computation.

    `model` is a LoadedModel.
    """
    trees = [
        [forest.follows(prompt, ids) for ids in row]
        for prompt, row in zip(prompts, completions, strict=True)
    ]
    return Scorer(model.module, lengths=lengths).logprobs(trees)
