"""Thoughts are no words: whole, open, without their beginning, and as they come."""

import pytest

from pa_jax.dialogue import snippet, thought

THOUGHT = "<think>\nOkay, the user is vegan.\nThe user likes tea.\n</think>\n\n"
CASES = {
    THOUGHT + "The user is vegan.": "The user is vegan.",
    THOUGHT.removeprefix("<think>\n") + "The user is vegan.": "The user is vegan.",
    "\n" + THOUGHT + "a\n\nb ": "a\n\nb ",
    THOUGHT: "",
    THOUGHT + "<think>more</think> a": "a",
    "<think>\nnever ends": "",
    "<think>": "",
    "<thin": "<thin",
    "  plain words": "  plain words",
    "": "",
    "<Think>x</THINK> a": "a",
    "<thinking>x</thinking>\na": "a",
    "[THINK]x[/THINK]a": "a",
    "<seed:think>x</seed:think>a": "a",
    "<|begin_of_thought|>x</think-not><|end_of_thought|>a": "a",
    "<reasoning>never ends": "",
    "\u0130<THINK>": "\u0130<THINK>",
    "<think>\u0130</THINK>a": "a",
    "[see] a": "[see] a",
    "<|x|> a": "<|x|> a",
    "close it with </reasoning>": "close it with </reasoning>",
}


@pytest.mark.parametrize(("text", "words"), CASES.items())
def test_words_stand_behind_thoughts(text, words):
    assert thought.behind(text) == words


@pytest.mark.parametrize(("text", "words"), CASES.items())
def test_a_growing_text_never_takes_back_what_it_showed(text, words):
    if thought.CLOSE in text.lower() and not text.lstrip().lower().startswith(thought.OPEN):
        pytest.skip("a thought without its beginning is known only once it ends")
    shown = [text[thought.begins(text[:n], last=False) : n] for n in range(len(text))]
    for one in shown:
        assert words.startswith(one), one


def test_a_snippet_is_what_was_written_behind_the_thought():
    assert snippet.parse(THOUGHT + "The user is vegan.").statements == ("The user is vegan.",)
    assert snippet.parse(THOUGHT + snippet.NOTHING) == snippet.Snippet(())
    assert snippet.parse("<think>\nThe user may be vegan.").reason == "empty reply"


@pytest.mark.parametrize("text", ["No new preference", "no new preference.", "No new preferences!"])
def test_nothing_is_nothing_however_it_is_spelt(text):
    assert snippet.parse(text) == snippet.Snippet(())
    assert snippet.parse("No new preference for tea.").statements


@pytest.mark.parametrize(
    ("prompt", "ends"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>\n\n</think>\n\n"),
        ("[/INST][THINK]", "[THINK]\n\n[/THINK]\n\n"),
        ("<seed:think>", "<seed:think>\n\n</seed:think>\n\n"),
        ("<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n"),
        ("<|im_start|>assistant\n", "<|im_start|>assistant\n"),
    ],
)
def test_a_thought_that_a_template_opens_is_closed(prompt, ends):
    assert thought.closed(prompt).endswith(ends)
