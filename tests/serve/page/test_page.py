"""The web page in a real browser: talking, the profile, and taking things back."""

import json
import re
import time

import pytest

SPICY, MILD = "You love very spicy food.", "You prefer mild food."
SEAT, QUESTION = "Flight seat", "Which seat do you like on a plane?"

MARKUP = (
    "<script>window.hit = 1</script> I like <b>chess</b>",
    "<img src=x onerror='window.hit = 1'> chess again",
    "\"><svg onload='window.hit = 1'> &lt;i&gt; and chess </q></li>",
)


def test_the_reply_streams_and_the_profile_fills(tab):
    one = tab().open("ann")
    page = one.page
    assert "Nothing known yet" in page.inner_text("#facts")
    page.fill("#say", "I love spicy food. Take it slowly.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn.agent .words:not(:empty)")
    early = page.inner_text(".turn.agent .words")
    assert page.get_attribute("#talk", "aria-busy") == "true"
    one.wait_for(SPICY)
    page.wait_for_selector("#talk[aria-busy=false]")
    whole = page.inner_text(".turn.agent .words")
    assert whole.startswith(early) and len(early) < len(whole)
    assert page.inner_text(".change") == f"+\nLearnt\n{SPICY}\nSpice level"
    assert page.inner_text(".group h3").split("\n")[0] == "Food and drink"
    assert page.inner_text("#tally") == "1 fact, 1 category"
    meter = page.get_by_role("meter", name="Confidence")
    assert meter.get_attribute("aria-valuenow") == "90"
    assert re.fullmatch(r"90\s%", page.inner_text(".share"))


@pytest.mark.slow
def test_a_fact_shows_the_words_it_was_learnt_from_on_hover_and_on_focus(tab):
    one = tab().open("quentin")
    page, said = one.page, "I love spicy food, really."
    one.say(said)
    one.wait_for(SPICY)
    tip = page.get_by_role("tooltip")
    assert not tip.is_visible()
    page.hover(".fact")
    assert said in tip.inner_text()
    page.mouse.move(5, 5)
    tip.wait_for(state="hidden")
    page.focus("#facts")
    page.keyboard.press("Tab")
    assert said in tip.inner_text()
    assert page.get_attribute(".statement", "aria-describedby") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_a_question_has_a_badge_that_says_why(tab):
    one = tab().open("bea")
    one.say("I want to fly to Rome.")
    asking = one.page.locator(".asking")
    assert asking.locator(".badge").inner_text() == f"A question about {SEAT.lower()}"
    assert asking.locator(".question").inner_text() == QUESTION
    assert QUESTION not in one.page.inner_text(".turn.agent .words")
    asking.get_by_text("Why I ask").click()
    assert "The slot is open." in asking.inner_text()
    assert "A question" not in one.say("The window.")


@pytest.mark.slow
def test_a_change_of_mind_is_shown_with_its_history_and_in_time(tab):
    one = tab().open("cleo")
    page = one.page
    one.say("I love spicy food.")
    reply = one.say("These days I like it mild.")
    assert f"Replaced\n{SPICY}" in reply and f"Learnt\n{MILD}" in reply
    one.wait_for(MILD)
    page.click(".group .statement")
    assert page.locator(".steps .event").all_inner_texts() == ["Learnt", "Replaced", "Learnt"]
    assert SPICY in page.inner_text(".steps")
    page.get_by_text("No longer true (1)").click()
    assert SPICY in page.inner_text(".former")
    page.focus("#when")
    page.keyboard.press("Home")
    one.wait_for(SPICY)
    assert not page.get_by_role("button", name="Forget").is_visible()
    page.click("#now")
    one.wait_for(MILD)
    page.click(f".change >> text={SPICY}")
    assert page.evaluate("document.activeElement.textContent") == SPICY


def test_forgetting_takes_back_one_fact(tab):
    one = tab().open("dora")
    one.say("I love spicy food, and I like chess.")
    one.wait_for(SPICY, "You like chess.")
    one.page.click(f".statement >> text={SPICY}")
    one.page.get_by_role("button", name=f"Forget: {SPICY}").click()
    one.wait_for("You like chess.")
    one.page.reload()
    one.wait_for("You like chess.")
    assert one.statements() == ["You like chess."]


def test_editing_puts_ones_own_words_in_a_facts_place(tab):
    one = tab().open("dirk")
    page = one.page
    one.say("I love spicy food, and I like chess.")
    one.wait_for(SPICY, "You like chess.")
    page.click(f".statement >> text={SPICY}")
    page.get_by_role("button", name=f"Edit: {SPICY}").click()
    field = page.get_by_role("textbox", name="What is true instead")
    assert field.input_value() == SPICY
    field.press("Enter")  # as it was
    page.get_by_role("alert").get_by_text("says that already").wait_for()
    assert field.evaluate("node => node === document.activeElement")
    field.fill("Bob likes rum")
    one.say("No coffee, please.")  # the profile is drawn anew meanwhile
    one.wait_for(SPICY, "You like chess.", "You avoid coffee.")
    assert field.input_value() == "Bob likes rum"
    field.press("Enter")
    page.get_by_role("alert").get_by_text("no single statement about the user").wait_for()
    assert field.input_value() == "Bob likes rum"
    field.fill("I'm allergic to cashews")
    page.get_by_role("button", name="Save").click()
    nuts = "You are allergic to cashews."
    one.wait_for(nuts, "You like chess.", "You avoid coffee.")
    assert not page.locator("#problem").is_visible() and field.count() == 0
    page.wait_for_function("text => document.activeElement.textContent === text", arg=nuts)
    page.keyboard.press("Enter")
    assert page.locator(".facts-of q").inner_text() == nuts
    assert page.locator(".steps .event").all_inner_texts() == ["Learnt", "Replaced", "Learnt"]
    assert SPICY in page.inner_text(".steps")
    page.reload()
    one.wait_for(nuts, "You like chess.", "You avoid coffee.")
    page.click(f".statement >> text={nuts}")
    assert page.inner_text(".how >> nth=0") == "you said so"


def test_an_open_edit_is_not_another_users(tab):
    one = tab().open("egon")
    one.say("I love spicy food.")
    one.wait_for(SPICY)
    one.page.click(".statement")
    one.page.click(".edit")
    one.page.click("#who")
    one.page.fill("#user-name", "elsa")
    one.page.keyboard.press("Enter")
    one.wait_for()
    one.say("I like chess.")
    one.wait_for("You like chess.")
    one.page.click(".statement")
    assert one.page.locator(".edit").is_visible() and not one.page.locator(".rewrite").count()


def test_export_erase_and_import(tab, tmp_path):
    one = tab().open("emil")
    page = one.page
    one.say("I love spicy food, and I like chess.")
    one.wait_for(SPICY, "You like chess.")
    with page.expect_download() as download:
        page.click("#export")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "profile-emil.json" and json.loads(file.read_text())["user"] == "emil"

    page.click("#erase")
    assert page.evaluate("document.activeElement.id") == "erase-cancel"
    page.keyboard.press("Enter")
    assert one.statements()
    page.click("#erase")
    page.click("#erase-confirm")
    receipt = page.locator("#erase-receipt")
    receipt.wait_for()
    assert "2 facts\n" in receipt.inner_text()
    assert page.inner_text("#erase-text") == "It is gone."
    assert "Copies and backups" in page.inner_text("#erase-note")
    page.click("#erase-cancel")
    one.wait_for()
    assert page.locator(".turn").count() == 0
    assert "spicy" not in page.inner_text("body").replace("I love very spicy food, and", "")

    page.set_input_files("#import-file", file)
    one.wait_for(SPICY, "You like chess.")
    page.select_option("#earlier", label="I love spicy food, and I like chess.")
    page.locator(".turn.you").wait_for()
    assert page.inner_text(".turn.you .words") == "I love spicy food, and I like chess."
    page.set_input_files("#import-file", file)  # who is there is not overwritten
    page.locator("#problem").wait_for()
    assert "erase it first" in page.inner_text("#problem-text")


def test_another_user_sees_nothing_of_the_first(tab):
    first = tab().open("frieda")
    first.say("I love spicy food, and I like chess.")
    first.wait_for(SPICY, "You like chess.")
    second = tab().open("greta")
    second.say("What do you know about me?")
    shown = second.page.content()
    assert "chess" not in shown and "frieda" not in shown
    first.page.click("#who")  # the same tab goes on as another user
    first.page.fill("#user-name", "greta")
    first.page.keyboard.press("Enter")
    first.wait_for()
    assert first.page.inner_text("#who-name") == "greta"
    assert "chess" not in first.page.inner_text("body")


def test_markup_in_a_message_is_text(tab):
    one = tab()
    one.page.goto(f"{one.url}/?user=%3Cimg%20src%3Dx%20onerror%3D%22window.hit%3D1%22%3E")
    for words in MARKUP:
        assert words in one.say(words)  # the scripted model says it back
        assert one.page.locator(".turn.you .words").last.inner_text() == words
        one.page.locator(".statement").first.hover()
        assert words in one.page.inner_text("#tip")
    one.page.click(".statement")
    one.page.reload()
    one.page.locator(".turn.agent").nth(len(MARKUP) - 1).wait_for()
    made = one.page.locator(":is(#log, #tip, #facts, #who, #earlier) :is(script, img, svg, b, i)")
    assert made.count() == 0
    assert one.page.evaluate("window.hit") is None


@pytest.mark.slow
def test_stop_ends_the_reply_and_the_conversation_goes_on(tab):
    one = tab().open("hugo")
    page = one.page
    page.fill("#say", "Please answer slowly, slowly, slowly.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn.agent .words:not(:empty)")
    page.click("#stop")
    page.get_by_text("Stopped here.").wait_for()
    heard = page.inner_text(".turn.agent .words")
    time.sleep(0.3)
    assert page.inner_text(".turn.agent .words") == heard
    assert page.evaluate("document.activeElement.id") == "say"
    one.say("And now?")
    page.reload()
    page.locator(".turn.you").nth(1).wait_for()  # one conversation holds both
    assert page.locator(".turn.you").count() == 2


@pytest.mark.slow
def test_a_new_conversation_leaves_a_reply_that_is_coming(tab):
    one = tab().open("ines")
    page = one.page
    one.say("Hello.")
    page.fill("#say", "Please answer slowly, slowly, slowly. I love spicy food.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn.agent .words:not(:empty) >> nth=1")
    page.click("#fresh")
    assert page.locator(".turn").count() == 0
    page.wait_for_selector("#send")
    one.say("Hello again.")
    assert page.locator(".turn.you").count() == 1
    assert page.eval_on_selector("#earlier", "list => list.selectedOptions[0].text") == (
        "Hello again."
    )
    page.select_option("#earlier", label="Hello.")
    page.locator(".turn.you").nth(1).wait_for()
    one.wait_for(SPICY)


@pytest.mark.slow
def test_a_lost_server_is_told_and_what_was_typed_is_kept(tab):
    one = tab().open("ida")
    page = one.page
    page.context.set_offline(True)
    page.fill("#say", "Are you there?")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("does not answer").wait_for()
    assert page.input_value("#say") == "Are you there?" and page.locator(".turn").count() == 0
    page.context.set_offline(False)
    page.click("#problem-retry")
    messages = page.get_by_role("region", name="Messages")  # the status says it, too
    messages.get_by_text("You said Are you there?").wait_for()
    assert not page.locator("#problem").is_visible()


@pytest.mark.slow
def test_a_busy_server_is_asked_again_when_it_says(tab):
    first, waiting, second = (tab().open("rosa") for _ in range(3))
    for one in (first, waiting):
        one.page.fill("#say", "Tell me a long story, very slowly, of two in the rain.")
        one.page.keyboard.press("Enter")
    first.page.wait_for_selector(".turn.agent .words:not(:empty)")
    page = second.page
    page.fill("#say", "And me?")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("no more are allowed").wait_for()
    again = page.locator("#problem-retry")
    assert re.fullmatch(r"Try again in [12] s", again.inner_text()) and again.is_disabled()
    assert page.input_value("#say") == "And me?"
    first.page.wait_for_selector("#talk[aria-busy=false]")
    again.click()  # waits until it can be
    page.locator(".turn.agent").get_by_text("You said And me?").wait_for()
    assert page.locator(".turn.you").count() == 1


@pytest.mark.slow
def test_a_server_with_keys_asks_for_one(tab, talking, tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text('[[keys]]\nkey = "correct-horse-battery"\nusers = ["sue"]\n')
    with talking(str(keys)) as server:
        one = tab(server.url)
        page = one.page
        page.goto(f"{server.url}/?user=sue")
        page.locator("#user-problem").get_by_text("API key").wait_for()
        page.fill("#user-key", "wrong-horse-battery!")
        page.keyboard.press("Enter")
        page.locator("#user-problem").get_by_text("API key").wait_for()
        page.fill("#user-key", "correct-horse-battery")
        page.keyboard.press("Enter")
        page.wait_for_selector("#model:not(:empty)")
        one.say("I love spicy food.")
        one.wait_for(SPICY)
        page.reload()
        one.wait_for(SPICY)
        page.click("#who")
        page.fill("#user-name", "tom")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("may not touch that user").wait_for()
        assert one.statements() == [] and not page.locator("#earlier").is_visible()


@pytest.mark.slow
def test_nothing_comes_from_elsewhere_and_no_key_is_kept_for_long(tab, talking, tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text('[[keys]]\nkey = "a-key-of-many-letters"\nusers = ["jan"]\n')
    with talking(str(keys)) as server:
        one = tab(server.url)
        one.page.goto(f"{server.url}/?user=jan")
        one.page.fill("#user-key", "a-key-of-many-letters")
        one.page.keyboard.press("Enter")
        one.page.wait_for_selector("#model:not(:empty)")
        one.say("Hello.")
        assert all(url.startswith((one.url + "/", "blob:")) for url in one.requests)
        assert one.page.evaluate("sessionStorage['pa_jax.key']") == "a-key-of-many-letters"
        assert "letters" not in one.page.evaluate("JSON.stringify(localStorage) + document.cookie")
        assert "letters" not in "".join(one.requests)
        headers = one.page.request.get(one.url).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy
