"""Keys on the command line: every documented value can be set, a misspelling names its nearest."""

import os
import re
import subprocess
import sys
from importlib import metadata

import pytest
from absl import flags
from ml_collections import config_flags

from docs import config_keys
from pa_jax import main
from pa_jax.jobs import configs
from tests import devices

# ml_collections loads config files by it
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
CHOICES = re.compile(r"[\w:]+(?: \([^)]*\))?(?: \| [\w:]+(?: \([^)]*\))?)+")


def parsed(name, *overrides):
    """The config that the command line makes of these."""
    argv = ["main", f"--config={configs.located(name)}", *overrides]
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    with configs.importable():
        values(argv)
    return holder.value


def choices(key):
    """The values that a key's meaning names, `a | b (why) | c`."""
    for found in CHOICES.findall(key.meaning):
        yield from (re.sub(r" \(.*", "", one) for one in found.split(" | "))


def at(config, key):
    for part in key.split("."):
        config = config[part]
    return config


def test_every_value_that_the_reference_names_can_be_set():
    seen = 0
    for name in configs.names():
        keys = {key.name: sorted({*choices(key)}) for key in config_keys.keys(name)}
        wanted = {key: values for key, values in keys.items() if values}
        for number in range(max(map(len, wanted.values()), default=0)):
            now = {key: v[number] for key, v in wanted.items() if number < len(v)}
            config = parsed(name, *(f"--config.{key}={value}" for key, value in now.items()))
            for key, value in now.items():
                assert at(config, key) in (value, (value,)), (name, key)
            seen += len(now)
    assert seen > 100


@pytest.mark.parametrize("name", configs.names())
def test_every_key_takes_its_own_default_from_the_command_line(name):
    for preset in ("", ":tiny"):
        try:
            whole = parsed(name + preset)
        except flags.Error:
            assert name in ("export", "report", "review")  # without presets
            continue
        keys = {key: at(whole, key) for key in configs.keys(whole)}
        plain = {k: v for k, v in keys.items() if isinstance(v, str | int | float)}
        config = parsed(name + preset, *(f"--config.{k}={v}" for k, v in plain.items()))
        assert config.to_json() == whole.to_json()


@pytest.mark.parametrize("value", ["mask", "keep", "0.0", "-1", "0.5"])
@pytest.mark.parametrize("preset", ["grpo", "grpo:tiny", "ablate"])
def test_what_becomes_of_cut_completions_is_a_word_or_a_number(preset, value):
    config = parsed(preset, f"--config.reward.truncated={value}")
    number = value not in ("mask", "keep")
    assert config.reward.truncated == (float(value) if number else value)


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("optimizer.learning_rate=1e-5", "optim.learning_rate"),
        ("rollouts.group=4", "rollout.group"),
        ("rollout.grup=4", "rollout.group"),
        ("seeds=1", "seed"),
        ("rollout.group.more=1", "rollout.group"),
        ("models.lora.rank=4", "model.lora.rank"),
        ("judge.remote.max_token=4", "judge.remote.max_tokens"),
        ("learning_rate=4", "warm.learning_rate"),
    ],
)
def test_a_misspelt_key_names_the_nearest(given, nearest, root):
    key = given.partition("=")[0]
    argv = ["main", f"--config={root}/configs/grpo.py:tiny", f"--config.{given}"]
    said = main._misspelt(argv)
    assert said == f"unknown config key {key!r}; the nearest is {nearest!r}."
    assert main._misspelt(argv[:2]) == ""


def test_a_section_is_no_key(root):
    argv = ["main", f"--config={root}/configs/grpo.py", "--config.rollout=4"]
    assert "'rollout' is a section; set a key of it" in main._misspelt(argv)


def test_a_key_without_config_in_front_names_it(root):
    argv = ["main", "--config", f"{root}/configs/grpo.py"]
    assert "--config.rollout.group is the nearest" in main._misspelt(argv, "rollout.group")


@pytest.mark.parametrize(
    ("arguments", "status", "lines"),
    [
        (["--config=grpo:tiny", "--config.optimizer.learning_rate=1e-5"], 2, 1),
        (["--config=grpo:tiny", "--config.rollout.group=four"], 2, 1),
        ([], 2, None),
        (["--help"], 0, None),
        (["--version"], 0, 0),
    ],
)
def test_the_command_says_it_in_a_line_or_lists_the_jobs(arguments, status, lines, root):
    done = subprocess.run(
        [sys.executable, "-m", "pa_jax.main", *arguments], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == status
    if lines is not None:
        assert len(done.stderr.strip().splitlines()) == lines, done.stderr
        assert done.stdout == ("" if lines else f"pa_jax {metadata.version('pa_jax')}\n")
        return
    for name in configs.names():
        assert re.search(rf"(?m)^  {name} +\S.+\.$", done.stdout), name


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("optim.lr", "optim.learning_rate"),
        ("temp", "rollout.temperature"),
        ("rollout.group_size", "rollout.group"),
        ("data/path", "data.path"),
        ("optim.learning-rate", "optim.learning_rate"),
    ],
)
def test_an_abbreviation_is_near_to_what_it_stands_for(given, nearest, root):
    argv = ["main", f"--config={root}/configs/grpo.py:tiny", f"--config.{given}=1"]
    assert f"the nearest is {nearest!r}" in main._misspelt(argv)


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [
        ("workdri", "--workdir"),
        ("work_dir", "--workdir"),
        ("confg.rollout.group", "--config.rollout.group"),
        ("seed", "--config.seed"),
    ],
)
def test_a_misspelt_flag_names_the_nearest(flag, nearest, root):
    argv = ["main", "--config", f"{root}/configs/grpo.py"]
    assert main._misspelt(argv, flag).endswith(f": {nearest} is the nearest.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grpo:tiny", "--config.lengths=(256,'a')"], "config key 'lengths' is (256, 'a')"),
        (["grpo:tiny", "--config.lengths=x"], "config key 'lengths' is ('x',)"),
        (
            ["grpo:tiny", "--config.mesh.fsdp=1", "--config.lengths=()"],
            "lengths=(): at least one is needed",
        ),
        (["grpo:tiny", "--config.train.steps=1e3"], "train.steps=1e3: a whole number is allowed."),
        (["grpo:tiny", "--config.optim.eps=0,1"], "optim.eps=0,1: a number, with a point"),
        (["grpo:tiny", "--config.data.keep_empty=no"], "keep_empty=no: true or false is allowed."),
        (["grpo:tiny", "rollout.group=4"], "options are --config.rollout.group=VALUE."),
        (["gropo"], "--config=gropo: no such file; the nearest is grpo;"),
        (["GRPO:tiny"], "--config=GRPO:tiny: no such file; the nearest is grpo;"),
        (["grpo:tiny", "--config=sft:tiny"], "--config is given twice; give one."),
        (["grpo:tiny", "--preset=tiny"], "a preset stands behind the config's name"),
        (["grpo:tiny", "--config.workdir=x"], "the folder is named by --workdir=DIR."),
        (["grpo:tiny", "--config.data.path", "--config.seed=1"], "write --config.data.path=VALUE."),
        (["grpo:tiny", "--config.lengths=512 2048"], "several are written (A,B), words in quotes."),
        (["grpo:tiny", "--config.job=x"], "job='x': choose one of"),
        (["grpo:tiny", "--config.rollout.prompts=-1"], "rollout.prompts=-1: at least 1 is"),
        (["grpo:tiny", "--config.judge.kind=Verbal"], "judge.kind='Verbal': choose one of"),
        (["grpo:tiny", "--config.judge.remote.model=m"], "add --config.judge.kind=remote."),
        (["judge:tiny", "--config.remote.model=m"], "add --config.kinds=remote."),
        (["grpo:tiny", "--config.judge.source=a/b"], "of the Hub it is hf:a/b; allowed"),
        (["serve:tiny", "--config.host=x,"], "host='x,' is no address of this machine"),
        (["serve:tiny", "--config.key_file=/nix"], "key_file='/nix' cannot be read: No such"),
        (["grpo:tiny", "--config.rollout.group", "four"], "group=four: a whole number is allowed."),
        (["grpo:tiny", "--config.data.path=x"], "data.path='x' is not read by data.source="),
        (["serve:tiny", "--config.port=99999999"], "port=99999999: a number from 0"),
        (["judge:tiny", "--config.kinds=referense"], "kinds='referense': choose one of"),
        (["infer:tiny", "--config.checkpoint=bst"], "checkpoint='bst': choose 'best'"),
        (["chat:tiny", "--config.replier=/tmp/nix"], "replier='/tmp/nix': no such file"),
    ],
)
def test_a_wrong_value_is_a_line_that_names_its_key(arguments, said, started, tmp_path):
    one_device = os.environ | {"XLA_FLAGS": devices.flags(1)}
    command = [f"--config={arguments[0]}", *arguments[1:], f"--workdir={tmp_path}/w"]
    done = started(command, one_device)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert said in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grpo:tiny"], "unknown argument 'grpo:tiny'; the job is named by --config=grpo."),
        (["--job=grpo"], "unknown argument '--job=grpo'; the job is named by --config=grpo."),
        (["gropo:tiny", "--config.seed=1"], "the nearest to 'gropo:tiny' is --config=grpo."),
        (["start"], "no config is named: give --config=NAME, one of ablate, bench,"),
    ],
)
def test_without_a_config_one_is_asked_for(arguments, said):
    assert said in main._without_config(["main", *arguments])


def test_the_package_runs_as_its_main_module_does(root):
    for arguments, told in ((["grpo"], "named by --config=grpo."), (["--help"], "")):
        command = [sys.executable, "-m", "pa_jax", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        assert done.returncode == (2 if told else 0), done.stderr
        assert told in done.stderr and "Traceback" not in done.stderr


def test_words_with_commas_between_are_several(started):
    flags = ["--config=eval:tiny", "--config.mesh.fsdp=1", "--config.benchmarks=unseen"]
    done = started([*flags, "--config.systems=zero_shot, oracel"], dict(os.environ))
    assert done.returncode == 2 and "'oracel'" in done.stderr and "zero_shot, or" not in done.stderr
