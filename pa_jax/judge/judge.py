"""One door to every judge, here or remote."""

from collections.abc import Sequence

import jax

from pa_jax.judge import asking, likelihood, reference, remote, rubric, verbal

KINDS = {
    "likelihood": likelihood.Likelihood,
    "verbal": verbal.Verbal,
    "reference": lambda model, rows, mesh: reference.Reference(),
    "remote": lambda model, rows, mesh: remote.Remote(model),
    "asking": lambda model, rows, mesh: asking.Asking(),
}
NO_WEIGHTS = ("reference", "asking", "remote")  # kinds that read texts and load no model


class Judge:
    """Scores whole groups on the four criteria, under a model that stays as it is."""

    def __init__(self, kind: str, *, model=None, rows: int, mesh: jax.sharding.Mesh | None = None):
        """`rows` groups go in at a time.

        `model` is a LoadedModel, for `remote` a remote.Endpoint, for the other NO_WEIGHTS None.
        """
        if kind not in KINDS:
            raise ValueError(f"judge.kind={kind!r}: choose one of {sorted(KINDS)}.")
        if rows < 1:
            raise ValueError(f"judge.rows={rows}: must be at least 1.")
        self.kind = kind
        self._judge = KINDS[kind](model, rows, mesh)

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores [n, g, 4] in the order given, and which snippets got no verdict."""
        return self._judge.score(groups)

    def close(self) -> None:
        """Closes a remote judge's connections and file; the others hold none."""
        if self.kind == "remote":
            self._judge.close()

    def figures(self) -> dict[str, float]:
        """Since the last call: how evenly a model's experts are used; a remote judge's counts."""
        if self.kind == "remote":
            return self._judge.figures()
        forward = self._judge.forward
        busiest = forward.busiest() if forward else None
        return {} if busiest is None else {"judge/busiest_expert": busiest}
