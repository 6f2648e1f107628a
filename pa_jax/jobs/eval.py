"""Benchmarks x systems x models: records.jsonl row by row, then the report."""

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import jax
import ml_collections
import tqdm
from absl import logging

from pa_jax import models
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import inferencer
from pa_jax.core import files, sharding
from pa_jax.core import mesh as meshes
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.dialogue import prompts
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.benchmarks import (
    aloe,
    conversations,
    grid,
    jury,
    prefeval,
    prefeval_data,
    protocol,
    recall,
    recall_own,
    single_turn,
)
from pa_jax.evaluate.reports import page, plots, tables
from pa_jax.evaluate.systems import baselines, personal_agent
from pa_jax.jobs import policy, setup
from pa_jax.judge import remote
from pa_jax.train import loop

UNTRAINED = "untrained"
SELF = "the model under test"
T = TypeVar("T")
NOT_TRAINED = 1_000_003  # added to the seed of users whose split training draws from too


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `eval` job; a second start on the same folder goes on."""
    began = time.monotonic()
    mesh = setup.chosen_mesh(config)
    chosen, loads = open_systems(config, mesh), openers(config, mesh)
    setup.open_workdir(config, workdir)
    made = {name: open_benchmark(name, config, workdir) for name in config.benchmarks}
    records = grid.Records(workdir / "records.jsonl", retry_failed=config.retry_failed)
    with meshes.using(mesh), others(config, workdir, mesh) as rest:
        for name, load in loads.items():
            fill_in(name, made, open_tools(config, load(), rest, mesh), chosen, records)
    if jax.process_index() == 0:
        write(config, workdir, records, seconds=time.monotonic() - began)


def fill_in(
    name: str,
    made: Mapping[str, protocol.Benchmark],
    tools: protocol.Tools,
    chosen: Mapping[str, baselines.System],
    records: grid.Records,
) -> None:
    """The missing rows of one model: every benchmark under every system."""
    for benchmark in made.values():
        if benchmark.name == single_turn.SingleTurn.name:  # it compares models, not systems
            assert isinstance(benchmark, single_turn.SingleTurn)
            one = dict.fromkeys(benchmark.cfg.views, baselines.System(baselines.zero_shot))
            grid.run(benchmark, name, one, tools, records)
        else:
            grid.run(benchmark, name, chosen, tools, records)
    logging.info(
        "%s: %d prompt tokens asked, %d computed (padding included)",
        name,
        tools.model.asked,
        tools.model.prefilled,
    )


def open_systems(
    config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh | None
) -> dict[str, baselines.System]:
    """The systems that config.systems names, with PersonalAgent among the choices."""
    if mesh is not None and {personal_agent.NAME, personal_agent.ASKING} & {*config.systems}:
        rows = {"infer.rows": config.infer.rows}
        setup.check_rows(mesh.shape, rows)
    agent = personal_agent.PersonalAgent(
        setup.section(inferencer.InferConfig, config.infer),
        setup.section(rule.AskConfig, config.ask),
    )
    ours = {personal_agent.NAME: agent.system(), personal_agent.ASKING: agent.asking()}
    known = baselines.SYSTEMS | ours
    if config.baseline not in known:
        raise ValueError(f"baseline={config.baseline!r}: choose one of {sorted(known)}.")
    return baselines.choose(config.systems, known)


def open_benchmark(
    name: str, config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> protocol.Benchmark:
    """The benchmark of a name, with its data read."""
    if name not in BENCHMARKS:
        raise ValueError(f"benchmarks has {name!r}: choose among {sorted(BENCHMARKS)}.")
    path = workdir / f"quarantine-{name}.jsonl" if jax.process_index() == 0 else None
    with quarantine_lib.Quarantine(path) as quarantine:
        return BENCHMARKS[name](Opening(config, workdir, quarantine))


@dataclasses.dataclass(frozen=True)
class Opening:
    """What a benchmark is opened from; what cannot be read goes into quarantine."""

    config: ml_collections.ConfigDict
    workdir: pathlib.Path
    quarantine: quarantine_lib.Quarantine


def _dialogues(of: Opening, *, mcq: bool) -> prefeval_data.Dialogues:
    cfg = _seeded(prefeval_data.PrefEvalConfig, of.config, of.config.prefeval)
    return prefeval_data.Dialogues(cfg, of.quarantine, mcq=mcq)


def _aloe(of: Opening) -> aloe.Aloe:
    cfg = _seeded(aloe.AloeConfig, of.config, of.config.aloe)
    return aloe.Aloe(cfg, aloe.read(cfg, of.quarantine), name="aloe")


def _rlpa(of: Opening) -> aloe.Aloe:
    cfg = _seeded(aloe.AloeConfig, of.config, of.config.aloe)
    return aloe.Aloe(cfg, aloe.read_cases(cfg, "rlpa_path", of.quarantine), name="aloe_rlpa")


def _aloe_unseen(of: Opening) -> aloe.Aloe:
    cfg = _seeded(aloe.AloeConfig, of.config, of.config.aloe)
    return aloe.Aloe(cfg, aloe.read_cases(cfg, "unseen_path", of.quarantine), name="aloe_unseen")


def _conversations(of: Opening) -> conversations.Conversations:
    cfg = setup.section(conversations.ConversationsConfig, of.config.conversations)
    return conversations.Conversations(cfg, conversations.read(cfg.path, of.quarantine))


def _single_turn(of: Opening) -> single_turn.SingleTurn:
    cfg = setup.section(single_turn.SingleTurnConfig, of.config.single_turn)
    episodes = setup.labelled(setup.open_episodes(of.config, of.workdir, cfg.split))
    chosen = setup.spread(episodes, cfg.episodes)
    return single_turn.SingleTurn(cfg, chosen, of.config.data.source)


def _unseen(of: Opening) -> recall.Recall:
    cfg = _seeded(recall.RecallConfig, of.config, of.config.unseen)
    return _recall(of, cfg, "unseen", split="unseen")


def _long_horizon(of: Opening) -> recall.Recall:
    cfg = _seeded(recall.RecallConfig, of.config, of.config.long_horizon)
    return _recall(of, cfg, "long_horizon")


def _noise(of: Opening) -> recall.Recall:
    cfg = _seeded(recall.RecallConfig, of.config, of.config.noise)
    said = prefeval_data.read_noise(of.config.prefeval.path, cfg.noise)
    return _recall(of, cfg, "noise", noise=said)


def _recall(
    of: Opening,
    cfg: recall.RecallConfig,
    name: str,
    *,
    split: str = "train",
    noise: baselines.Chat = (),
) -> recall.Recall:
    """Users of a file of one's own where there is one, or else synthetic ones of a split."""
    if cfg.path:
        found = recall_own.moments(cfg, name, of.quarantine, noise)
    else:
        seed = cfg.seed + NOT_TRAINED if split == "train" else cfg.seed
        found = recall.moments(dataclasses.replace(cfg, seed=seed), split, noise)
    return recall.Recall(cfg, found, name=name)


BENCHMARKS: dict[str, Callable[[Opening], protocol.Benchmark]] = {
    "prefeval_mcq": lambda of: prefeval.Mcq(_dialogues(of, mcq=True), as_text=False),
    "prefeval_mcq_text": lambda of: prefeval.Mcq(_dialogues(of, mcq=True), as_text=True),
    "prefeval_mcq_rotated": lambda of: prefeval.RotatedMcq(_dialogues(of, mcq=True)),
    "prefeval_generation": lambda of: prefeval.Generation(_dialogues(of, mcq=False)),
    "aloe": _aloe,
    "aloe_rlpa": _rlpa,
    "aloe_unseen": _aloe_unseen,
    "conversations": _conversations,
    "single_turn": _single_turn,
    "unseen": _unseen,
    "long_horizon": _long_horizon,
    "noise": _noise,
}


def _seeded(
    kind: type[T], config: ml_collections.ConfigDict, values: ml_collections.ConfigDict
) -> T:
    return setup.section(kind, ml_collections.ConfigDict({**values, "seed": config.seed}))


def openers(
    config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh | None
) -> dict[str, Callable[[], models.LoadedModel]]:
    """By name, what loads the untrained model, and each run at config.checkpoint."""
    folders = [pathlib.Path(str(run)) for run in config.runs]
    made: dict[str, Callable[[], models.LoadedModel]] = {
        folder.name: functools.partial(policy.opened, config, str(folder), mesh, key="runs")
        for folder in folders
    }
    if len(made) < len(folders) or UNTRAINED in made:
        raise ValueError(
            f"config.runs={tuple(config.runs)}: their folders' names tell models apart; give each "
            f"another name, and none {UNTRAINED!r}."
        )
    for folder in folders:  # before hours go into the models in front of it
        if not folder.expanduser().is_dir():
            raise ValueError(
                f"runs names {str(folder)!r}, which is no folder; give the work directories of "
                "training runs."
            )
    made = {UNTRAINED: functools.partial(policy.opened, config, config.model.source, mesh)} | made
    if config.against not in made:
        raise ValueError(f"config.against={config.against!r}: choose one of {list(made)}.")
    return made


@dataclasses.dataclass(frozen=True)
class Others:
    """Judge and simulated user where they are not the model under test.

    judge   a model of its own; remote, a door to another's; None: the model under test
    user    a model of its own, or the judge's
    """

    judge: chat_model.ChatModel | None
    remote: jury.ByText | None
    user: chat_model.ChatModel | None


JUDGES = ("labels", "text", "remote")


@contextlib.contextmanager
def others(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, mesh: jax.sharding.Mesh | None
) -> Iterator[Others]:
    """The models that config.judge and config.user name; a remote judge is closed at the end."""
    if config.judge.kind not in JUDGES:
        raise ValueError(f"judge.kind={config.judge.kind!r}: choose one of {list(JUDGES)}.")
    judge, user = (
        open_chat_model(config, _frozen(config, name, mesh), mesh) if config[name].source else None
        for name in ("judge", "user")
    )
    if config.judge.kind != "remote":
        yield Others(judge, None, user or judge)
        return
    endpoint = setup.endpoint(config.judge.remote, workdir)
    asked = remote.Remote(dataclasses.replace(endpoint, format="none"))  # answers are no JSON
    try:
        yield Others(None, jury.ByText(lambda chats: asked.texts(list(map(_plain, chats)))), user)
        logging.info("remote judge: %s", asked.figures())
    finally:
        asked.close()


def _frozen(
    config: ml_collections.ConfigDict, section: str, mesh: jax.sharding.Mesh | None
) -> models.LoadedModel:
    rules, source = sharding.INFER_RULES, config[section].source
    with setup.source_of(f"{section}.source"):
        return models.load(source, mesh=mesh, dtype=config.judge.dtype, rules=rules)


def open_chat_model(
    config: ml_collections.ConfigDict,
    loaded: models.LoadedModel,
    mesh: jax.sharding.Mesh | None,
) -> chat_model.ChatModel:
    """The model as benchmarks and judges ask it."""
    cfg = setup.section(chat_model.ChatConfig, config.chat_model)
    return chat_model.ChatModel(loaded, cfg, lengths=config.lengths, mesh=mesh)


def _plain(chat: jury.Chat) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in chat]


def open_tools(
    config: ml_collections.ConfigDict,
    loaded: models.LoadedModel,
    rest: Others,
    mesh: jax.sharding.Mesh | None,
) -> protocol.Tools:
    """What the benchmarks work with while `loaded` is the model under test."""
    model = open_chat_model(config, loaded, mesh)
    judge = rest.judge or model
    decides: jury.ByText | jury.ByLabels
    if rest.remote is not None:
        decides = rest.remote
    elif config.judge.kind == "text":
        decides = jury.ByText(lambda chats: [one.text for one in judge.reply(chats)])
    else:
        decides = jury.ByLabels(judge)
    limits = setup.section(prompts.PromptConfig, config.prompt)
    if loaded.prompt is not None:  # what it was trained on
        limits = prompts.PromptConfig.of(loaded.prompt)
    values = ml_collections.ConfigDict({**config.system, "prompt": limits})
    cfg = setup.section(baselines.SystemConfig, values)
    return protocol.Tools(model, decides, rest.user or judge, cfg)


def write(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    records: grid.Records,
    *,
    seconds: float,
) -> None:
    """report.json, report.md, report.html and eval.png, from the records alone."""
    rows = records.rows()
    found = tables.entries(rows, baseline=config.baseline, against=config.against)
    about = {
        "config_digest": digest(config),
        "seed": config.seed,
        "model": config.model.source,
        "runs": list(config.runs),
        "judge": f"{config.judge.kind}, {_judge(config)}",
        "simulated_user": config.user.source or config.judge.source or SELF,
        "rows": len(rows),
        "judge_failures": sum(row["failed"] for row in rows),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds_this_start": round(seconds, 1),
        "peak_rss_gb": loop.peak_rss_gb(),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
    }
    changes, samples = tables.slopes(rows), tables.samples(rows)
    figures = about | {
        "entries": tables.as_json(found),
        "slopes": [c | {"slope": dataclasses.asdict(c["slope"])} for c in changes],
    }
    files.atomic_write(workdir / "report.json", json.dumps(figures, indent=2) + "\n")
    made = tables.tabled(found, changes, config.baseline, config.against)
    table = tables.markdown(made)
    lines = "\n".join(f"- {key}: {value}" for key, value in about.items())
    shown = tables.samples_markdown(samples)
    text = f"# Evaluation\n\n{lines}\n\n{table}\n\n# Samples\n\n{shown}\n"
    files.atomic_write(workdir / "report.md", text)
    picture = plots.grid(found, rewards(config.runs))
    plots.save(picture, workdir / "eval.png")
    html = page.render(
        "evaluation.html.j2", about=about, tables=made, samples=samples, picture=plots.svg(picture)
    )
    files.atomic_write(workdir / "report.html", html)
    tqdm.tqdm.write(table)
    tqdm.tqdm.write(
        f"Done in {seconds / 60:.1f} min: {workdir}/report.html, report.md, report.json, eval.png, "
        "records.jsonl."
    )


def rewards(runs: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
    """(step, mean reward) of the runs that were trained with one, by their folders' names."""
    found = {}
    for folder in map(pathlib.Path, runs):
        path = folder / "metrics.jsonl"
        rows = files.read_rows(path) if path.exists() else ()
        of = [(row["step"], row.get("reward/mean")) for row in rows]
        points = [(step, reward) for step, reward in of if reward is not None]
        if points:
            found[folder.name] = points
    return found


def _judge(config: ml_collections.ConfigDict) -> str:
    if config.judge.kind == "remote":
        return f"{config.judge.remote.model} at {config.judge.remote.url}"
    return config.judge.source or SELF


def digest(config: ml_collections.ConfigDict) -> str:
    """A short name of the config's values."""
    text = json.dumps(json.loads(config.to_json()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
