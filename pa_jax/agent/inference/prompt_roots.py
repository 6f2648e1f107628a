"""What the prompts of a role begin with, computed once: the instructions."""

from collections.abc import Sequence

from pa_jax.dialogue import prompts, schema, template, tokenizer
from pa_jax.infer import forest, prompt_rows


def of_turns(tokens: tokenizer.Tokenizer, limits: prompts.PromptConfig) -> list[int]:
    """What every prompt of an Inferencer begins with."""
    return beginning(
        [
            template.encode_chat(tokens, prompts.infer(one, limits), add_generation_prompt=True)
            for one in strangers()
        ]
    )


def strangers(
    *, options: tuple[str, ...] = (), others: tuple[str, ...] = ()
) -> tuple[schema.Episode, schema.Episode]:
    """Two turns that have nothing in common, for what their prompts have."""
    return (
        schema.Episode("", "", (), "", "Hi", None, options=options),
        schema.Episode("", "", ("The user drinks tea.",), "So?", "No", None, options=others),
    )


def beginning(rendered: Sequence[list[int]]) -> list[int]:
    """What prompts have in common, empty where that is little."""
    count = forest.common(rendered)
    return rendered[0][:count] if count >= prompt_rows.APART else []
