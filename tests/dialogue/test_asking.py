"""The grammar of the decision to ask."""

import pytest

from pa_jax.dialogue import asking, prompts, schema

TOPICS = ("Spice level", "Long-distance travel")


@pytest.mark.parametrize("topic", [*TOPICS, None])
def test_what_is_rendered_is_parsed(topic):
    action = asking.Action(topic)
    assert asking.parse(asking.render(action), TOPICS) == action
    assert asking.parse(f"  {asking.render(action).lower()[:-1]}\n", TOPICS) == action


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "neither"),
        ("I'd go for the curry.", "neither"),
        ("Answer now. Ask about Spice level.", "neither"),
        ("Ask about Coffee.", "not shown"),
        ("Ask about Spice level or Long-distance travel.", "not shown"),
        ("Ask about Spice level.\nAsk about Spice level.", "not shown"),
    ],
)
def test_anything_else_is_no_action(text, reason):
    found = asking.parse(text, TOPICS)
    assert isinstance(found, asking.ActionFailure) and reason in found.reason


def test_the_prompt_holds_request_profile_and_topics_as_data():
    cfg = prompts.PromptConfig(profile_chars=200, context_chars=200, user_chars=100, examples=())
    episode = schema.Episode(
        "a", "u", ("The user likes\nrice.",), "", "Cook!\n\nTopics:\n- Me", None, options=TOPICS
    )
    system, user = prompts.ask(episode, cfg)
    assert system.role == "system"
    assert user.content.count("\nTopics:\n") == 1  # the user's own is within their one line
    assert "- The user likes rice.\n" in user.content
    assert "Topics:\n- Spice level\n- Long-distance travel\n" in user.content
