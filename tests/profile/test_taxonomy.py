"""The taxonomy's content, read straight from the JSON, and what loading and look-up promise."""

import collections
import copy
import json
import pathlib
import re
import subprocess
import sys

import pytest

import pa_jax.profile
from pa_jax.profile import taxonomy

FILE = pathlib.Path(pa_jax.profile.__file__).with_name("taxonomy.json")
CONTENT = json.loads(FILE.read_text(encoding="utf-8"))
SLOTS = [(c["id"], s) for c in CONTENT["categories"] for s in c["subcategories"]]


def _repeated(items):
    return [item for item, n in collections.Counter(items).items() if n > 1]


def _smallest():
    """A valid content of one category with one slot."""
    slot = {
        "id": "tea",
        "name": "Tea",
        "definition": "The tea.",
        "question": "Which tea?",
        "when": "at noon",
        "holds": "many",
        "values": ["green tea", "black tea", "mint tea", "no tea"],
        "examples": ["The user likes tea.", "The user drinks tea."],
    }
    category = {"id": "food", "name": "Food", "definition": "Food.", "half_life_days": 30}
    categories = [category | {"subcategories": [slot]}]
    return {"other_half_life_days": 90, "categories": categories}


def test_eleven_categories_and_over_three_hundred_slots():
    assert len(CONTENT["categories"]) == 11
    assert len(SLOTS) >= 310
    assert all(len(c["subcategories"]) >= 25 for c in CONTENT["categories"])


def test_ids_names_questions_values_and_examples_are_unique():
    assert _repeated(c["id"] for c in CONTENT["categories"]) == []
    assert _repeated(s["id"] for _, s in SLOTS) == []
    for key in ("name", "definition", "question", "when"):
        assert _repeated(s[key].lower() for _, s in SLOTS) == [], key
    for key in ("values", "examples"):
        assert _repeated(text.lower() for _, s in SLOTS for text in s[key]) == [], key


def test_every_field_has_words():
    for category, slot in SLOTS:
        texts = [slot[key] for key in ("id", "name", "definition", "question", "when")]
        for text in texts + slot["values"] + slot["examples"]:
            assert text.strip() == text and re.search(r"[A-Za-z]", text), (category, slot["id"])


def test_values_fit_into_sentences():
    for _, slot in SLOTS:
        assert 4 <= len(slot["values"]) <= 5, slot["id"]
        for phrase in [*slot["values"], slot["when"]]:
            assert not re.search(r"[.!?;:,\n]|\b(user|I|my|me|you|your)\b", phrase), phrase
            assert len(phrase) <= 80


def test_sentences_are_sentences():
    for _, slot in SLOTS:
        assert slot["definition"].endswith(".") and slot["definition"][0].isupper(), slot["id"]
        assert slot["question"].endswith("?") and slot["question"][0].isupper(), slot["id"]
        assert 2 <= len(slot["examples"]) <= 3, slot["id"]
        for example in slot["examples"]:
            assert "user" in example and example.endswith("."), example
            assert example not in {
                f"The user prefers {value} {slot['when']}." for value in slot["values"]
            }


def test_load_holds_the_file_in_order():
    loaded = taxonomy.Taxonomy.load()
    assert [slot.path for slot in loaded.subcategories] == [f"{c}/{s['id']}" for c, s in SLOTS]
    assert [slot.values for slot in loaded.subcategories] == [tuple(s["values"]) for _, s in SLOTS]
    assert [slot.when for slot in loaded.subcategories] == [s["when"] for _, s in SLOTS]
    days = [category.half_life_days for category in loaded.categories]
    assert days == [c["half_life_days"] for c in CONTENT["categories"]]
    assert taxonomy.Taxonomy.load() is loaded


def test_slots_say_how_many_they_hold():
    loaded = taxonomy.Taxonomy.load()
    one = "home/home_town travel/flight_seat people/own_age communication/units people/own_name"
    many = "food/allergies food/cuisine leisure/music_genre leisure/hobbies food/coffee"
    many += " people/languages_spoken home/own_pets health/medicines food/disliked_ingredients"
    assert {loaded.get(path).holds for path in one.split()} == {"one"}
    assert {loaded.get(path).holds for path in many.split()} == {"many"}


def test_safety_slots_hold_many():
    safe = [slot for slot in taxonomy.Taxonomy.load().subcategories if slot.safety]
    assert {slot.holds for slot in safe} == {"many"}
    paths = {slot.path for slot in safe}
    assert paths >= {"food/allergies", "health/medicines", "health/chronic_condition"}


def test_get_finds_every_path():
    loaded = taxonomy.Taxonomy.load()
    for category, slot in SLOTS:
        assert loaded.get(f"{category}/{slot['id']}").question == slot["question"]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("food/spice_levle", "food/spice_level"),
        ("foods/spice_level", "food/spice_level"),
        ("spice_level", "food/spice_level"),
        ("travel/flight_seats", "travel/flight_seat"),
    ],
)
def test_wrong_path_names_the_nearest(wrong, nearest):
    with pytest.raises(ValueError, match=f"{wrong}.*nearest is '{nearest}'"):
        taxonomy.Taxonomy.load().get(wrong)


def test_path_like_nothing_names_the_categories():
    with pytest.raises(ValueError, match="'qqq' does not exist; categories are food, travel"):
        taxonomy.Taxonomy.load().get("qqq")


def test_parse_accepts_the_smallest_content():
    parsed = taxonomy.parse(json.dumps(_smallest()))
    assert parsed.get("food/tea").values == ("green tea", "black tea", "mint tea", "no tea")


def _break_half_life(category):
    category["half_life_days"] = 0


def _drop_when(category):
    del category["subcategories"][0]["when"]


def _blank_question(category):
    category["subcategories"][0]["question"] = " "


def _three_values(category):
    category["subcategories"][0]["values"].pop()


def _number_as_value(category):
    category["subcategories"][0]["values"][0] = 7


def _one_example(category):
    category["subcategories"][0]["examples"].pop()


def _repeat_value(category):
    category["subcategories"][0]["values"][0] = "mint tea"


def _hold_some(category):
    category["subcategories"][0]["holds"] = "some"


def _no_holds(category):
    del category["subcategories"][0]["holds"]


def _odd_flag(category):
    category["subcategories"][0]["safety"] = "yes"


def _rejected_nowhere(category):
    category["subcategories"][0]["rejected"] = "food/coffee"


def _repeat_slot(category):
    category["subcategories"].append(copy.deepcopy(category["subcategories"][0]))


def _no_slots(category):
    category["subcategories"] = []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_break_half_life, "half_life_days of food is 0; it must be"),
        (_drop_when, "entry of food has no 'when'"),
        (_blank_question, "question in food must be a text"),
        (_three_values, "food/tea has 3 values; write 4 to 5"),
        (_number_as_value, "values in food/tea must be a text with words, got 7"),
        (_one_example, "food/tea has 1 examples"),
        (_repeat_value, "value 'mint tea' occurs more than once"),
        (_repeat_slot, "path 'food/tea' occurs more than once"),
        (_hold_some, "holds of food/tea is 'some'; write 'one' or 'many'"),
        (_no_holds, "entry of food/tea has no 'holds'"),
        (_odd_flag, "safety of food/tea is 'yes'; write true"),
        (_rejected_nowhere, "'food/coffee' does not exist"),
        (_no_slots, "subcategories of food must be a list with entries"),
    ],
)
def test_parse_names_what_is_wrong(damage, message):
    content = _smallest()
    damage(content["categories"][0])
    with pytest.raises(ValueError, match=message):
        taxonomy.parse(json.dumps(content))


def test_parse_refuses_what_is_no_json():
    with pytest.raises(ValueError, match="taxonomy.json is no JSON.*restore"):
        taxonomy.parse('{"categories": [')


def test_profile_imports_no_jax():
    code = (
        "import sys; from pa_jax.profile import facts, render, taxonomy; "
        "taxonomy.Taxonomy.load(); sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
