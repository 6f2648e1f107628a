"""Labels that a person would write."""

import pytest

from pa_jax.english import labels


@pytest.mark.parametrize(
    ("statement", "label"),
    [
        ("The user prefers vintage postcards when it rains.", "vintage_postcard"),
        ("The user avoids sushi due to the raw fish.", "sushi"),
        ("The user avoids plastic pet toys due to environmental concerns.", "pet_toy"),
        ("The user avoids using hair dyes that contain ammonia.", "hair_dye"),
        ("The user avoids caffeine entirely.", "caffeine"),
        ("The user dislikes any form of gambling or casinos.", "gambling"),
        ("The user strongly avoids wearing any garments made from denim.", "garment"),
        ("The user dislikes anything with a glossy finish.", "glossy_finish"),
        ("The user cannot stand ghost tours or anything related to them.", "ghost_tour"),
        ("???", "unnamed"),
    ],
)
def test_a_label_names_the_thing_and_not_what_is_said_of_it(statement, label):
    assert labels.propose(statement, []) == label


def test_an_own_label_comes_back_for_things_of_its_kind_alone():
    assert labels.propose("The user prefers vintage postcards.", ["old_postcard"]) == "old_postcard"
    assert labels.propose("The user loves Thai food.", ["mexican_food"]) == "thai_food"
    assert labels.propose("The user loves Mexican food.", ["mexican_food"]) == "mexican_food"
