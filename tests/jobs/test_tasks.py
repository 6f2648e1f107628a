"""What a policy is trained to write is chosen at one place, and the config says what is run."""

import pytest

from pa_jax.data import dialogues
from pa_jax.dialogue import asking, prompts
from pa_jax.jobs import configs, setup, tasks

REQUESTS = dialogues.DataConfig("requests", "", "explicit", 5, 3, 0, False, "gold", 0.5)


def config_of(job="grpo", **changes):
    made = configs.load(f"{job}:tiny")
    for key, value in changes.items():
        made.update_from_flattened_dict({key.replace("__", "."): value})
    return made


@pytest.mark.parametrize("job", ["grpo", "ablate"])
def test_the_config_of_a_task_says_what_is_run(job):
    infers, asks = (tasks.resolved(config_of(job, task=task)) for task in ("infer", "ask"))
    assert setup.flat(infers.to_dict()) == setup.flat(config_of(job).to_dict())
    before, after = (setup.flat(one.to_dict()) for one in (infers, asks))
    assert {key: after[key] for key in after if after[key] != before[key]} == {
        "task": "ask", "data.source": "requests", "judge.kind": "asking",
    }  # fmt: skip
    assert tasks.resolved(asks).to_dict() == asks.to_dict()  # of a run that goes on
    assert tasks.of(asks) is tasks.of(after | {"data": {"source": "requests"}}) is tasks.ASK


@pytest.mark.parametrize(
    ("changes", "given", "told"),
    [
        ({"task": "play"}, (), "task='play': choose one of"),
        ({"task": "ask", "data__source": "aloe"}, (), "data.source='aloe' is not used by task"),
        ({"task": "ask", "judge__kind": "remote"}, (), "judge.kind='remote' is not used by task"),
        ({"task": "ask"}, ("judge.kind",), "judge.kind='likelihood' is not used by task"),
        ({"task": "ask", "data__source": "a:b"}, (), "set task='infer'"),
        ({"data__source": "requests"}, (), "data.source='requests' is of the decision to ask"),
        ({"judge__kind": "asking"}, (), "judge.kind='asking' is of the decision to ask"),
    ],
)
def test_what_only_the_other_task_uses_is_named(changes, given, told):
    with pytest.raises(ValueError, match=told):
        tasks.resolved(config_of(**changes), given)


def test_the_data_name_the_task_of_supervised_steps():
    assert tasks.of(config_of("sft")) is tasks.INFER
    assert tasks.of(config_of("sft", data__source="requests")) is tasks.ASK


def test_a_task_has_its_episodes_its_prompt_its_scores_and_what_is_told_of_them():
    found = tasks.ASK.episodes(REQUESTS, split="heldout", quarantine_path=None)
    assert len(found) == 3 and all(len(one.options) == asking.OPTIONS for one in found)
    with pytest.raises(ValueError, match="no split 'all'"):
        tasks.ASK.episodes(REQUESTS, split="all", quarantine_path=None)
    limits = prompts.PromptConfig(200, 200, 500, ())
    for one in found:
        assert all(
            f"- {topic}" in tasks.ASK.prompt(one, limits)[-1].content for topic in one.options
        )
        best = max(tasks.ASK.scores(one, asking.render(asking.Action(t)))[0] for t in one.options)
        answered = tasks.ASK.scores(one, asking.ANSWER)[0]
        assert tasks.ASK.scores(one, one.gold) == (max(best, answered),) * 4
        told = tasks.ASK.about(one)
        assert [topic in line for topic, line in zip(one.options, told, strict=True)] == [True] * 4
