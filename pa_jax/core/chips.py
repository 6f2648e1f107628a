"""What a chip can do at most, by the name that JAX gives its kind.

The peaks of Google's pages, read in November 2026: https://docs.cloud.google.com/tpu/docs/v5e,
/v6e, /v5p (capacity, bf16 peak, HBM bandwidth, "bidirectional ICI bandwidth per chip" over all
ports).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peaks of one chip: bytes, FLOP/s (bf16), bytes/s; `ici_total` over all ports, both ways."""

    name: str
    hbm_bytes: float
    flop_rate: float
    hbm_rate: float
    ici_ports: int
    ici_total: float
    ring: int  # an axis of a multiple of so many chips closes to a ring


V5E = Chip("v5e", 16e9, 197e12, 819e9, 4, 400e9, 16)
V6E = Chip("v6e", 32e9, 918e12, 1600e9, 4, 800e9, 16)
V5P = Chip("v5p", 95e9, 459e12, 2765e9, 6, 1200e9, 4)

_KINDS = {
    "TPU v5 lite": V5E,
    "TPU v5e": V5E,
    "TPU v6 lite": V6E,
    "TPU v6e": V6E,
    "TPU v5": V5P,
    "TPU v5p": V5P,
}


def of(kind: str) -> Chip | None:
    """The chip of a `device_kind`; None where its peaks are not known, as of a CPU."""
    return _KINDS.get(kind)
