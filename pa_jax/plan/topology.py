"""Named TPU slices: what libtpu's compiler calls them, and of which chips they are."""

import dataclasses
import math
from typing import Any

from pa_jax.core import chips


@dataclasses.dataclass(frozen=True)
class Slice:
    """`name` as rented; `topology` and `bounds` (chips a host) as the compiler wants them."""

    name: str
    chip: chips.Chip
    topology: str
    bounds: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.topology.partition(":")[2].split("x"))

    @property
    def chips(self) -> int:
        return math.prod(self.shape)

    @property
    def ici_rate(self) -> float:
        """Bytes/s that a chip sends in a ring along one axis of the slice.

        One port forward and one back where the axis closes to a ring (16 chips on v5e and v6e, 4
        and more on v5p, https://docs.cloud.google.com/tpu/docs/system-architecture-tpu-vm); else
        half of it. Collectives over several axes at once may be faster.
        """
        one_way = self.chip.ici_total / 2 / self.chip.ici_ports
        closed = all(n % self.chip.ring == 0 for n in self.shape)
        return 2 * one_way if closed else one_way


# The name counts chips on v5e and v6e, TensorCores (two a chip) on v5p.
_FLAT = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
_CUBES = {
    8: "2x2x1",
    16: "2x2x2",
    32: "2x2x4",
    64: "2x4x4",
    128: "4x4x4",
    256: "4x4x8",
    512: "4x8x8",
    1024: "8x8x8",
}


def _made() -> dict[str, Slice]:
    found = {}
    for chip, shapes in ((chips.V5E, _FLAT), (chips.V6E, _FLAT), (chips.V5P, _CUBES)):
        for number, shape in shapes.items():
            bounds = (1, 1, 1) if shape == "1x1" else (2, 2, 1)
            name = f"{chip.name}-{number}"
            found[name] = Slice(name, chip, f"{chip.name}:{shape}", bounds)
    return found


SLICES = _made()


def named(name: str) -> Slice:
    """The slice of that name, as tpu/env.sh has it too; ValueError lists the known ones."""
    name = name.replace("v5litepod-", "v5e-")
    if name not in SLICES:
        raise ValueError(f"slice={name!r}: choose one of {', '.join(SLICES)}.")
    return SLICES[name]


def devices(slice_: Slice) -> list[Any]:
    """The slice's devices for ahead-of-time compilation; needs libtpu, starts no TPU."""
    from jax.experimental import topologies

    made = topologies.get_topology_desc(
        platform="tpu",
        topology_name=slice_.topology,
        chips_per_host_bounds=slice_.bounds,
        num_slices=1,
    )
    return made.devices
