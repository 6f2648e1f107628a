"""Least seconds of a phase on a chip, and what bounds them: arithmetic, HBM or the links.

The three are taken to overlap fully, so this is a floor that no run reaches.
"""

import dataclasses

from pa_jax.plan import topology

BOUNDS = ("flops", "hbm", "ici")


@dataclasses.dataclass(frozen=True)
class Load:
    """What one chip does: FLOPs, HBM bytes, bytes sent to other chips."""

    flops: float
    hbm_bytes: float
    ici_bytes: float

    def times(self, count: int) -> "Load":
        """The same `count` times."""
        return Load(self.flops * count, self.hbm_bytes * count, self.ici_bytes * count)


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Seconds of each of BOUNDS on its own."""

    flops: float
    hbm: float
    ici: float

    @property
    def floor(self) -> float:
        return max(self.flops, self.hbm, self.ici)

    @property
    def bound(self) -> str:
        return max(BOUNDS, key=lambda name: getattr(self, name))


def seconds(load: Load, slice_: topology.Slice) -> Seconds:
    """Of one load on one chip of the slice."""
    chip = slice_.chip
    return Seconds(
        load.flops / chip.flop_rate,
        load.hbm_bytes / chip.hbm_rate,
        load.ici_bytes / slice_.ici_rate,
    )
