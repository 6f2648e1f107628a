"""One frame with another value, and what nothing is set for."""

import pytest

from pa_jax.english import frames, opinions, statements


@pytest.mark.parametrize(
    ("old", "new", "quote", "replaced"),
    [
        ("wants prices in pounds", "wants prices in euros", "Euros please.", True),
        ("wants prices in pounds", "wants prices in bold", "Prices in bold.", False),
        ("wants prices in pounds", "wants prices in bold", "No, prices in bold.", True),
        ("wants menus in Dutch", "wants menus in large print", "Menus in large print.", False),
        ("likes films in Dutch", "likes films in Danish", "I like Danish films.", False),
        ("likes eggs soft-boiled", "likes eggs hard-boiled", "Hard-boiled.", True),
        ("likes eggs fried", "likes eggs poached", "Poached is good.", False),
        ("likes eggs fried", "likes eggs poached", "Poached these days.", True),
        ("likes strong cheese", "likes mild cheese", "Mild cheese!", False),
        ("wants long answers", "wants short answers", "Short, please.", True),
        ("wants long answers", "wants short poems", "Short poems.", False),
        ("wants tea with milk", "wants tea with lemon", "Lemon now.", False),
    ],
)
def test_another_value_of_a_frame(old, new, quote, replaced):
    assert frames.another_value(f"The user {new}.", f"The user {old}.", quote) is replaced


@pytest.mark.parametrize(
    ("opened", "told", "ends"),
    [
        ("has no set time to be at work", "has to be at work by eight", True),
        ("need not be at work by a set time", "has to be at work by eight", True),
        ("does not have to be at work by a set time", "has to be at work by eight", True),
        ("has no set time to be at work", "has to be at school by eight", False),
        ("has no time for lunch", "eats lunch at noon", False),
        ("has no fixed number of guests", "wants a hall for sixty guests", True),
        ("has no fixed number of guests", "wants a hall for guests", False),
        ("has no budget for a tent", "has a budget of 90 euros for a tent", True),
        ("has no budget for a boat", "has a budget of 90 euros for a tent", False),
    ],
)
def test_nothing_is_set_any_more(opened, told, ends):
    pair = (f"The user {opened}.", f"The user {told}.")
    assert frames.left_open(*pair) is ends
    assert frames.left_open(*reversed(pair)) is ends


@pytest.mark.parametrize(
    ("text", "against", "sort"),
    [
        ("finds opera boring", True, opinions.FINDS),
        ("thinks that opera is a real delight", False, opinions.FINDS),
        ("thinks opera is a delight", False, opinions.FINDS),
        ("considers opera to be a waste of money", True, opinions.FINDS),
        ("does not find opera boring", False, opinions.FINDS),
        ("finds chess hard", True, opinions.HARD),
        ("finds chess easy", False, opinions.HARD),
        ("thinks about great food", None, None),
    ],
)
def test_opinions(text, against, sort):
    found = opinions.find(text)
    wanted = "chess" if "chess" in text else "opera"
    assert found == (None if sort is None else (against, sort, wanted))


@pytest.mark.parametrize("text", ["is bored by opera", "is left cold by opera", "finds opera dull"])
def test_what_bores_is_about_the_same_as_what_is_loved(text):
    read, loved = statements.parse(f"The user {text}."), statements.parse("The user loves opera.")
    assert (read.kind, read.core, read.against) == (loved.kind, loved.core, True)
