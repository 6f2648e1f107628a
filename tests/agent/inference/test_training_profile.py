"""Notes of training grow by the agent's rules."""

from pa_jax.agent.inference import training_profile
from pa_jax.data import episodes as episodes_lib
from pa_jax.data.synth import users
from pa_jax.dialogue import schema, snippet
from pa_jax.english import statements


def told(*turns):
    """The statements after each turn of (words, snippet) pairs."""
    made = schema.Dialogue("d", "u", tuple(schema.Turn(words) for words, _ in turns))
    notes, found = training_profile.Notes(), []
    for number, (_, text) in enumerate(turns):
        notes = notes.after(made, number, text, True)
        found.append(notes.statements())
    return found


def test_what_is_new_is_added_and_a_stated_change_replaces_it():
    tea, coffee = "The user prefers green tea as a drink.", "The user prefers coffee as a drink."
    first, second = told(
        ("I prefer green tea as a drink.", tea),
        ("From now on I prefer coffee as a drink, no longer green tea.", coffee),
    )
    assert first == (tea,) and second == (coffee,)


def test_what_is_no_snippet_or_not_about_the_user_changes_nothing():
    quiet = told(("Tea is nice.", "Sure!"), ("Tea is nice.", ""), ("Tea is nice.", snippet.NOTHING))
    assert quiet == [(), (), ()]


def test_a_cut_line_is_dropped_and_the_lines_before_it_stay():
    made = schema.Dialogue("d", "u", (schema.Turn("Tea and walks, that is me."),))
    text = "The user likes tea.\nThe user likes wal"
    assert training_profile.Notes().after(made, 0, text, False).statements() == (
        "The user likes tea.",
    )


def test_what_is_said_outright_is_noted_where_the_snippet_lacks_it():
    first, second, third = told(
        ("i only do yoga. keep answers under two sentences", snippet.NOTHING),
        ("I'm allergic to nuts, and I love Thai food.", "The user loves Thai food."),
        ("I hate olives.", "The user dislikes olives."),
    )
    assert first == ("The user only does yoga.", "The user wants answers under two sentences.")
    assert second[2:] == ("The user loves Thai food.", "The user is allergic to nuts.")
    assert third[4:] == ("The user dislikes olives.",)


def test_the_rest_of_what_was_said_outright_is_noted_and_a_part_gives_way_to_the_whole():
    both, whole = told(
        ("I love Thai and Ethiopian food, but I can't stand veal.", "The user loves Thai food."),
        ("I never drink red wine.", "The user drinks wine."),
    )
    assert both == (
        "The user loves Thai food.",
        "The user loves Ethiopian food.",
        "The user cannot stand veal.",
    )
    assert whole[3:] == ("The user never drinks red wine.",)


def test_what_is_of_today_alone_is_not_noted_and_fillers_are_no_part_of_a_statement():
    [day, blind] = told(
        ("Nice weather here, isn't it", "The user has nice weather today."),
        ("Colour-blind by the way", "The user is colour-blind by the way."),
    )
    assert (day, blind) == ((), ("The user is colour-blind.",))
    kept = [
        "The user moved to Berlin today.",
        "The user has become a father today.",
        "The user likes the music of today.",
    ]
    assert not any(map(statements.of_today, kept))


def test_a_snippet_that_turns_an_allergy_round_does_not_hide_it():
    [held] = told(("I'm allergic to peanuts.", "The user prefers peanuts."))
    assert "The user is allergic to peanuts." in held


def test_gold_snippets_lead_near_the_gold_profile():
    """Over synthetic users with changes of mind: most statements that hold, few that do not."""
    right = wrong = missing = 0
    for number in range(6):
        dialogue, notes = users.dialogue(0, number, split="train"), training_profile.Notes()
        episodes = episodes_lib.decompose(dialogue)
        for turn, episode in enumerate(episodes[:-1]):
            notes = notes.after(dialogue, turn, episode.gold, True)
        held, gold = set(notes.statements()), set(episodes[-1].profile)
        right, wrong, missing = (
            right + len(held & gold),
            wrong + len(held - gold),
            missing + len(gold - held),
        )
    assert right > 30
    assert wrong <= 0.1 * right and missing <= 0.2 * right, (right, wrong, missing)
