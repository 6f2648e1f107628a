"""The reference of config keys: none without a meaning, and the meanings are those of the files."""

import pytest

from docs import config_keys
from pa_jax.jobs import configs


@pytest.mark.parametrize("name", configs.names())
def test_every_key_has_a_meaning(name):
    lacking = [key.name for key in config_keys.keys(name) if not key.meaning]
    assert not lacking, (
        f"configs/{name}.py: say beside the key, or in the docstring of its dataclass, what "
        f"{lacking} mean"
    )


def meaning(name, key):
    (found,) = (one for one in config_keys.keys(name) if one.name == key)
    return found


def test_meanings_come_from_comments_and_docstrings():
    assert meaning("grpo", "train.keep").meaning == "checkpoints that stay"  # LoopConfig
    assert meaning("chat", "asker").meaning.startswith("model source or run of a policy")
    assert meaning("grpo", "task").meaning.startswith("infer: write the preference of a turn; ask")
    assert "cut completions met no pressure" in meaning("grpo", "reward.truncated").meaning  # both
    assert "a number: that is their reward" in meaning("grpo", "reward.truncated").meaning
    assert meaning("plan", "lengths").meaning.startswith("tokens of packed rows")  # of grpo
    assert meaning("infer", "infer.place_sure").meaning.startswith("lexical lead")  # PlaceConfig


def test_values_are_those_of_the_presets():
    steps = meaning("grpo", "train.steps").values
    assert steps["smollm2"] == 2 and steps["tiny"] == 6 and steps["qwen3-4b"] == 500
    assert list(meaning("export", "run").values) == [""]


def test_lines_of_a_docstring():
    doc = """What it is.

    rows, cols   how many
                 of each
    other_name  one
      deeper    still of one

    Words after it.
    """
    assert config_keys.fields(doc) == {
        "rows": "how many of each",
        "cols": "how many of each",
        "other_name": "one deeper    still of one",
    }


def test_a_table_has_four_cells_a_line():
    lines = [one for one in config_keys.table("judge").split("\n") if one.startswith("|")]
    assert len(lines) == 2 + len(config_keys.keys("judge"))
    for line in lines:
        assert line.replace("\\|", "").count("|") == 5
