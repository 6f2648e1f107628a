"""The worth of a decision to ask, as a judge gives it."""

import numpy as np

from pa_jax import judge as judges
from pa_jax.dialogue import schema

EPISODE = schema.Episode(
    "a/0", "a", (), "", "Plan dinner.", None, options=("Spice level", "Coffee"), worth=(0.4, -0.1)
)


def test_scores_keep_the_order_of_worth_and_failures_are_no_better_than_the_worst_question():
    texts = ("Ask about Spice level.", "Answer now.", "Ask about Coffee.", "Here is a recipe.")
    group = judges.Group(EPISODE, ((1,),) * 4, texts)
    found = judges.Judge("asking").score([group])
    assert not found.failed.any()
    expected = np.array([0.5 / 1.1, 0.1 / 1.1, 0.0, 0.0])
    np.testing.assert_allclose(found.values[0], np.repeat(expected[:, None], 4, axis=1), atol=1e-6)


def test_an_episode_without_options_has_no_verdict():
    plain = schema.Episode("a/0", "a", (), "", "Plan dinner.", None)
    found = judges.Judge("asking").score([judges.Group(plain, ((1,),), ("Answer now.",))])
    assert found.failed.all()
