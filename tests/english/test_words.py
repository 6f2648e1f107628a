"""Words of a text: lines, tokens, stems, and other languages."""

import hypothesis
import pytest
from hypothesis import strategies as st

from pa_jax.english import words


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("The user likes tea.", "user LIKES tea", 1.0),
        ("likes green tea", "likes tea", 0.8),
        ("tea tea", "tea", 2 / 3),
        ("coffee", "tea", 0.0),
        ("", "", 1.0),
        ("", "tea", 0.0),
    ],
)
def test_token_f1(a, b, expected):
    assert words.token_f1(a, b) == pytest.approx(expected)


def test_clean_leaves_one_line_without_control_characters():
    assert words.clean(" a\n\tb\x00c\x1b\u2028d\ud800 ", 50) == "a b c d"
    assert words.clean("שלום \u202eabc", 50) == "שלום abc"
    assert words.clean("x" * 10, 10) == "x" * 10
    assert words.clean("x" * 11, 10) == "x" * 7 + "..."


@pytest.mark.parametrize(
    "twin",
    [
        *(f"te{c}a" for c in "\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u200f\u202e\u2066\u2800"),
        *(f"t{c}ea" for c in "\u2062\u206a\u3164\ufe0f\ufeff\ufff9\U000e0061\U000e0120"),
        *("t\u0435\u0430", "te\u0430", "t\u03b5a"),  # Cyrillic, Greek
    ],
)
def test_what_looks_the_same_is_kept_the_same(twin):
    assert words.clean(f"The user likes {twin}.", 50) == "The user likes tea."
    assert words.tokens(f"likes {twin}") == ("likes", "tea")


def test_a_word_all_in_another_alphabet_stays_and_has_its_twin():
    assert words.clean("The user likes \u0441\u043e\u0441\u043e\u0430.", 50)[15] == "\u0441"
    assert words.tokens("\u0441\u043e\u0441\u043e\u0430") == ("cocoa",)
    assert words.tokens("борщ") == ("борщ",)
    assert words.clean("kızım te\u0251", 50) == "kızım te\u0251"
    assert words.tokens("te\u0251") == ("tea",)


@pytest.mark.parametrize(
    "text",
    ["👩‍❤️‍👨 and 🏳️‍🌈", "क्‍ष", "می‌خواهم", "葛\U000e0100城", "борщ и сор", "Ελληνικά", "naïve", "5 µg"],
)
def test_scripts_and_emoji_keep_what_they_need(text):
    assert words.clean(text, 50) == text


@hypothesis.given(
    st.text(st.sampled_from("aé👩葛\u200d\u200c\ufe0f\U000e0100\u202e\u200bае\n "), max_size=9)
)
def test_what_is_clean_stays_as_it_is(text):
    once = words.clean(text, 50)
    assert words.clean(once, 50) == once
    assert words.alike(words.alike(text)) == words.alike(text)


def test_no_quotation_closes_another():
    inside = words.quoted('tea" and \\" more')[1:-1]
    assert inside == 'tea\\" and \\\\\\" more'


def test_labels_have_one_spelling():
    spellings = ("Board games", " board-GAMES ", "board_games", "Board/games!")
    assert {words.label(text) for text in spellings} == {"board_games"}
    assert words.label("!!!") == "unnamed"
    assert len(words.label("x" * 500)) == words.MAX_LABEL_CHARS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("doesn't", "does not"),
        ("doesnt", "does not"),
        ("can't", "can not"),
        ("cannot", "can not"),
        ("cant", "can not"),
        ("won’t", "will not"),
        ("I'm", "I am"),
    ],
)
def test_contractions_are_written_out(one, other):
    assert words.tokens(one) == words.tokens(other)


@pytest.mark.parametrize(
    "forms",
    [
        ("run", "runs", "running", "ran"),
        ("hike", "hikes", "hiking"),
        ("party", "parties"),
        ("strawberry", "strawberries"),
        ("potato", "potatoes"),
        ("dish", "dishes"),
        ("flight", "flights", "plane", "planes"),
        ("evening", "evenings"),
        ("cookie", "cookies"),
        ("child", "children", "kids"),
        ("allergic", "allergy", "allergies"),
        ("study", "studies", "studying", "studied"),
    ],
)
def test_forms_of_a_word_have_one_stem(forms):
    assert len({words.stem(form) for form in forms}) == 1


def test_other_words_have_other_stems():
    others = "tea team need needle bread bred string strings glass gas bus busy news new".split()
    assert len({words.stem(word) for word in others}) == len(others) - 1  # string, strings


@pytest.mark.parametrize(
    "text",
    [
        "Ich vertrage keine Haselnüsse.",
        "Nee, toch liever Engels, dit is te moeilijk.",
        "Je n'aime pas le poisson.",
        "Me gusta el café.",
        "También al marisco.",
        "我喜欢喝茶。",
        "Я люблю чай",
    ],
)
def test_other_languages_are_told_from_english(text):
    assert not words.is_english(text)


@pytest.mark.parametrize(
    "text",
    ["", "Peanuts!", "I live in Köln.", "From Die Hard to El Mariachi, I like it all.", "Tea"],
)
def test_english_is_english(text):
    assert words.is_english(text)


def test_numbers_are_digits():
    assert words.numbers("Two cats, 3 dogs and 500€") == ["2", "3", "500€"]


def test_words_of_one_root_are_known_with_another_ending():
    assert words.kindred("dyslexia", ["dyslexic"]) and words.kindred("epilepsy", ["epileptic"])
    assert not words.kindred("chicken", ["chickpea"]) and not words.kindred("cat", ["car"])
