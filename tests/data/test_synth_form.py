"""The form of turns: hand-counted, and the docs page shows what its command makes."""

import re

import pytest

from pa_jax.data.synth import form

TURNS = [
    ("I love tea and hate milk.", "The user loves tea.\nThe user hates milk."),
    ("Hi!", "No new preference."),
    ("No car here.", "The user has no car."),
    ("I don't eat pork, you know", "The user does not eat pork."),
]


def test_figures_are_those_counted_by_hand():
    found = form.measured(TURNS)
    assert found.turns == 4
    assert found.words[0] == pytest.approx((6 + 1 + 3 + 6) / 4)
    assert found.facts == (0.25, 0.5, 0.25, 0.0)
    assert found.noted == pytest.approx((4 + 4 + 5 + 6) / 4)
    assert found.verbs == {
        "loves": 0.25,
        "hates": 0.25,
        "has no": 0.25,
        "does not eat": 0.25,
    }
    assert found.negative == 0.75


def test_turns_without_a_statement_are_named():
    with pytest.raises(ValueError, match="none of 1 turns"):
        form.measured([("Hi!", "No new preference.")])


def test_the_docs_page_shows_what_its_command_makes(root, capsys):
    page = (root / "docs/guide/synthetic.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    exec(compile(code, "docs/guide/synthetic.md", "exec"), {})
    shown = [line for line in capsys.readouterr().out.splitlines() if line]
    cells = [line.removesuffix(" |") for line in shown]
    missing = [line for line in cells if line not in page]
    assert len(shown) > 40
    assert missing == [], "run the page's command and put what it prints into the page"
