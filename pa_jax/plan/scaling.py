"""Weak scaling on paper: the same prompts a chip on larger and larger slices."""

from collections.abc import Sequence

import ml_collections

from pa_jax.plan import report, topology

HEAD = (
    "| slice | chips | mesh fsdp x tp x ep | prompts | resident GB | peak GB | of the first "
    "| ICI GB a step | of the first | ICI share | step s | trained tokens/s a chip |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def on(config: ml_collections.ConfigDict, name: str) -> ml_collections.ConfigDict:
    """The config on another slice, with prompts by the number of chips; tp and ep stay.

    ValueError where their number would not be whole.
    """
    first, then = topology.named(config.slice).chips, topology.named(name).chips
    made = config.copy_and_resolve_references()
    made.slice = name
    prompts, over = divmod(config.rollout.prompts * then, first)
    if over or not prompts:
        raise ValueError(
            f"scaling: prompts={config.rollout.prompts} on {first} chips is "
            f"{config.rollout.prompts * then / first:g} on the {then} of {name}; use a multiple of "
            f"{first}, or start from the smallest slice by --config.slice."
        )
    made.rollout.prompts = prompts
    return made


def table(plans: Sequence[report.Plan]) -> str:
    """A line a slice, in Markdown; bytes and seconds are a chip's, step s as the plan expects."""
    first = plans[0]
    lines = [HEAD]
    for plan in plans:
        mesh = " x ".join(str(plan.mesh[name]) for name in ("fsdp", "tp", "ep"))
        resident, peak = sum(plan.memory.resident.values()), plan.memory.peak
        lines.append(
            f"| {plan.slice.name} | {plan.slice.chips} | {mesh} | {plan.prompts} "
            f"| {resident / 1e9:.2f} | {peak / 1e9:.2f} | {peak / first.memory.peak:.2f}x "
            f"| {_sent(plan) / 1e9:.2f} | {_sent(plan) / max(_sent(first), 1.0):.2f}x "
            f"| {plan.ici_share:.0%} | {plan.expected:.2f} "
            f"| {plan.trained_tokens / plan.expected / plan.slice.chips:,.0f} |"
        )
    return "\n".join(lines)


def _sent(plan: report.Plan) -> float:
    """Bytes that a chip sends in a step."""
    return sum(row.load.ici_bytes * row.calls for row in plan.rows)
