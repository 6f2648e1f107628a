"""The web page in the states that people bring it to: readable in every window and light."""

import pytest

WIDTHS = {
    "wide": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
NUTS = "You are allergic to peanuts."
MARKDOWN = """# Plan

- **one**
- `two` and [three](https://example.org/)

> four

| a | b |
|---|---|
| 1 | 2 |

```
code that is long enough to run out of any bubble that there is on a telephone
```"""
LOOKS = [("wide", "light"), ("phone", "dark"), ("wide", "dark"), ("phone", "light")]
SELDOM = [
    pytest.param(*looks, marks=pytest.mark.slow) if number > 1 else looks
    for number, looks in enumerate(LOOKS)
]


@pytest.fixture
def seen(violations, artefacts):
    """Looks at a tab: nothing is beside its window, and axe finds nothing that matters."""

    def look(one, name, width, scheme):
        one.page.screenshot(path=artefacts / f"{name}-{width}-{scheme}.png")
        room = one.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert room[0] <= room[1], (name, room)
        assert violations(one) == [], name

    return look


def show(one, part):
    if one.page.locator(f"#view-{part}").is_visible():
        one.page.click(f"#view-{part}")


@pytest.mark.parametrize(("width", "scheme"), SELDOM)
def test_facts_in_every_state(tab, seen, width, scheme):
    one = tab(color_scheme=scheme, **WIDTHS[width]).open(f"mara-{width}-{scheme}")
    page, how = one.page, (width, scheme)
    show(one, "profile")
    seen(one, "profile-empty", *how)
    page.click("#add")
    seen(one, "add-open", *how)
    page.fill("#add-text", "Bob likes rum")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("no single statement about the user").wait_for()
    seen(one, "add-refused", *how)
    page.fill("#add-text", "I'm allergic to peanuts")
    page.keyboard.press("Enter")
    one.wait_for(NUTS)
    seen(one, "added", *how)
    show(one, "chat")
    one.say("I like chess. I love spicy food. This is no lie.")
    seen(one, "learnt", *how)
    page.locator(".undo button").click()
    page.get_by_text("Undone.", exact=True).wait_for()
    seen(one, "undone", *how)
    show(one, "profile")
    page.fill("#search", "allerg")
    one.wait_for(NUTS)
    seen(one, "search-found", *how)
    page.fill("#search", "zeppelin")
    page.get_by_text("No fact has these words.").wait_for()
    seen(one, "search-nothing", *how)
    page.fill("#search", "")
    one.wait_for(NUTS)
    page.click(f".group .statement >> text={NUTS}")
    page.locator(".edit").first.click()
    seen(one, "fact-editing", *how)
    page.request.post(
        f"{one.url}/v1/profiles/mara-{width}-{scheme}/facts", data={"statement": "I live in Riga"}
    )
    again = page.context.new_page()
    again.goto(page.url)
    again.locator(".lately").wait_for(state="attached")
    one.page = again
    show(one, "profile")
    seen(one, "since-last-visit", *how)
    again.focus("#when")
    again.keyboard.press("ArrowLeft")
    again.locator("#now").wait_for()
    seen(one, "back-in-time", *how)


@pytest.mark.parametrize(("width", "scheme"), SELDOM)
def test_conversations_in_every_state(tab, seen, width, scheme):
    one = tab(color_scheme=scheme, **WIDTHS[width]).open(f"nils-{width}-{scheme}")
    page, how = one.page, (width, scheme)
    one.say(MARKDOWN)
    seen(one, "markdown", *how)
    page.get_by_role("button", name="Edit", exact=True).last.click()
    page.get_by_role("textbox", name="What you say instead").wait_for()
    seen(one, "say-instead", *how)
    page.keyboard.press("Escape")
    page.click("#fresh")
    page.fill("#say", "Please answer slowly, slowly, slowly, I want to fly to Rome and so on.")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.turn.agent .words')?.textContent.length > 9"
    )
    seen(one, "streaming", *how)
    page.click("#stop")
    page.get_by_text("Stopped here.").wait_for()
    seen(one, "stopped", *how)
    page.reload()
    page.locator(".turn.agent .tools").wait_for()
    page.locator("#earlier option:not([disabled])").first.wait_for(state="attached")
    seen(one, "reloaded", *how)
    page.uncheck("#memory")
    seen(one, "memory-off", *how)
    one.say("Just this once.")
    seen(one, "memory-off-said", *how)
    page.context.set_offline(True)
    page.fill("#say", "Is anybody there?")
    page.keyboard.press("Enter")
    page.locator("#problem").wait_for()
    seen(one, "lost", *how)
