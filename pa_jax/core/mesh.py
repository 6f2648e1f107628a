"""The one named mesh: fsdp and ep (rows, parameters by width; experts over ep), tp (heads, mlp)."""

import contextlib
import dataclasses
from collections.abc import Sequence

import jax

AXES = ("fsdp", "tp", "ep")


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along each axis; fsdp=-1 means what tp and ep leave over."""

    fsdp: int
    tp: int
    ep: int


def sizes(cfg: MeshConfig, n: int) -> tuple[int, int, int]:
    """Devices along AXES, of `n` in all; ValueError names what divides."""
    if cfg.tp < 1 or cfg.ep < 1 or not (cfg.fsdp == -1 or cfg.fsdp >= 1):
        raise ValueError(f"{cfg}: allowed are tp >= 1, ep >= 1, fsdp >= 1 or fsdp = -1 (the rest).")
    inner = cfg.tp * cfg.ep
    if cfg.fsdp == -1 and n % inner:
        fits = [k for k in range(1, n + 1) if n % k == 0]
        raise ValueError(
            f"mesh.tp={cfg.tp} x mesh.ep={cfg.ep} = {inner} does not divide {n} devices; "
            f"choose tp and ep with a product among {fits}."
        )
    fsdp = n // inner if cfg.fsdp == -1 else cfg.fsdp
    if fsdp * inner != n:
        raise ValueError(
            f"mesh fsdp={fsdp} x tp={cfg.tp} x ep={cfg.ep} = {fsdp * inner} devices, but there are "
            f"{n}; set fsdp=-1, or choose sizes whose product is {n}."
        )
    return fsdp, cfg.tp, cfg.ep


def make(cfg: MeshConfig, devices: Sequence[jax.Device] | None = None) -> jax.sharding.Mesh:
    """A mesh over `devices` (None: all devices of all processes) with the axes of AXES."""
    devices = jax.devices() if devices is None else list(devices)
    auto = (jax.sharding.AxisType.Auto,) * len(AXES)
    return jax.make_mesh(sizes(cfg, len(devices)), AXES, axis_types=auto, devices=devices)


def using(mesh: jax.sharding.Mesh | None) -> contextlib.AbstractContextManager:
    """A context in which programs are laid out on `mesh`; None: one device."""
    return contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh)
