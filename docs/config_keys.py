"""Every key of every config, with its meaning and its values.

A key's meaning is its comment in configs/, or else its line in the docstring of the dataclass that
the section fills. tests/docs/test_config_keys.py fails where a key has neither.
"""

import ast
import dataclasses
import inspect
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

from pa_jax.agent import reply_prompt, turn
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import inferencer, placing
from pa_jax.bench import work
from pa_jax.data import dialogues
from pa_jax.dialogue import prompts
from pa_jax.evaluate import chat_model, heldout
from pa_jax.evaluate.benchmarks import aloe, conversations, prefeval_data, recall, single_turn
from pa_jax.evaluate.systems import baselines
from pa_jax.infer.serving import scheduler
from pa_jax.jobs import configs, setup, warm
from pa_jax.judge import remote
from pa_jax.plan import work as plan_work
from pa_jax.rl import advantage, learner, loss
from pa_jax.serve import limits
from pa_jax.train import loop, optimizer

PRESETS = ("qwen2.5-0.5b", "smollm2", "tiny", "qwen3-0.6b", "qwen3-4b-lora", "qwen3-4b")

KINDS = {  # a section's last name -> what documents its keys
    "agent": turn.AgentConfig,
    "aloe": aloe.AloeConfig,
    "ask": rule.AskConfig,
    "bench": work.BenchConfig,
    "conversations": conversations.ConversationsConfig,
    "data": dialogues.DataConfig,
    "eval": heldout.EvalConfig,
    "full": work.Sizes,
    "infer": inferencer.InferConfig,
    "limits": limits.Limits,
    "live": scheduler.Scheduler,
    "long_horizon": recall.RecallConfig,
    "loss": loss.LossConfig,
    "noise": recall.RecallConfig,
    "optim": optimizer.OptimConfig,
    "prefeval": prefeval_data.PrefEvalConfig,
    "prompt": prompts.PromptConfig,
    "ragged": work.Sizes,
    "remote": remote.Endpoint,
    "reply": reply_prompt.ReplyConfig,
    "reward": advantage.RewardConfig,
    "rollout": learner.RolloutConfig,
    "single_turn": single_turn.SingleTurnConfig,
    "chat_model": chat_model.ChatConfig,
    "system": baselines.SystemConfig,
    "tokens": plan_work.Tokens,
    "train": loop.LoopConfig,
    "unseen": recall.RecallConfig,
    "warm": warm.WarmConfig,
}
SHOWN = 160  # characters of a value
FIELD = re.compile(r"(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*) {2,}(?P<text>\S.*)")


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a config: its meaning ("" where there is none) and its value by preset."""

    name: str
    meaning: str
    values: Mapping[str, object]


def table(name: str) -> str:
    """The config's first lines and its keys as Markdown."""
    tree = ast.parse((configs.folder() / f"{name}.py").read_text())
    about = ast.get_docstring(tree).split("\n")[0]
    lines = [f"## {name}", "", about, "", "| key | meaning | default | other presets |"]
    lines.append("| --- | --- | --- | --- |")
    for key in keys(name):
        first, *rest = key.values.items()
        other = ", ".join(f"{p}: `{_shown(value)}`" for p, value in rest if value != first[1])
        cells = (f"`{key.name}`", _plain(key.meaning), f"`{_shown(first[1])}`", other)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _shown(value: object) -> str:
    """A value as code, the start of a long one."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]} ..."


def keys(name: str) -> list[Key]:
    """Every key of a config but `job`, by name."""
    made = {}
    for preset in PRESETS:
        try:
            made[preset] = setup.flat(configs.load(f"{name}:{preset}").to_dict())
        except ValueError:
            continue
    made = made or {"": setup.flat(configs.load(name).to_dict())}
    said = meanings(name)
    first = next(iter(made.values()))
    return [
        Key(key, _meaning(key, said), {p: v.get(key) for p, v in made.items()})
        for key in first
        if key != "job"
    ]


def _meaning(key: str, said: Mapping[str, str]) -> str:
    """What a dataclass and the config say of a key, or else what is said of its section."""
    doc, comment = documented(key), said.get(key, "")
    if not _words(comment) - _words(doc):
        return doc or said.get(key.rpartition(".")[0], "")
    if not _words(doc) - _words(comment):
        return comment
    return f"{doc.removesuffix('.')}. {comment}"


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text.lower())) - {"a", "an", "the", "and", "or"}


def documented(key: str) -> str:
    """What the dataclass behind a section says of a key."""
    *sections, name = key.split(".")
    kind = KINDS.get(sections[-1]) if sections else None
    if kind is None:
        return ""
    for one in (*kind.__mro__, *((placing.PlaceConfig,) if name.startswith("place_") else ())):
        said = fields(one.__doc__ or "")
        for wanted in (name, name.removeprefix("place_")):
            if wanted in said:
                return said[wanted]
    return ""


def fields(doc: str) -> dict[str, str]:
    """The lines "name, name   meaning" of a docstring; deeper lines go on with one."""
    found: dict[str, str] = {}
    names, indent = (), 0
    for line in inspect.cleandoc(doc).split("\n"):
        match = FIELD.fullmatch(line.strip())
        if match and (not names or len(line) - len(line.lstrip()) <= indent):
            names, indent = tuple(match["names"].split(", ")), len(line) - len(line.lstrip())
            found |= dict.fromkeys(names, match["text"])
        elif names and line.startswith(" " * (indent + 2)):
            found |= {one: f"{found[one]} {line.strip()}" for one in names}
        else:
            names = ()
    return found


def meanings(name: str) -> dict[str, str]:
    """Comments of a config's keys, those of configs/common.py and of other configs included."""
    return dict(_of_function(name, "get_config", ""))


def _of_function(file: str, function: str, prefix: str) -> Iterator[tuple[str, str]]:
    """(key, comment) of what a function of configs/FILE.py puts into its ConfigDict."""
    text = (configs.folder() / f"{file}.py").read_text()
    comments = _comments(text)
    (made,) = (n for n in ast.parse(text).body if getattr(n, "name", "") == function)
    for node in ast.walk(made):
        if isinstance(node, ast.Assign):
            said = _beside(node, node.value, comments)
            for target in node.targets:
                path = _path(target)
                if path and said:
                    yield prefix + path, said
                yield from _of_value(file, node.value, f"{prefix}{path}", comments)
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
            for argument in node.value.args:
                yield from _of_value(file, argument, prefix, comments)


def _of_value(file, value, path, comments) -> Iterator[tuple[str, str]]:
    path = path and path.rstrip(".") + "."
    if isinstance(value, ast.Dict):
        for key, one in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                said = _beside(key, one, comments)
                if said:
                    yield f"{path}{key.value}", said
                yield from _of_value(file, one, f"{path}{key.value}", comments)
            else:  # **another(preset)
                yield from _of_value(file, one, path, comments)
    elif isinstance(value, ast.Call):
        called = value.func
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            if (configs.folder() / f"{called.value.id}.py").is_file():
                yield from _of_function(called.value.id, called.attr, path)
        elif isinstance(called, ast.Name) and file == "common" and called.id.islower():
            yield from _of_function(file, called.id, path)


def _path(target: ast.expr) -> str:
    """x.y of the target c.x.y; "" of a plain name."""
    names = []
    while isinstance(target, ast.Attribute):
        names.append(target.attr)
        target = target.value
    return ".".join(reversed(names))


def _comments(text: str) -> dict[int, tuple[str, bool]]:
    """Line -> its comment, and whether it has the line for itself."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (token.string.lstrip("# "), alone)
    return found


def _beside(node: ast.AST, value: ast.AST, comments: Mapping[int, tuple[str, bool]]) -> str:
    """The comment of an entry: above it, and beside it (a section's: beside its first line)."""
    above, line = [], node.lineno - 1
    while line in comments and comments[line][1]:
        above.insert(0, comments[line][0])
        line -= 1
    last = node.lineno if isinstance(value, ast.Dict) else value.end_lineno
    beside = [comments[n][0] for n in range(node.lineno, last + 1) if n in comments]
    return " ".join([*above, *beside])


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")
