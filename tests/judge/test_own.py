"""Judges and rewards of the user's own: what they give is checked, what fails is counted."""

import importlib
import re

import numpy as np
import pytest

from pa_jax import judge
from pa_jax.core import named
from pa_jax.dialogue import schema
from pa_jax.jobs import grpo, setup
from pa_jax.judge import own, rubric

CODE = """
import numpy as np
from pa_jax import judge

LIMIT = 5


def brief(group):
    return {"brief": [1 / (1 + len(text)) for text in group.texts]}


def two(group):
    return {"b": np.arange(len(group.texts)), "a": [0.5] * len(group.texts)}


def fragile(group):
    user = group.episode.user
    if user == "raise":
        raise KeyError("no such user")
    if user == "names":
        return {"other": [0.0] * len(group.texts)}
    if user == "none":
        return None
    if user == "shape":
        return {"brief": [0.0] * (len(group.texts) + 1)}
    if user == "scalar":
        return {"brief": 0.5}
    if user == "words":
        return {"brief": ["good"] * len(group.texts)}
    if user == "nan":
        return {"brief": [0.0, float("nan")]}
    return brief(group)


class Half:
    def score(self, groups):
        return judge.gathered([np.full((len(g.texts), 4), 0.5) for g in groups])


class Picky:
    '''Raises on a whole step with a bad group, and on that group alone.'''

    def score(self, groups):
        if any(g.episode.user == "raise" for g in groups):
            raise RuntimeError("cannot judge this")
        if any(g.episode.user == "shape" for g in groups):
            return judge.Scores(np.zeros((1, 1, 2), np.float32), np.zeros((1, 1), bool))
        rows = [np.full((len(g.texts), 4), 0.5) for g in groups]
        rows[0][0, 1] = np.nan  # no verdict on the first text
        return judge.gathered(rows)


class Mute:
    pass


def made_mute():
    return Mute()
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The module own_code, in a folder that Python looks into."""
    name = f"own_code_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def groups(*users):
    """A group of two texts for each user's words."""
    return [
        rubric.Group(
            schema.Episode(f"u{i}/0", f"u{i}", (), "", user, "The user likes tea."),
            ((1,), (2, 3)),
            ("Tea.", "The user likes tea."),
        )
        for i, user in enumerate(users)
    ]


def test_named_scores_come_as_columns_in_the_order_of_the_names(mine):
    one = own.Reward(f"{mine}:two", ("a", "b"))
    scores = one.score(groups("x", "y"))
    np.testing.assert_array_equal(scores.values, [[[0.5, 0], [0.5, 1]]] * 2)
    assert not scores.failed.any() and one.figures() == {"judge/failed_groups": 0}


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("raise", r"KeyError: 'no such user' \(.*own_code_\w+\.py:\d+\)"),
        ("names", r"gave \['other'\]; wanted is a dict of \['brief'\]"),
        ("none", "gave NoneType; wanted is a dict"),
        ("shape", r"'brief' has shape \(3,\); wanted is \(2,\)"),
        ("scalar", r"'brief' has shape \(\); wanted is \(2,\)"),
        ("words", "ValueError: could not convert string"),
        ("nan", "'brief' is nan for text 1; wanted are finite"),
    ],
)
def test_a_group_without_a_score_fails_alone_is_named_and_counted(mine, user, said, caplog):
    one = own.Reward(f"{mine}:fragile", ("brief",))
    with caplog.at_level("WARNING", logger="absl"):
        scores = one.score(groups("x", user, "y", "z"))
    assert scores.failed.tolist() == [[False] * 2, [True] * 2, [False] * 2, [False] * 2]
    np.testing.assert_allclose(scores.values[0, :, 0], [1 / 5, 1 / 20])
    assert one.figures() == {"judge/failed_groups": 1}
    assert one.figures() == {"judge/failed_groups": 0}  # since the last call
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.search(rf"reward.function='{mine}:fragile': no score for u1/0: {said}", line)


@pytest.mark.parametrize(
    ("users", "stops"),
    [
        (["raise"], True),  # all of them
        (["raise", "x"], False),  # one may fail whatever their number
        (["raise", "nan", "x", "x", "x"], True),  # 40 %
        (["raise", "nan", *"x" * 8], False),  # 20 %, no more
        (["raise", "nan", "none", *"x" * 9], True),  # 25 %
    ],
)
def test_too_many_failed_groups_end_the_step_with_one_message(mine, users, stops):
    one = own.Reward(f"{mine}:fragile", ("brief",))
    bad = sum(user != "x" for user in users)
    if not stops:
        assert one.score(groups(*users)).failed.any(axis=1).sum() == bad
        return
    with pytest.raises(own.TooManyFailed, match=rf"{bad} of {len(users)} groups in a step.*last:"):
        one.score(groups(*users))


def test_a_class_with_score_alone_is_a_judge(mine):
    assert not issubclass(type(None), judge.Judging)
    one = judge.Judge(f"{mine}:Half")
    scores = one.score(groups("x", "y"))
    assert (scores.values == 0.5).all() and scores.values.shape == (2, 2, 4)
    assert one.figures() == {"judge/failed_groups": 0}
    one.close()


def test_where_a_judge_cannot_score_all_groups_each_is_tried_alone(mine):
    one = judge.Judge(f"{mine}:Picky")
    scores = one.score(groups("x", "raise", "y", "z", "w"))
    assert scores.failed.tolist() == [[True, False], [True, True], *[[True, False]] * 3]
    assert (scores.values[0] == [[0] * 4, [0.5] * 4]).all()
    # A text without a verdict is no failed group.
    assert one.figures() == {"judge/failed_groups": 1}
    with pytest.raises(own.TooManyFailed, match=r"values and failed have shapes \(1, 1, 2\)"):
        one.score(groups("shape", "shape", "x"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("brief", "give module:name"),
        ("own code:brief", "give module:name"),
        ("no_such_module:brief", "no module 'no_such_module'; start the job in the folder"),
        ("no_such_package.part:brief", "no module 'no_such_package'"),
        ("{mine}:absent", r"has no 'absent'; it has \['Half', 'Mute', 'Picky', 'brief'"),
        ("{mine}:LIMIT", "LIMIT is a int, nothing that can be called"),
    ],
)
def test_what_is_not_there_is_named(mine, text, said):
    with pytest.raises(ValueError, match=rf"reward.function='.*{said}"):
        named.resolve(text.format(mine=mine), "reward.function")


def test_a_module_that_lacks_another_says_which(tmp_path, monkeypatch):
    (tmp_path / "lacking_code.py").write_text("import not_installed_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        named.resolve("lacking_code:score", "reward.function")


@pytest.mark.parametrize("name", ["Mute", "made_mute"])
def test_a_class_without_score_is_no_judge(mine, name):
    with pytest.raises(ValueError, match="Mute has no `score`"):
        judge.Judge(f"{mine}:{name}")


@pytest.mark.parametrize(
    "change",
    [
        {"reward.function": "absent_code:score", "reward.names": ("a",), "reward.weights": (1.0,)},
        {"judge.kind": "absent_code:Judge"},
        {"data.source": "absent_code:read"},
        {"data.source": "absent_code:read=1,synthetic=2"},
        {"reward.names": ("a",)},
        {"loss.updates": 3, "loss.minibatches": 2},
    ],
)
def test_a_missing_module_ends_the_job_before_the_model_loads(change, tmp_path):
    config = importlib.import_module("configs.grpo").get_config("tiny")
    config.model.source = "folder/that/is/not/there"  # loading it would raise another error
    for key, value in change.items():
        section, name = key.split(".")
        config[section][name] = value
    wanted = "absent_code" if "absent_code" in str(change) else "give both|multiple of minibatches"
    with pytest.raises(ValueError, match=wanted):
        grpo.run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_the_judge_job_finds_its_kinds_first():
    config = importlib.import_module("configs.judge").get_config("tiny")
    config.kinds = ("reference", "absent_code:Judge")
    with pytest.raises(ValueError, match="judge.kind='absent_code:Judge'"):
        setup.check_named(config)
