import pytest

from pa_jax import models
from pa_jax.dialogue import prompts
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.benchmarks import jury, protocol
from pa_jax.evaluate.systems import baselines

SIZES = chat_model.ChatConfig(rows=8, max_new_tokens=4)
LENGTHS = (256, 768)


@pytest.fixture(scope="session")
def tiny():
    return models.load("random:tiny", dtype="float32")


@pytest.fixture(scope="session")
def numbers() -> baselines.SystemConfig:
    return baselines.SystemConfig(
        top=2,
        recent=2,
        turns_a_day=2.0,
        profile_chars=200,
        prompt=prompts.PromptConfig(
            profile_chars=200, context_chars=100, user_chars=200, examples=()
        ),
    )


@pytest.fixture
def tools(tiny, numbers) -> protocol.Tools:
    """A tiny model that talks, judges by labels and plays the user."""
    model = chat_model.ChatModel(tiny, SIZES, lengths=LENGTHS)
    return protocol.Tools(model, jury.ByLabels(model), model, numbers)
