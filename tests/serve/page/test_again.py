"""The web page in a real browser: what people expect of a chat and of a memory."""

import re

import pytest

SPICY, MILD, CHESS = "You love very spicy food.", "You prefer mild food.", "You like chess."
NUTS = "You are allergic to peanuts."
WIDE = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}


def profile(one):
    """Shows the profile, where the window is too narrow for both."""
    if one.page.locator("#view-profile").is_visible():
        one.page.click("#view-profile")


def chat(one):
    if one.page.locator("#view-chat").is_visible():
        one.page.click("#view-chat")


@pytest.mark.parametrize("looks", [WIDE, PHONE | {"color_scheme": "dark"}], ids=["wide", "phone"])
def test_facts_are_added_searched_and_every_change_is_undone(tab, looks):
    one = tab(**looks).open(f"anna-{looks['viewport']['width']}")
    page = one.page
    profile(one)
    page.click("#add")
    page.fill("#add-text", "Bob likes rum")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("no single statement about the user").wait_for()
    page.fill("#add-text", "I'm allergic to peanuts")
    page.keyboard.press("Enter")
    one.wait_for(NUTS)
    assert page.inner_text("#done-text") == f"Added: {NUTS}"
    page.click(f".group .statement >> text={NUTS}")
    assert page.inner_text(".more q") == NUTS  # not "The user is allergic"
    page.click(f".group .statement >> text={NUTS}")
    assert not page.locator("#problem").is_visible()
    chat(one)
    one.say("I love spicy food, and I like chess.")
    profile(one)
    one.wait_for(NUTS, SPICY, CHESS)
    page.fill("#search", "allerg")
    one.wait_for(NUTS)
    assert page.locator(".group .statement").count() == 1
    page.fill("#search", "zeppelin")
    page.get_by_text("No fact has these words.").wait_for()
    page.fill("#search", "")
    one.wait_for(NUTS, SPICY, CHESS)
    page.click(f".group .statement >> text={NUTS}")
    page.get_by_role("button", name=f"Forget: {NUTS}").click()
    one.wait_for(SPICY, CHESS)
    page.click("#done-undo")
    one.wait_for(NUTS, SPICY, CHESS)
    chat(one)
    page.locator(".undo button").click()
    page.get_by_text("Undone.", exact=True).wait_for()
    assert {SPICY, CHESS} == set(re.findall(r"You [^.]+\.", page.text_content("#done-text")))
    profile(one)
    one.wait_for(NUTS)
    page.reload()
    profile(one)
    one.wait_for(NUTS)


def test_what_changed_since_the_last_visit_is_said_once(tab):
    one = tab().open("berta")
    one.say("I love spicy food.")
    one.wait_for(SPICY)
    assert one.page.locator(".lately").count() == 0
    later = one.page.context.new_page()  # another tab, another visit
    later.goto(f"{one.url}/?user=berta")
    later.locator(".group .statement").wait_for()
    assert later.locator(".lately").count() == 0
    one.page.request.post(
        f"{one.url}/v1/profiles/berta/facts", data={"statement": "I'm allergic to peanuts"}
    )
    again = one.page.context.new_page()
    again.goto(f"{one.url}/?user=berta")
    lately = again.locator(".lately")
    lately.wait_for()
    assert lately.inner_text().split("\n") == [
        "Since your last visit: 1 change",
        f"Learnt {NUTS}",
    ]
    last = one.page.context.new_page()
    last.goto(f"{one.url}/?user=berta")
    last.locator(".group .statement").first.wait_for()
    assert last.locator(".lately").count() == 0
    last.click("#erase")
    last.click("#erase-confirm")
    last.locator("#erase-receipt").wait_for()
    assert "seen.berta" not in last.evaluate("JSON.stringify(localStorage)")


def test_markdown_is_drawn_and_nothing_in_it_runs(tab):
    one = tab().open("carl")
    page = one.page
    one.say("**bold** `a < b` [site](https://example.org/) ![pic](https://example.org/x.png)")
    words = page.locator(".turn.agent .words").last
    assert words.locator("strong").inner_text() == "bold"
    assert words.locator("code").inner_text() == "a < b"
    links = words.locator("a")
    assert [link.get_attribute("rel") for link in links.all()] == ["noopener noreferrer"] * 2
    assert [link.inner_text() for link in links.all()] == ["site", "pic"]
    for words in (
        "[x](javascript:window.hit=1) [y](data:text/html,<script>window.hit=1</script>)",
        "<img src=x onerror=window.hit=1> **a**<svg/onload=window.hit=1>",
        "<a href='javascript:window.hit=1'>b</a> <style>*{display:none}</style> <form><input>",
        "`<img src=x onerror=window.hit=1>` &lt;script&gt;window.hit=1&lt;/script&gt;",
        '[z](https://example.org/"onmouseover="window.hit=1)',
    ):
        one.say(words)
    made = page.locator("#log .words :is(img, svg, script, style, form, input, iframe, [style])")
    assert made.count() == 0
    attributes = page.evaluate(
        "[...document.querySelectorAll('#log .words *')].flatMap(e => e.getAttributeNames())"
    )
    assert set(attributes) <= {"href", "rel", "target", "tabindex", "start", "align"}
    hrefs = page.locator("#log .words a[href]").evaluate_all("all => all.map(a => a.href)")
    assert all(href.startswith("https://example.org/") for href in hrefs)
    assert page.evaluate("window.hit") is None
    assert all(url.startswith((one.url + "/", "blob:")) for url in one.requests)


@pytest.mark.parametrize("looks", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_reply_is_copied_and_given_anew_and_a_message_said_anew(tab, looks):
    one = tab(permissions=["clipboard-read", "clipboard-write"], **looks)
    one.open(f"dirk-{looks['viewport']['width']}")
    page = one.page
    one.say("Hello.")
    one.say("I love **spicy** food.")
    page.get_by_role("button", name="Copy").last.click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("You said I love **spicy**")
    assert page.get_by_role("button", name="Try again").count() == 1
    page.get_by_role("button", name="Try again").click()
    page.locator(".turn.agent .change").wait_for()
    page.wait_for_selector("#talk[aria-busy=false]")
    assert page.locator(".turn.you").count() == 2
    assert page.locator(".group .statement").all_text_contents() == [SPICY]
    page.get_by_role("button", name="Edit", exact=True).last.click()
    field = page.get_by_role("textbox", name="What you say instead")
    field.fill("I like chess.")
    field.press("Enter")
    one.wait_for(CHESS)
    said = page.locator(".turn.you .words")
    assert said.all_inner_texts() == ["Hello.", "I like chess."]
    page.reload()
    said.nth(1).wait_for()
    assert said.all_inner_texts() == ["Hello.", "I like chess."]


def test_a_long_message_is_edited_whole_and_named_without_its_marks(tab):
    one = tab().open("dora")
    one.say("## Plan\n\n" + "\n".join(f"- line {n}" for n in range(8)))
    one.page.get_by_role("button", name="Edit", exact=True).last.click()
    field = one.page.get_by_role("textbox", name="What you say instead")
    assert field.evaluate("e => e.scrollHeight <= e.clientHeight")
    one.page.locator("#earlier option:not([disabled])").first.wait_for(state="attached")
    assert one.page.locator("#earlier option:not([disabled])").all_text_contents() == ["Plan"]


def test_a_new_tab_goes_on_where_the_user_left_off(tab):
    one = tab().open("emma")
    one.say("Help me plan a trip.")
    one.page.click("#fresh")
    one.say("What is for lunch?")
    other = tab().open("emma")  # another browser
    other.page.locator(".turn.you").wait_for()
    assert other.page.inner_text(".turn.you .words") == "What is for lunch?"
    titles = other.page.locator("#earlier option:not([disabled])").all_text_contents()
    assert titles == ["What is for lunch?", "Help me plan a trip."]
    other.page.click("#fresh")
    other.page.reload()
    other.page.wait_for_selector("#model:not(:empty)")
    other.page.wait_for_function("() => document.querySelectorAll('#earlier option').length === 3")
    assert other.page.locator(".turn").count() == 0  # a new one is what was wanted here


def test_without_memory_nothing_is_used_learnt_or_kept(tab):
    one = tab().open("finn")
    page = one.page
    one.say("I like chess.")
    one.wait_for(CHESS)
    page.uncheck("#memory")
    assert page.locator("#hello .off").is_visible() and page.locator(".turn").count() == 0
    sent = []
    page.on("request", lambda r: sent.append(r.post_data_json) if r.method == "POST" else None)
    one.say("I love spicy food.")
    one.say("And now?")
    assert [len(body["messages"]) for body in sent] == [1, 3]
    assert all("user" not in body and body["memory"] is False for body in sent)
    assert one.statements() == [CHESS]
    page.check("#memory")
    assert page.locator(".turn").count() == 0
    page.reload()
    one.wait_for(CHESS)
    page.locator("#earlier option:not([disabled])").first.wait_for(state="attached")
    assert page.locator("#earlier option:not([disabled])").all_text_contents() == ["I like chess."]


def test_what_was_streamed_before_stop_is_there_after_a_reload(tab):
    one = tab().open("gina")
    page = one.page
    page.fill("#say", "Please answer slowly, slowly, slowly, I want to fly to Rome and so on.")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.turn.agent .words')?.textContent.length > 9"
    )
    page.click("#stop")
    page.get_by_text("Stopped here.").wait_for()
    heard = page.inner_text(".turn.agent .words")
    page.reload()
    page.wait_for_function(
        "text => document.querySelector('.turn.agent .words')?.innerText.startsWith(text)",
        arg=heard,
    )
    assert "No words came" not in page.inner_text("#log")
    page.locator(".turn.agent .tools").wait_for()
    assert page.locator(".asking").count() == 0  # the question never came


def test_a_reload_in_the_middle_of_a_reply_loses_none_of_it(tab):
    one = tab().open("hans")
    page = one.page
    page.fill("#say", "Please answer slowly, slowly, with many a word.")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.turn.agent .words')?.textContent.length > 9"
    )
    page.reload()
    page.locator(".turn.agent .tools").wait_for()
    page.wait_for_function(
        "() => document.querySelector('.turn.agent .words').textContent.length > 9"
    )
    assert page.inner_text(".turn.agent .words").startswith("You said")


def test_a_banner_goes_when_a_reply_comes(tab):
    one = tab().open("iris")
    page = one.page
    one.say("I like chess.")
    one.wait_for(CHESS)
    page.context.set_offline(True)
    page.click("#export")
    page.locator("#problem").wait_for()
    page.context.set_offline(False)
    one.say("Hello again.")
    assert not page.locator("#problem").is_visible()


def test_the_model_has_its_name_and_no_key_is_asked_where_there_are_none(tab):
    one = tab().open("jana")
    assert one.page.inner_text("#model") == "Talker 1B"
    one.page.click("#who")
    assert one.page.locator("#user-name").is_visible()
    assert not one.page.locator("#user-key").is_visible()


def test_the_slider_says_what_it_does(tab):
    one = tab().open("kurt")
    one.say("I love spicy food.")
    one.say("These days I like it mild.")
    one.wait_for(MILD)
    slider = one.page.get_by_role("slider", name="Go back in time")
    hint = one.page.inner_text(f"#{slider.get_attribute('aria-describedby')}")
    assert "what I knew before" in hint


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_wraps_or_overflows_on_a_phone(tab, scheme):
    one = tab(color_scheme=scheme, **PHONE).open(f"lara-{scheme}")
    page = one.page
    one.say("I love spicy food, and I like chess, and what I say here makes a rather long title.")
    one.say("These days I like it mild.")
    single = (
        "() => [...document.querySelectorAll('button:not(.statement, .link), .switch, h1, h2,"
        " #earlier, .bar, .time label')].filter(e => e.checkVisibility() && "
        "e.getBoundingClientRect().height > 1.9 * parseFloat(getComputedStyle(e).lineHeight)"
        " + parseFloat(getComputedStyle(e).paddingTop) * 2 + 12).map(e => e.outerHTML)"
    )
    for view in ("#view-chat", "#view-profile"):
        page.click(view)
        assert page.evaluate(single) == []
        outside = page.evaluate(
            "() => [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()"
            " && !e.closest('.hidden, .skip') && e.getBoundingClientRect().right > 390.5)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert outside == []
