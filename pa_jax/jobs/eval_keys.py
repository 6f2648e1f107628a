"""Which keys of `eval` its chosen benchmarks and systems read; what nobody reads is refused."""

from collections.abc import Iterable, Sequence

import ml_collections

from pa_jax.evaluate.benchmarks import aloe, conversations, prefeval, recall, single_turn
from pa_jax.evaluate.systems import personal_agent
from pa_jax.jobs import configs, setup

KEYS = prefeval.KEYS | aloe.KEYS | conversations.KEYS | single_turn.KEYS | recall.KEYS
AGENTS = {  # systems that read a section
    "infer": (personal_agent.NAME, personal_agent.ASKING),
    "ask": (personal_agent.ASKING,),
}


def require_used(config: ml_collections.ConfigDict, given: Sequence[str] = ()) -> None:
    """A ValueError for the first key that was set and that no chosen benchmark or system reads.

    Set are the keys of `given`, as the command line has them, and what differs from every built-in
    preset, as a config file may have it.
    """
    chosen = [name for name in config.benchmarks if name in KEYS]
    systems = bool(_named("systems", KEYS, chosen))  # whether any takes part
    for key in ("benchmarks", "systems") if systems else ("benchmarks",):
        if not config[key]:
            raise ValueError(f"{key} is empty; name at least one.")
    for key in (*given, *_changed(config)):
        readers = _named(key, KEYS, KEYS)
        if readers and chosen and not set(readers) & set(chosen):
            nobody = "no system takes part there; " if key == "systems" else ""
            raise ValueError(
                f"{key} is not read by benchmarks={tuple(chosen)}: {nobody}leave it out, or name "
                f"one that reads it in benchmarks, too: {', '.join(readers)} (conversations reads "
                "a file of your own under every system)."
            )
        agents = AGENTS.get(key.partition(".")[0], ())
        if agents and systems and not set(agents) & set(config.systems):
            raise ValueError(
                f"{key} is not read by systems={tuple(config.systems)}: leave it out, or name one "
                f"that reads it in systems, too: {', '.join(agents)}."
            )


def _named(key: str, table: dict[str, tuple[str, ...]], among: Iterable[str]) -> list[str]:
    """Those of the benchmarks that read the key, or the section that it is in."""
    return [
        name
        for name in among
        if any(key == one or key.startswith(f"{one}.") for one in table.get(name, ()))
    ]


def _changed(config: ml_collections.ConfigDict) -> list[str]:
    """The keys that hold what no built-in preset has there."""
    now = setup.flat(config.to_dict())
    known = [setup.flat(configs.load(f"eval:{name}").to_dict()) for name in configs.presets()]
    return [key for key in now if all(now[key] != at.get(key, now[key]) for at in known)]
