"""What the words say is lost is not noted as held."""

import pytest

from pa_jax.english import losses


@pytest.mark.parametrize(
    ("statement", "heard", "said"),
    [
        (
            "The user has a rice cooker.",
            "rice cooker died, so it's pots again",
            "The user no longer has a rice cooker.",
        ),
        (
            "The user has a sander.",
            "I gave the sander back to my uncle, so there's none in the house.",
            "The user no longer has a sander.",
        ),
        ("The user owns a Polo.", "sold the Polo in May", "The user no longer has a Polo."),
        ("The user has a scooter.", "My scooter was stolen but I got it back.", None),
        ("The user has a new kettle.", "I got a new kettle, the old one died", None),
        ("The user has a tablet.", "My tablet broke, can you help?", None),
        ("The user has a parrot.", "my neighbour's parrot died", None),
        ("The user has no car.", "sold the car", None),
    ],
)
def test_what_is_lost_is_not_held(statement, heard, said):
    assert losses.kept(statement, heard) == said
