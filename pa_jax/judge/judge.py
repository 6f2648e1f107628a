"""One door to every judge, here or remote."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from pa_jax.infer import forest, score
from pa_jax.judge import asking, likelihood, own, protocol, reference, remote, rubric, verbal

WEIGHTS: dict[str, Callable[..., protocol.Judging]] = {
    "likelihood": likelihood.Likelihood,
    "verbal": verbal.Verbal,
}
TEXTS: dict[str, Callable[[Any], protocol.Judging]] = {
    "reference": lambda model: rubric.ByRule(reference.agreement),
    "remote": remote.Remote,
    "asking": lambda model: rubric.ByRule(asking.agreement),
}


def reads_a_model(kind: str) -> bool:
    """Whether a judge of this kind needs a model; others read texts alone."""
    return kind in WEIGHTS


def require_kind(kind: str, *, key: str = "judge.kind") -> None:
    """A ValueError that names `key` where there is no judge of this kind."""
    if ":" not in kind and kind not in (*WEIGHTS, *TEXTS):
        raise ValueError(
            f"{key}={kind!r}: choose one of {sorted((*WEIGHTS, *TEXTS))}, or module:Class of your "
            "own."
        )


class Judge:
    """Scores whole groups on the four criteria, under a model that stays as it is."""

    def __init__(
        self,
        kind: str,
        *,
        model: Any = None,
        lengths: Sequence[int] = forest.LENGTHS,
        mesh: jax.sharding.Mesh | None = None,
    ) -> None:
        """Groups are packed in rows of `lengths` (infer/forest.py).

        `kind` is one of WEIGHTS and TEXTS, or module:Class, a class that fulfils protocol.Judging.
        `model` is a LoadedModel, for `remote` a remote.Endpoint, for all others without weights
        None.
        """
        self.kind, self._seen = kind, (0, 0, 0.0)
        self._scorer: score.Scorer | None = None
        self._judge: protocol.Judging
        require_kind(kind)
        if ":" in kind:
            self._judge = own.Own(kind)
            return
        if kind in TEXTS:
            self._judge = TEXTS[kind](model)
            return
        if model is None or model.tokenizer is None:
            raise ValueError(
                f"judge.kind={kind!r} got no model with a tokenizer; give models.load(SOURCE)."
            )
        self._scorer = score.Scorer(model.module, mesh=mesh, lengths=lengths)
        self._judge = WEIGHTS[kind](model.tokenizer, self._scorer)

    @property
    def on_devices(self) -> bool:
        """Whether it computes where the policy does, not elsewhere or on the host."""
        return self._scorer is not None

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores [n, g, 4] in the order given, and which snippets got no verdict."""
        return self._judge.score(groups)

    def close(self) -> None:
        """Closes a remote judge's connections and file; the others hold none."""
        if isinstance(self._judge, remote.Remote):
            self._judge.close()

    def figures(self) -> dict[str, float]:
        """Since the last call, nothing of what was not used.

        Of a judge with weights the share of its slots that held tokens, how evenly its experts are
        used, and the FLOPs that it needed; a remote judge's counts, and the failures of one of the
        user's own.
        """
        if isinstance(self._judge, remote.Remote | own.Own):
            return self._judge.figures()
        if self._scorer is None:
            return {}
        of = self._scorer
        before, self._seen = self._seen, (of.tokens, of.slots, of.flops)
        tokens, slots, work = (now - then for now, then in zip(self._seen, before, strict=True))
        busiest = of.busiest()
        fill = {"judge/fill": tokens / slots, "flops/judge": work} if slots else {}
        return fill | ({} if busiest is None else {"judge/busiest_expert": busiest})
