"""One door to every judge that runs here."""

from collections.abc import Sequence

import jax

from pa_jax.judge import asking, likelihood, reference, rubric, verbal

KINDS = {
    "likelihood": likelihood.Likelihood,
    "verbal": verbal.Verbal,
    "reference": lambda model, rows, mesh: reference.Reference(),
    "asking": lambda model, rows, mesh: asking.Asking(),
}


class Judge:
    """Scores whole groups on the four criteria, under a model that stays as it is."""

    def __init__(self, kind: str, *, model=None, rows: int, mesh: jax.sharding.Mesh | None = None):
        """`model` is a LoadedModel (reference, asking: none); `rows` groups go in at a time."""
        if kind not in KINDS:
            raise ValueError(f"judge.kind={kind!r}: choose one of {sorted(KINDS)}.")
        if rows < 1:
            raise ValueError(f"judge.rows={rows}: must be at least 1.")
        self.kind = kind
        self._judge = KINDS[kind](model, rows, mesh)

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores [n, g, 4] in the order given, and which snippets got no verdict."""
        return self._judge.score(groups)

    def figures(self) -> dict[str, float]:
        """Of the forwards since the last call: how evenly the model's experts, if any, are used."""
        forward = self._judge.forward
        busiest = forward.busiest() if forward else None
        return {} if busiest is None else {"judge/busiest_expert": busiest}
