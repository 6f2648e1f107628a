"""What stands abroad for the side and the kind of a statement is put into English."""

import pytest

from pa_jax.english import abroad, statements


@pytest.mark.parametrize(
    ("said", "denied"),
    [
        ("The user trinkt Bier.", "The user trinkt kein Bier mehr."),
        ("The user boit du vin.", "The user ne boit plus de vin."),
        ("The user come pescado.", "The user ya no come pescado."),
        ("The user aime les chats.", "The user déteste les chats."),
        ("The user 喝牛奶.", "The user 不喝牛奶."),
    ],
)
def test_a_denial_abroad_turns_what_is_said(said, denied):
    one, other = statements.parse(said), statements.parse(denied)
    assert one.named == other.named
    assert (one.against, other.against) == (False, True)


def test_allergies_and_homes_abroad_are_such():
    assert statements.parse("The user ist allergisch gegen Nüsse.").kind == statements.ALLERGY
    assert statements.parse("The user 对花粉过敏.").kind == statements.ALLERGY
    assert abroad.rendered("The user habite à Lyon.").startswith("The user lives")


def test_english_stays_as_it_is():
    text = "The user loves the house on the hill and no other."
    assert abroad.rendered(text) == text


@pytest.mark.parametrize(
    ("told", "english"),
    [
        ("Der Nutzer geht nicht mehr gern auf Konzerte.", "The user not likes geht auf Konzerte."),
        ("L'utilisateur a deux perruches.", "The user has 2 perruches."),
        ("El usuario se acuesta a las 11.", "The user se acuesta at 11."),
        ("用户每天喝三十一杯茶。", "The user 每天喝 31 杯茶。"),
        ("用户有一万二千块。", "The user 有 12000 块。"),
    ],
)
def test_subjects_numbers_and_sides_abroad_are_put_into_english(told, english):
    assert abroad.rendered(told) == english


@pytest.mark.parametrize("text", ["Quite honestly, I like tea.", "My aunt is a nun. Note that."])
def test_english_asks_for_nothing_abroad(text):
    assert abroad.forgotten(text) == []
    assert not abroad.NOW.search(text)


TOLD = {
    "Ich vertrage keine Haselnüsse.": ["The user does not tolerate Haselnüsse."],
    "Hallo, ich bin leider gegen Soja und Sesam allergisch!": [
        "The user is allergic to Soja.",
        "The user is allergic to Sesam.",
    ],
    "Je suis très allergique aux noix.": ["The user is allergic to noix."],
    "Soy alérgica a los mariscos y soy vegana": [
        "The user is allergic to mariscos.",
        "The user is vegan.",
    ],
    "我也对花生和虾过敏。": ["The user is allergic to 花生.", "The user is allergic to 虾."],
    "我有糖尿病": ["The user has diabetes."],
}
NOT_TOLD = """\
Bin ich allergisch gegen Nüsse?
Ich bin nicht allergisch gegen Nüsse.
Mein Sohn ist allergisch gegen Nüsse.
我妈对花生过敏
I am allergic to nuts.
Je ne suis pas allergique aux noix."""


@pytest.mark.parametrize("text", TOLD)
def test_health_told_outright_abroad_is_noted(text):
    assert list(abroad.told(text)) == TOLD[text]
    assert abroad.tells_only(text)
    assert not abroad.tells_only(f"{text} Wie kalt ist es dort?")


@pytest.mark.parametrize("text", NOT_TOLD.splitlines())
def test_what_is_asked_denied_or_of_others_abroad_is_not(text):
    assert abroad.told(text) == ()
