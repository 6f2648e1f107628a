"""The request for a snippet: what all share first, the turn last in its own words."""

import dataclasses

import pytest

from configs import common
from pa_jax.dialogue import prompts, schema, snippet

EXAMPLES = common.EXAMPLES
CFG = prompts.PromptConfig(200, 60, 100, EXAMPLES)


def asked(user, profile=(), context="", cfg=CFG):
    return prompts.infer(schema.Episode("e", "u", profile, context, user, None), cfg)


def test_the_root_is_the_same_for_all_and_the_turn_stands_last_as_it_was_typed():
    one = asked("I like tea.")
    other = asked("No nuts.", ("The user lives in Oslo.",), "Cake?")
    root = 1 + 2 * len(EXAMPLES)
    assert one[:root] == other[:root] and len(one) == root + 3
    assert one[-1] == schema.Message("user", "I like tea.")
    assert other[-1] == schema.Message("user", "(answering: Cake?)\nNo nuts.")
    assert one[-2].content == "(empty)" and other[-2].content == "- The user lives in Oslo."
    assert [message.role for message in one[1:]] == ["user", "assistant"] * (len(EXAMPLES) + 1) + [
        "user"
    ]


def test_examples_are_a_setting_and_their_messages_are_built_as_the_turn_is():
    cfg = prompts.PromptConfig(200, 60, 100, (("Tea?", "yes", "The user wants tea."),))
    _, shown, note, *_, last = asked("yes", context="Tea?", cfg=cfg)
    assert shown == last and note.content == "The user wants tea."
    assert len(asked("yes", cfg=prompts.PromptConfig(200, 60, 100, ()))) == 4


def test_the_default_examples_are_snippets_that_quote_nothing():
    nothing = 0
    for context, user, text in EXAMPLES:
        parsed = snippet.parse(text, turn=user)
        assert isinstance(parsed, snippet.Snippet) and snippet.render(parsed) == text
        assert len(context) <= CFG.context_chars and len(user) <= CFG.user_chars
        assert all(line.startswith("The user ") for line in parsed.statements)
        nothing += not parsed.statements
    assert 0 < nothing < len(EXAMPLES) / 2


def test_parts_are_cut_and_kept_on_one_line():
    last = asked("a\nb " + "c" * 200, context="line\nbreak " + "d" * 200)[-1].content
    context, user = last.split("\n")
    assert user.startswith("a b c") and len(user) == 100 and user.endswith("...")
    assert context.startswith("(answering: line break d") and context.endswith("...)")


TURN = "I'm allergic to peanuts, so keep them out."


@pytest.mark.parametrize(
    "line, is_quote",
    [
        (f'The user says: "{TURN}"', True),
        (f"“{TURN}”", True),
        (f"The user: {TURN}", True),
        ("The user said 'keep them out'.", True),
        ("The user's message is: I'm allergic to pea", True),
        ("The user said that peanuts make them ill.", False),
        ("The user is allergic to peanuts.", False),
        ("The user likes 'Dune'.", False),
        (TURN, False),  # data may state a preference in the user's own sentence
    ],
)
def test_quotations_of_the_turn(line, is_quote):
    assert snippet.quotes(line, TURN) == is_quote
    whole = snippet.parse(line, turn=TURN)
    assert isinstance(whole, snippet.ParseFailure) == is_quote
    assert isinstance(snippet.parse(line), snippet.Snippet)


def test_a_prompt_of_another_version_is_named():
    written = dataclasses.asdict(CFG)
    assert prompts.PromptConfig.of(written) == CFG
    with pytest.raises(ValueError, match="another version"):
        prompts.PromptConfig.of(written | {"tone": "warm"})
