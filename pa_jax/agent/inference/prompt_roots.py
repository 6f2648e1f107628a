"""What the prompts of a role begin with, computed once: the instructions."""

from collections.abc import Callable

from pa_jax.dialogue import prompts, schema, template, tokenizer
from pa_jax.infer import forest, prompt_rows

Prompt = Callable[[schema.Episode, prompts.PromptConfig], tuple[schema.Message, ...]]
_STRANGERS = (  # two turns that have nothing in common, for what their prompts have
    schema.Episode("", "", (), "", "Hi", None, options=("Tea",)),
    schema.Episode("", "", ("The user drinks tea.",), "So?", "No", None, options=("Coffee",)),
)


def of_turns(
    tokens: tokenizer.Tokenizer, limits: prompts.PromptConfig, prompt: Prompt = prompts.infer
) -> list[int]:
    """What every prompt begins with, an Inferencer's unless told; empty where that is little."""
    rendered = [
        template.encode_chat(tokens, prompt(one, limits), add_generation_prompt=True)
        for one in _STRANGERS
    ]
    count = forest.common(rendered)
    return rendered[0][:count] if count >= prompt_rows.APART else []
