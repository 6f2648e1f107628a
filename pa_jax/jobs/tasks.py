"""What a policy is trained to write, side by side: to infer snippets, or to decide whether to ask.

All that hangs on the task is here; training, evaluation and reports take a Task and do the same for
both.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_collections

from pa_jax.data import dialogues, source
from pa_jax.data.synth.asking import requests_of
from pa_jax.dialogue import prompts, schema
from pa_jax.judge import asking, reference, rubric


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing to learn.

    decides   config keys that the task sets itself, as its config.json says: each with its value,
              and behind that what configs hold where nobody chose. So it has its data and, by
              judge.kind, its reward
    episodes  opens those of a split, as source.open_episodes does
    prompt    the messages that ask the policy for one
    scores    the four criteria of a held-out text
    criteria  what reports call a completion's scores, unless the reward is the user's own
    about     what reports tell of an episode beside the user's words and gold
    written   what reports call the policy's texts
    measured  by what they say that held-out ones are scored
    """

    decides: Mapping[str, tuple[str, ...]]
    episodes: Callable[..., Sequence[schema.Episode]]
    prompt: Callable[[schema.Episode, prompts.PromptConfig], tuple[schema.Message, ...]]
    scores: Callable[[schema.Episode, str], tuple[float, ...]]
    criteria: tuple[str, ...]
    about: Callable[[schema.Episode], Sequence[str]]
    written: str
    measured: str


def _requests(
    cfg: dialogues.DataConfig, *, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """Decisions to ask: no dialogue to decompose, their profile is part of them."""
    del quarantine_path  # nothing is read
    users = {"train": cfg.users, "heldout": cfg.heldout_users}
    if split not in users:
        raise ValueError(f"data.source='requests' has no split {split!r}; take train or heldout.")
    # None is made a stranger's (data.strangers): what an answer is worth counts on the profile.
    return requests_of(cfg.seed, users[split], split)


def _worth(episode: schema.Episode) -> list[str]:
    pairs = zip(episode.options, episode.worth, strict=True)
    return [f"Asking about {topic} is worth {value:+.3f}" for topic, value in pairs]


INFER = Task(
    decides={},
    episodes=source.open_episodes,
    prompt=prompts.infer,
    scores=reference.agreement,
    criteria=rubric.CRITERIA,
    about=lambda episode: (),
    written="snippets",
    measured="agreement with gold, not by the judge that training used",
)
ASK = Task(
    decides={
        "data.source": ("requests", "synthetic"),
        "judge.kind": ("asking", "likelihood", "verbal"),
    },
    episodes=_requests,
    prompt=prompts.ask,
    scores=asking.agreement,
    criteria=("gain",),
    about=_worth,
    written="decisions",
    measured="what each is worth on its request, the measure that training used",
)
TASKS = {"infer": INFER, "ask": ASK}


def of(config: ml_collections.ConfigDict | Mapping[str, Any]) -> Task:
    """The task of a job: what `task` says, or where there is no such key what its data are for."""
    asks = config["data"]["source"] == ASK.decides["data.source"][0]
    name = config.get("task") or ("ask" if asks else "infer")
    if name not in TASKS:
        raise ValueError(f"task={name!r}: choose one of {list(TASKS)}.")
    return TASKS[name]


def resolved(
    config: ml_collections.ConfigDict, given: Sequence[str] = ()
) -> ml_collections.ConfigDict:
    """The config as it runs, with what its task decides; `given` are keys of the command line.

    A ValueError where somebody chose for a key what only the other task uses.
    """
    asks, made = of(config) is ASK, config.copy_and_resolve_references()
    for key, (own, *unchosen) in ASK.decides.items():
        section, _, name = key.partition(".")
        value = made[section][name]
        if asks and value != own and (key in given or value not in unchosen):
            raise ValueError(
                f"{key}={value!r} is not used by task='ask', which has {own!r}: leave it out, or "
                "set task='infer'."
            )
        if not asks and value == own:
            raise ValueError(f"{key}={value!r} is of the decision to ask: set task='ask' with it.")
        made[section][name] = own if asks else value
    return made
