"""What a request makes the model think of: pointwise mutual information of each slot's words.

The prompts end where the name of a thing would follow. Of all words of a slot, weighed, the
probability that one of them comes next is divided by the same after requests that ask for nothing
in particular: log p(slot | request) - log p(slot). A prefill of each prompt serves all slots;
nothing is decoded, and what the user typed is one line of plain text.
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
from pa_jax.infer import buckets, engine

PROMPTS = (  # two ask better than one, a third adds nothing
    "User: {}\nTo answer this well, the assistant should know which kind of",
    "User: {}\nTopics of this request:",
)
NOTHING = (  # requests without a topic, whose mean is the prior
    "Can you help me with something?",
    "I have a question.",
    "What should I do?",
    "Tell me more, please.",
    "What's 12 percent of 80?",
    "Thanks, that was helpful.",
)
TRUNKS = (48, 64, 80, 96, 128, 192, 384)  # tokens of a prompt; what is longer is cut at its start
FLOOR = 1e-7  # of a probability


@functools.partial(jax.jit, static_argnames="graph")
def next_probs(
    graph: nnx.GraphDef,
    state: Any,
    ids_np: Int[Array, "n p"],
    length_n: Int[Array, " n"],
    token_w: Int[Array, " w"],
) -> Float[Array, "n w"]:
    """Probability of each of some tokens right after every prompt, float32."""
    logits_nv, _ = engine.prefill(nnx.merge(graph, state), ids_np, length_n)
    return jax.nn.softmax(logits_nv.astype(jnp.float32), axis=-1)[:, token_w]


class Topics:
    """Scores requests against every slot under one frozen model."""

    def __init__(
        self, model, lexicon: overlap.Overlap, *, rows: int, mesh: jax.sharding.Mesh | None
    ) -> None:
        """`model` is a LoadedModel; up to `rows` prompts go in at a time, two a request."""
        if model.tokenizer is None:
            raise ValueError(
                "the decision to ask got a model without a tokenizer; load an instruct checkpoint."
            )
        self._words, self._rows, self._mesh = model.tokenizer, rows, mesh
        self._graph, self._state = nnx.split(model.module)
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
            for rows in (len(PROMPTS), self._rows):
                with meshes.using(self._mesh):
                    args = self._args(buckets.pad_rows([[0] * trunk] * rows, trunk))
                    next_probs.lower(*args).compile()

    def score(self, texts: Sequence[str]) -> Float[np.ndarray, "n s"]:
        """Log-ratios in nats, a row a text."""
        return (np.log(self._spread(texts) + FLOOR) - self._prior).mean(axis=0)

    def _spread(self, texts: Sequence[str]) -> Float[np.ndarray, "k n s"]:
        """Of each prompt, text and slot, the weighed probability that a word of it comes next."""
        probs = self._probs([self._encoded(prompt, text) for prompt in PROMPTS for text in texts])
        return (probs @ self._weights.T).reshape(len(PROMPTS), len(texts), -1)

    def _probs(self, prompts: Sequence[Sequence[int]]) -> Float[np.ndarray, "n w"]:
        fits = [buckets.fit(len(prompt), TRUNKS, what="request") for prompt in prompts]
        out = np.zeros((len(prompts), len(self._tokens)), np.float32)
        order = sorted(range(len(prompts)), key=fits.__getitem__)
        while order:
            chosen, order = order[: self._rows], order[self._rows :]
            few = len(chosen) <= len(PROMPTS) and self._mesh is None  # one user's turn
            empty = [[0]] * ((len(PROMPTS) if few else self._rows) - len(chosen))
            batch = buckets.pad_rows([*(prompts[i] for i in chosen), *empty], fits[chosen[-1]])
            with meshes.using(self._mesh):
                out[chosen] = sharding.fetch(next_probs(*self._args(batch)))[: len(chosen)]
        return out

    def _args(self, batch: Sequence[np.ndarray]) -> tuple[Any, ...]:
        put = (sharding.put(x, self._mesh, "rows") for x in batch)
        return self._graph, self._state, *put, jnp.asarray(self._tokens)

    def _encoded(self, prompt: str, text: str) -> list[int]:
        ids = self._words.encode(prompt.replace("{}", " ".join(text.split())))
        return ids[-TRUNKS[-1] :]
