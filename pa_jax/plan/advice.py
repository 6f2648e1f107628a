"""Which knob to turn where a step does not fit a chip."""

from collections.abc import Mapping

from pa_jax.core import mesh as meshes

# Resident array or phase -> what makes it smaller, in the order to try.
KNOBS: Mapping[str, tuple[str, ...]] = {
    "parameters": ("a larger slice (--config.slice)", "the preset qwen3-4b-lora"),
    "optimiser": ("a larger slice (--config.slice)", "the preset qwen3-4b-lora"),
    "sampler": ("--config.mesh.tp={tp2}: the sampler's copy is cut over tp only",),
    "reference": ("a larger slice (--config.slice)", "the preset qwen3-4b-lora"),
    "judge": (
        "--config.mesh.ep={ep2}: experts are cut over ep x tp",
        "--config.mesh.tp={tp2}",
        "--config.judge.source= (the policy's own starting weights)",
    ),
    "kv": ("--config.rollout.prompts={prompts2}", "shorter --config.rollout.prompt_tokens"),
    "reshard": ("--config.mesh.tp={tp2}",),
    "rollout prefill": ("--config.rollout.prompts={prompts2}",),
    "rollout decode": ("--config.rollout.prompts={prompts2}",),
    "judge phase": ("shorter rows in --config.lengths",),
    "reference phase": ("shorter rows in --config.lengths",),
    "update": ("shorter rows in --config.lengths", "--config.model.remat=full"),
}


def knobs(
    sizes: Mapping[str, float],
    over: float,
    mesh: meshes.MeshConfig,
    numbers: Mapping[str, int],
) -> list[str]:
    """Advice for the largest parts, largest first, until they could make up for `over` bytes.

    `sizes` are bytes a chip by the names of KNOBS; `numbers` the present prompts.
    A knob that is at its end already is left out.
    """
    fill = {
        "tp2": mesh.tp * 2,
        "ep2": mesh.ep * 2,
        **{f"{name}2": n // 2 for name, n in numbers.items()},
    }
    ended = [f"{{{name}2}}" for name, n in numbers.items() if n < 2]
    made, left = [], over
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        if left <= 0:
            break
        for text in KNOBS.get(name, ()):
            if not any(mark in text for mark in ended):
                made.append(f"{name} takes {size / 1e9:.2f} GB: {text.format(**fill)}")
        left -= size / 2
    return made
