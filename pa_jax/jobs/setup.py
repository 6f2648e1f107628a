"""What jobs share before their first step: work directory, mesh, episodes, prompts, model."""

import contextlib
import dataclasses
import datetime
import json
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import ml_collections
import numpy as np
from absl import logging
from jax.experimental import multihost_utils

from pa_jax import judge, models
from pa_jax.core import exclusive, files, keys, named, sharding
from pa_jax.core import mesh as meshes
from pa_jax.data import dialogues, quarantine, source
from pa_jax.data.own import is_own
from pa_jax.dialogue import prompts, schema, template, tokenizer
from pa_jax.jobs import tasks, values
from pa_jax.judge import own, remote
from pa_jax.models import lora, precision, quant

MAY_CHANGE = (
    *("train.steps", "train.save_every", "train.save_minutes", "train.keep"),
    *("train.max_skipped", "train.stall", "train.trace"),
    "eval.patience",
    # Of eval: rows name theirs, and what they are compared with is for the report.
    *("benchmarks", "systems", "runs", "baseline", "against", "retry_failed"),
    *(
        f"judge.remote.{name}"  # how the same answers are come by
        for name in (
            *("key_env", "limit", "concurrency", "timeout", "retries", "requests", "cost", "cache"),
        )
    ),
)


RESULTS = ("metrics.jsonl", "records.jsonl", "heldout-before.json")  # with one, a run has begun


@contextlib.contextmanager
def alone(workdir: pathlib.Path) -> Iterator[None]:
    """Inside, no other job works in the folder; of several processes the first holds it for all."""
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"workdir {workdir} is a file; give a folder.")
    with contextlib.ExitStack() as stack:
        failed: ValueError | None = None
        if jax.process_index() == 0:
            try:
                stack.enter_context(exclusive.held(workdir))
            except ValueError as error:
                failed = error
        if jax.process_count() > 1:  # all of them end, or none
            refused = bool(multihost_utils.broadcast_one_to_all(np.bool_(failed is not None)))
            if refused and failed is None:
                failed = ValueError(f"{workdir} is in use by another job; process 0 says whose.")
        if failed is not None:
            raise failed
        yield


def open_workdir(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """Make the folder and write config.json; a folder with results of another run is refused.

    What keys hold is checked first, and code of the user's own is found, before anything is loaded.
    Going on with what MAY_CHANGE names is allowed; any other difference is named.
    """
    values.require(config)
    check_named(config)
    _require_endpoint(config, workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"workdir {workdir} is a file; give a folder.") from error
    path, new = workdir / "config.json", json.loads(config.to_json())
    begun = any((workdir / name).exists() for name in RESULTS)
    if path.exists() and begun:
        old = flat(read_json(path))
        now = flat(new)
        differ = [k for k in sorted({*old, *now}) if old.get(k) != now.get(k)]
        differ = [k for k in differ if k not in MAY_CHANGE]
        if differ:
            shown = "; ".join(f"{k}: {old.get(k)!r} there, {now.get(k)!r} now" for k in differ[:4])
            raise ValueError(
                f"{workdir} holds a run with another config ({shown}). Go on with the same config, "
                "or give a new --workdir."
            )
    if jax.process_index() == 0:
        files.atomic_write(path, json.dumps(new, indent=2, sort_keys=True) + "\n")


def check_named(config: ml_collections.ConfigDict) -> None:
    """ValueError where the config names a module:function or module:Class that is not there."""
    known = flat(config.to_dict())
    if config.job in ("grpo", "ablate"):
        judge.require_kind(config.judge.kind)
    for kind in (known.get("judge.kind", ""), *known.get("kinds", ())):
        if ":" in kind:
            own.find(kind)
    if known.get("reward.function"):
        named.resolve(known["reward.function"], "reward.function")
    if "data.source" in known and config.job != "plan":  # which reads none
        cfg = section(dialogues.DataConfig, config.data)
        source.require_there(cfg)
        for _, one in source.mixed(cfg):
            if is_own(one.source):
                named.resolve(one.source, "data.source")


def _require_endpoint(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """ValueError where a judge behind an endpoint is named and cannot be asked."""
    if config.get("sheet"):  # which people fill in
        return
    if "remote" in config.get("kinds", ()):  # of the judge job, whose section is called remote
        try:
            _require_key(endpoint(config.remote, workdir))
        except ValueError as error:
            raise ValueError(f"{error}".removeprefix("judge.")) from error
    elif "remote" in config.get("judge", {}) and config.judge.kind == "remote":
        if not config.get("reward", {}).get("function"):  # which stands in the judge's place
            _require_key(endpoint(config.judge.remote, workdir))


def _require_key(end: remote.Endpoint) -> None:
    if jax.process_index() == 0:  # the one that asks
        end.key()


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object of a JSON file; ValueError names a file that is not one."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not JSON ({error}); restore it, or take a new --workdir."
        ) from error


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, names joined by dots."""
    made: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        made |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return made


T = TypeVar("T")


def section(kind: Callable[..., T], given: ml_collections.ConfigDict) -> T:
    """A component's dataclass from a config section; tuples where it holds lists, and dicts where
    it holds sections."""
    made = {k: _tuples(v) for k, v in given.to_dict().items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise ValueError(f"config section for {kind.__name__}: {error}.") from error


def _tuples(value: Any) -> Any:
    """Lists as tuples, those inside lists too."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def endpoint(given: ml_collections.ConfigDict, workdir: pathlib.Path) -> remote.Endpoint:
    """A remote judge's endpoint; its answers lie in the work directory unless told otherwise."""
    cache = given.cache or str(workdir / "answers.sqlite")
    return section(remote.Endpoint, ml_collections.ConfigDict(given.to_dict() | {"cache": cache}))


def open_episodes(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, split: str
) -> Sequence[schema.Episode]:
    """Episodes of a split; malformed items go to quarantine-SPLIT.jsonl in the work directory."""
    first = jax.process_index() == 0
    path = workdir / f"quarantine-{split}.jsonl" if first else None
    cfg = section(dialogues.DataConfig, config.data)
    return tasks.of(config).episodes(cfg, split=split, quarantine_path=path)


def open_dialogues(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, split: str
) -> list[Sequence[schema.Dialogue]]:
    """Whole dialogues of a split, as parts; malformed items go where open_episodes puts them."""
    first = jax.process_index() == 0
    path = workdir / f"quarantine-{split}.jsonl" if first else None
    cfg = section(dialogues.DataConfig, config.data)
    if cfg.source not in dialogues.SOURCES and not is_own(cfg.source):
        raise ValueError(
            f"data.source={cfg.source!r} with data.state_source={cfg.state_source!r}: whole "
            f"dialogues are needed; choose one of {[*dialogues.SOURCES]}, or state_source='gold'."
        )
    with quarantine.Quarantine(path) as bad:
        return dialogues.open_dialogues(cfg, split, bad)


def batch_encoder(
    config: ml_collections.ConfigDict, words: tokenizer.Tokenizer
) -> Callable[[Sequence[schema.Episode]], list[list[int]]]:
    """Episodes -> prompt ids of the policy, as in serving."""
    limits, prompt = section(prompts.PromptConfig, config.prompt), tasks.of(config).prompt

    def encode(episodes: Sequence[schema.Episode]) -> list[list[int]]:
        chats = [prompt(episode, limits) for episode in episodes]
        return template.encode_chats(words, chats, add_generation_prompt=True)

    return encode


def utc_now() -> datetime.datetime:
    """The time, for what is applied now."""
    return datetime.datetime.now(datetime.UTC)


def labelled(episodes: Sequence[schema.Episode]) -> list[schema.Episode]:
    """The episodes with a gold snippet."""
    return [episode for episode in episodes if episode.gold is not None]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` items, evenly spread over all of them."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def heldout(
    episodes: Sequence[schema.Episode],
    encode: Callable[[Sequence[schema.Episode]], list[list[int]]],
    count: int,
    longest: int,
) -> tuple[list[schema.Episode], list[list[int]]]:
    """`count` labelled episodes spread evenly over the held-out ones, and their prompts."""
    known = spread(labelled(episodes), 4 * count)
    pairs = zip(known, encode(known), strict=True)
    chosen = spread([pair for pair in pairs if len(pair[1]) <= longest], count)
    if not chosen:
        raise ValueError(
            f"none of {len(episodes)} held-out episodes has a gold snippet and a prompt of at most "
            f"{longest} tokens; raise prompt_tokens or add labelled data."
        )
    return [episode for episode, _ in chosen], [ids for _, ids in chosen]


def mesh(config: ml_collections.ConfigDict, *, rows: Mapping[str, int]) -> jax.sharding.Mesh:
    """The mesh of config.mesh over all devices; ValueError unless it divides each count of rows."""
    made = meshes.make(section(meshes.MeshConfig, config.mesh))
    check_rows(made.shape, rows)
    return made


def chosen_mesh(config: ml_collections.ConfigDict) -> jax.sharding.Mesh | None:
    """As many devices as config.mesh asks for, the first ones; None for one."""
    cfg = section(meshes.MeshConfig, config.mesh)
    if cfg.fsdp == -1:
        return meshes.make(cfg)
    count = cfg.fsdp * cfg.tp * cfg.ep
    return None if count == 1 else meshes.make(cfg, jax.devices()[:count])


def check_rows(sizes: Mapping[str, int], rows: Mapping[str, int]) -> None:
    """ValueError unless the data axes of a mesh of these sizes divide each count of rows."""
    data = math.prod(sizes[name] for name in sharding.DATA)
    for name, count in rows.items():
        if count % data:
            raise ValueError(
                f"{name}={count} rows do not divide by mesh.fsdp x mesh.ep = {data}; use "
                f"{-(-count // data) * data}, or raise mesh.tp to have fewer."
            )


def with_adapters(
    loaded: models.LoadedModel, config: ml_collections.ConfigDict
) -> models.LoadedModel:
    """The model as the base, int8 where the config says so, with fresh adapters of config.model."""
    cfg = section(lora.LoraConfig, config.model.lora)
    base = quant.quantise(loaded.module) if config.model.int8 else loaded.module
    key = keys.stream_key(config.seed, keys.Stream.LORA, 0)
    return dataclasses.replace(loaded, module=lora.add(base, cfg, key))


@contextlib.contextmanager
def source_of(key: str) -> Iterator[None]:
    """Inside, what is wrong with a model's source is said of the config key that gave it."""
    try:
        yield
    except (ValueError, OSError) as error:
        said = str(error)
        if not said.startswith("model.source="):
            raise
        raise ValueError(key + said.removeprefix("model.source")) from error


def load_model(
    config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh | None = None
) -> models.LoadedModel:
    """config.model's weights, laid out for training; trained models need a tokenizer."""
    if config.model.int8 and not config.model.lora.rank:
        raise ValueError(
            "model.int8=True with model.lora.rank=0: int8 weights cannot be trained; set a rank "
            "(16, say), or int8=False."
        )
    if config.model.dtype == precision.MIXED and not config.model.lora.rank:
        raise ValueError(
            "model.dtype='mixed' with model.lora.rank=0: its matrices are frozen; set a rank (16, "
            "say), or model.dtype='float32'."
        )
    logging.info("loading %s", config.model.source)
    model = models.load(config.model.source, mesh=mesh, dtype=config.model.dtype)
    if model.tokenizer is None:
        raise ValueError(
            f"model.source={config.model.source!r} has no tokenizer; use a checkpoint with one "
            "(random:tiny has a small built-in one)."
        )
    model.tokenizer.merge_roles = config.model.merge_roles
    if config.model.dtype == precision.MIXED:
        return dataclasses.replace(model, module=precision.held(model.module))
    return model
