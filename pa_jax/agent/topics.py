"""What a request makes the model think of: pointwise mutual information of each slot's words.

The prompts end where the name of a thing would follow. Of all words of a slot, weighed, the
probability that one of them comes next is divided by the same after requests that ask for nothing
in particular: log p(slot | request) - log p(slot). The prompts of a request are a tree whose trunk
is what the user typed, one line of plain text. A prefill serves all slots; nothing is decoded.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.agent import overlap
from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int
from pa_jax.infer import buckets, score
from pa_jax.models import tree

TRUNK = "User: {}"
BRANCHES = (  # two ask better than one, a third adds nothing
    "\nTo answer this well, the assistant should know which kind of",
    "\nTopics of this request:",
)
NOTHING = (  # requests without a topic, whose mean is the prior
    "Can you help me with something?",
    "I have a question.",
    "What should I do?",
    "Tell me more, please.",
    "What's 12 percent of 80?",
    "Thanks, that was helpful.",
)
TRUNKS = (32, 48, 64, 96, 128, 192, 384)  # tokens of a request; what is longer is cut at its start
FLOOR = 1e-7  # of a probability


@functools.partial(jax.jit, static_argnames="graph")
def next_probs(
    graph: nnx.GraphDef,
    state: Any,
    trunks: tuple[Int[Array, "n p"], Int[Array, " n"]],
    branches: tuple[Int[Array, "n k o"], Int[Array, "n k"]],
    token_w: Int[Array, " w"],
) -> Float[Array, "n k w"]:
    """Probability of each of some tokens right after every branch, float32."""
    (ids_np, length_n), (ids_nko, length_nk) = trunks, branches
    n, k, _ = ids_nko.shape
    lens = tree.lengths(length_n, length_nk, jnp.zeros((n, k, 1), jnp.int32))
    trees = score.TreeIds(ids_np, ids_nko, jnp.zeros((n, k, 1, 0), jnp.int32), lens)  # empty leaves
    return jnp.exp(score.leaf_labels(nnx.merge(graph, state), trees, token_w)[0][:, :, 0])


class Topics:
    """Scores requests against every slot under one frozen model."""

    def __init__(
        self, model, lexicon: overlap.Overlap, *, rows: int, mesh: jax.sharding.Mesh | None
    ) -> None:
        """`model` is a LoadedModel; up to `rows` requests go in at a time."""
        if model.tokenizer is None:
            raise ValueError(
                "the decision to ask got a model without a tokenizer; load an instruct checkpoint."
            )
        self._words, self._rows, self._mesh = model.tokenizer, rows, mesh
        self._graph, self._state = nnx.split(model.module)
        ends = [self._words.encode(text) for text in BRANCHES]
        self._branches = buckets.pad_rows(ends, max(map(len, ends)))
        first = [self._words.encode(f" {word}")[0] for word in lexicon.words]
        self._tokens, place = np.unique(np.array(first, np.int32), return_inverse=True)
        weights = (lexicon.weights * lexicon.idf) ** 2
        self._weights = np.zeros((len(lexicon.slots), len(self._tokens)), np.float32)
        for column, at in enumerate(place):
            self._weights[:, at] = np.maximum(self._weights[:, at], weights[:, column])
        nothing = np.mean(self._spread(NOTHING), axis=1)
        self._prior = np.log(nothing + FLOOR)[:, None]

    def warm_up(self) -> None:
        """Compiles every program of `score`."""
        for trunk in TRUNKS:
            for rows in sorted({1, self._rows} if self._mesh is None else {self._rows}):
                with meshes.using(self._mesh):
                    args = self._args(buckets.pad_rows([[0] * trunk] * rows, trunk))
                    next_probs.lower(*args).compile()

    def score(self, texts: Sequence[str]) -> Float[np.ndarray, "n s"]:
        """Log-ratios in nats, a row a text."""
        return (np.log(self._spread(texts) + FLOOR) - self._prior).mean(axis=0)

    def _spread(self, texts: Sequence[str]) -> Float[np.ndarray, "k n s"]:
        """Of each branch, text and slot, the weighed probability that a word of it comes next."""
        trunks = [self._encoded(text) for text in texts]
        fits = [buckets.fit(len(trunk), TRUNKS, what="request") for trunk in trunks]
        out = np.zeros((len(texts), len(BRANCHES), len(self._tokens)), np.float32)
        order = sorted(range(len(texts)), key=fits.__getitem__)
        while order:
            chosen, order = order[: self._rows], order[self._rows :]
            one = len(chosen) == 1 and self._mesh is None  # one user's turn
            empty = [[0]] * ((1 if one else self._rows) - len(chosen))
            batch = buckets.pad_rows([*(trunks[i] for i in chosen), *empty], fits[chosen[-1]])
            with meshes.using(self._mesh):
                out[chosen] = sharding.fetch(next_probs(*self._args(batch)))[: len(chosen)]
        return np.moveaxis(out @ self._weights.T, 1, 0)

    def _args(self, trunks: tuple[np.ndarray, np.ndarray]) -> tuple[Any, ...]:
        rows = len(trunks[0])
        branches = (np.repeat(x[None], rows, axis=0) for x in self._branches)
        trunk, branch = (
            tuple(sharding.put(x, self._mesh, "rows") for x in pair) for pair in (trunks, branches)
        )
        return self._graph, self._state, trunk, branch, jnp.asarray(self._tokens)

    def _encoded(self, text: str) -> list[int]:
        ids = self._words.encode(TRUNK.replace("{}", " ".join(text.split())))
        return ids[-TRUNKS[-1] :]
