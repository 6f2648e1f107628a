"""Words alone place everyday statements, and abstain where they do not tell."""

import pytest

from pa_jax.profile import placement, taxonomy

EVERYDAY = {
    "home/home_town": ("lives in Lyon", "moved to Oslo", "lives in Paris"),
    "home/housing_type": ("lives in a small flat", "lives in a house"),
    "home/own_pets": ("has a cat", "has two dogs", "has a dog called Rex"),
    "home/appliances": ("has a gas oven", "has no mixer"),
    "people/family_members": ("has two children", "has a daughter called Anna", "has a brother"),
    "people/own_age": ("is 34 years old",),
    "people/own_name": ("is called Sam",),
    "people/languages_spoken": ("speaks German", "is fluent in Welsh"),
    "people/relationship_status": ("is married", "is single"),
    "work/occupation": ("works as a nurse", "is a teacher", "runs a bakery in Leeds"),
    "work/work_location": ("works from home", "wants remote work only"),
    "work/purchase_budget": ("has a budget of 500 euros", "has no fixed budget"),
    "health/medicines": ("takes metformin", "is on warfarin", "takes lisinopril"),
    "health/chronic_condition": ("has asthma", "has epilepsy", "is colour-blind"),
    "health/other_allergies": ("is allergic to penicillin", "has hay fever"),
    "food/allergies": ("is allergic to peanuts", "has a shellfish allergy", "cannot eat gluten"),
    "food/meat_and_fish": ("is vegetarian", "is vegan"),
    "food/cuisine": ("loves Thai food", "loves Vietnamese food", "dislikes Mexican food"),
    "food/disliked_ingredients": ("dislikes olives", "hates cilantro", "loathes bananas"),
    "food/favourite_foods": ("loves lamb", "likes pizza"),
    "leisure/music_genre": ("likes folk music", "dislikes country music", "listens to jazz"),
    "leisure/film_genre": ("likes horror films", "loves documentaries"),
    "leisure/board_games": ("plays chess on Sundays",),
    "travel/flight_seat": ("prefers window seats", "takes an aisle seat when flying"),
    "travel/lodging": ("prefers quiet hotels",),
    "communication/answer_length": ("wants short answers", "wants long, detailed answers"),
    "communication/units": ("wants metric units", "wants imperial units"),
    "communication/language": ("wants answers in Dutch",),
}


@pytest.mark.parametrize("path", EVERYDAY)
def test_everyday_statements_land_where_a_reader_would_put_them(path):
    for text in EVERYDAY[path]:
        assert placement.place(f"The user {text}.", ()) == path, text


@pytest.mark.parametrize(
    "text",
    [
        "The user adores a zeppelin hangar.",
        "The user finds an umbrella romantic.",
        "The user mag keinen Fisch.",
        "用户喜欢喝茶。",
        "The user counts on Tuesday.",
    ],
)
def test_a_weak_hit_abstains(text):
    assert placement.place(text, ()).startswith("other/")


def test_the_users_own_words_of_a_slot_go_before_cues():
    text = "The user prefers a quiet room on a high floor when checking into a hotel."
    assert placement.place(text, ()) == "travel/room_needs"


def test_cues_name_slots_that_are_there():
    paths = {slot.path for slot in taxonomy.Taxonomy.load().subcategories}
    assert {path for path, _ in placement._cues()} <= paths
