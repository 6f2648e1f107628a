"""AdamW with warm-up, decay and global-norm clipping, from OptimConfig."""

import dataclasses
import math

import jax
import optax
from flax import nnx

SCHEDULES = ("constant", "cosine", "linear")


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """learning_rate is the peak, reached after `warmup` steps; decay ends at zero.

    Steps are batches: all updates of one batch have the same learning rate.
    """

    learning_rate: float
    warmup: int
    schedule: str
    b1: float
    b2: float
    eps: float
    weight_decay: float
    clip_norm: float

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"optim.schedule={self.schedule!r}: choose one of {SCHEDULES}.")
        if not 0 <= self.learning_rate < math.inf or not 0 < self.clip_norm:
            raise ValueError(
                f"optim.learning_rate={self.learning_rate}, clip_norm={self.clip_norm}: allowed "
                "are a finite learning rate of at least 0 and a clip_norm above 0."
            )


def schedule(cfg: OptimConfig, steps: int) -> optax.Schedule:
    """Learning rate by step, over `steps` of them."""
    rest = max(steps - cfg.warmup, 1)
    after = {
        "constant": optax.constant_schedule(cfg.learning_rate),
        "cosine": optax.cosine_decay_schedule(cfg.learning_rate, rest),
        "linear": optax.linear_schedule(cfg.learning_rate, 0.0, rest),
    }[cfg.schedule]
    rise = cfg.learning_rate / max(cfg.warmup, 1)
    warm = optax.linear_schedule(rise, cfg.learning_rate, max(cfg.warmup - 1, 1))
    return optax.join_schedules([warm, after], [cfg.warmup]) if cfg.warmup else after


def make(cfg: OptimConfig, steps: int, *, updates: int = 1) -> optax.GradientTransformation:
    """The optimiser of `updates` a step; matrices decay, vectors (norms, biases) do not."""
    rate = schedule(cfg, steps)
    return optax.chain(
        optax.clip_by_global_norm(cfg.clip_norm),
        optax.adamw(
            rate if updates == 1 else lambda count: rate(count // updates),
            b1=cfg.b1,
            b2=cfg.b2,
            eps=cfg.eps,
            weight_decay=cfg.weight_decay,
            mask=None if cfg.weight_decay == 0 else _decayed,
        ),
    )


def _decayed(params: nnx.State) -> nnx.State:
    """True where a parameter has a width axis to decay along: not for norms and biases."""

    def matrix(x: nnx.Variable) -> bool:
        return "embed" in x.get_metadata()["axes"]

    return jax.tree.map(matrix, params, is_leaf=lambda x: isinstance(x, nnx.Variable))
