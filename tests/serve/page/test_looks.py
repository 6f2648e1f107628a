"""The web page for everybody: by keyboard, with a screen reader, on a phone, in the dark."""

import json
import pathlib
import re
import time
import urllib.request

import pytest

from pa_jax.profile import taxonomy

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
PAGE = ROOT / "pa_jax" / "serve" / "page"
SPICY = "You love very spicy food."


def filled(one, user):
    one.open(user)
    one.say("I love spicy food, I like chess, and this is no lie.")
    one.say("These days I like it mild, and no coffee. What is for dinner?")
    one.wait_for("You prefer mild food.", "You like chess.", "You avoid coffee.")
    one.page.locator(".statement").first.click()
    one.page.locator(".statement").nth(1).click()
    one.page.locator(".edit").first.click()
    one.page.locator(".former summary").click()
    return one


def test_all_of_it_works_by_keyboard(tab):
    one = tab()
    page, key = one.page, one.page.keyboard

    def focused():
        return page.evaluate("document.activeElement.id || document.activeElement.textContent")

    def settles(wanted):
        """The focus comes there: a dialog gives it back a little after it closes."""
        until = time.monotonic() + 10
        while focused() != wanted:
            assert time.monotonic() < until, f"the focus is at {focused()!r}, not at {wanted!r}"
            time.sleep(0.05)

    def tab_to(wanted):
        for _ in range(40):
            key.press("Tab")
            if focused() == wanted:
                return
        raise AssertionError(f"no way to {wanted!r} by Tab; now at {focused()!r}")

    page.goto(one.url)
    page.wait_for_selector("#user-dialog[open]")
    settles("user-name")
    key.type("kim")
    key.press("Enter")
    page.wait_for_selector("#model:not(:empty)")
    settles("say")
    key.type("I love spicy food, and I like chess.")
    key.press("Shift+Enter")
    key.type("Answer slowly, slowly!")
    key.press("Enter")
    page.wait_for_selector(".turn.agent .words:not(:empty)")
    tab_to("stop")
    key.press("Enter")
    page.get_by_text("Stopped here.").wait_for()
    settles("say")
    one.wait_for(SPICY, "You like chess.")
    tab_to(SPICY)
    key.press("Enter")
    assert page.locator(".statement").first.get_attribute("aria-expanded") == "true"
    tab_to("Edit")
    key.press("Enter")
    key.type("I like it mild")
    key.press("Escape")
    settles("Edit")
    key.press("Enter")
    key.type("I like it hot")  # what was there is selected
    tab_to("Cancel")
    key.press("Enter")
    settles("Edit")
    key.press("Enter")
    key.type("I like it mild")
    key.press("Enter")
    one.wait_for("You like it mild.", "You like chess.")
    settles("You like it mild.")
    key.press("Enter")
    tab_to("Forget this")
    key.press("Enter")
    one.wait_for("You like chess.")
    settles("facts")
    tab_to("erase")
    key.press("Enter")
    key.press("Tab")
    settles("erase-confirm")
    key.press("Enter")
    page.locator("#erase-receipt").wait_for()
    settles("erase-cancel")
    key.press("Escape")
    one.wait_for()
    settles("facts")


@pytest.mark.slow
def test_a_screen_reader_hears_a_reply_once_and_whole(tab):
    one = tab().open("lea")
    page = one.page
    page.evaluate(
        """() => {
            window.heard = [];
            const live = document.querySelectorAll('[aria-live], [role=status], [role=alert]');
            for (const node of live) new MutationObserver(() => {
                if (node.textContent.trim()) window.heard.push(node.textContent);
            }).observe(node, {childList: true, subtree: true, characterData: true});
        }"""
    )
    one.say("I love spicy food. Tell me a lot about it.")
    page.wait_for_function("() => window.heard.some(text => text.includes('Profile: 1 change.'))")
    heard = page.evaluate("window.heard")
    assert heard[0] == "Answering." and len(heard) == 2
    assert "You said I love spicy food. Tell me a lot about it. I know 0" in heard[1]
    landmarks = page.locator("header, main, nav, section[aria-labelledby]")
    assert landmarks.count() >= 5
    unnamed = page.evaluate(
        "() => [...document.querySelectorAll('button, input, select, textarea')]"
        ".filter(e => e.checkVisibility() && !(e.labels?.length || e.ariaLabel"
        " || e.textContent.trim())).length"
    )
    assert unnamed == 0


def test_no_serious_violation_of_accessibility_in_the_light(tab, violations, artefacts):
    one = tab()
    one.page.goto(one.url)
    one.page.wait_for_selector("#user-dialog[open]")
    assert violations(one) == []
    filled(one, "mia")
    one.page.screenshot(path=artefacts / "filled-light.png")
    assert violations(one) == []
    one.page.click("#erase")
    assert violations(one) == []


def luminance(page, selector):
    """Relative luminance (0 to 1) of an element's background."""
    colour = page.eval_on_selector(selector, "e => getComputedStyle(e).backgroundColor")
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.slow
def test_it_is_dark_where_the_system_is_and_still_readable(tab, violations, artefacts):
    one = filled(tab(color_scheme="dark"), "nora")
    one.page.screenshot(path=artefacts / "filled-dark.png")
    assert violations(one) == []
    for selector in ("body", ".profile", ".asking", "#say"):
        assert luminance(one.page, selector) < 0.2, selector
    one.page.focus("#when")
    one.page.keyboard.press("ArrowLeft")
    one.page.locator("#now").wait_for()
    assert violations(one) == []
    one.page.context.set_offline(True)
    one.page.click("#erase")
    one.page.click("#erase-confirm")
    one.page.locator("#problem").wait_for()
    assert violations(one) == []


@pytest.mark.slow
def test_it_moves_nothing_for_who_wants_less_motion(tab):
    one = tab(reduced_motion="reduce").open("olga")
    one.page.fill("#say", "I love spicy food. Answer slowly.")
    one.page.keyboard.press("Enter")
    one.page.locator(".fact").wait_for()
    moving = "() => document.getAnimations().filter(a => a.playState === 'running').length"
    assert one.page.evaluate(moving) == 0


def test_on_a_phone_the_two_parts_take_turns(tab, violations, artefacts):
    phone = {"viewport": {"width": 360, "height": 720}, "has_touch": True, "is_mobile": True}
    one = tab(**phone).open("pia")
    page = one.page
    page.screenshot(path=artefacts / "phone-empty.png")
    one.say("I love spicy food, and I like chess, and " + "Donaudampfschifffahrt" * 5)
    page.wait_for_selector("#view-count:not([hidden])")
    assert page.inner_text("#view-count") == "2"
    assert page.locator("#say").is_visible() and not page.locator("#facts").is_visible()
    page.screenshot(path=artefacts / "phone-chat.png")
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 360 and violations(one) == []
    page.get_by_role("button", name="Profile").tap()
    assert page.locator("#facts").is_visible() and not page.locator("#say").is_visible()
    page.locator(".statement").first.tap()
    assert "I love spicy food" in page.inner_text(".more >> nth=0")
    page.locator(".edit").tap()
    page.screenshot(path=artefacts / "phone-profile.png")
    assert page.evaluate(width) <= 360 and violations(one) == []
    small = page.evaluate(
        "() => [...document.querySelectorAll('button, select')].filter(e => e.checkVisibility()"
        " && e.getBoundingClientRect().height < 24).map(e => e.outerHTML)"
    )
    assert small == []  # WCAG 2.2, target size


def test_the_files_make_no_markup_of_text_and_need_nothing_from_elsewhere():
    texts = {path.name: path.read_text() for path in PAGE.iterdir() if path.is_file()}
    for name, text in texts.items():
        bare = text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//cdn|@import|url\(", bare), name
    for name in (name for name in texts if name.endswith(".js")):
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|srcdoc",
            texts[name],
        )
        assert not found, (name, found)
    html = texts["index.html"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", html)
    named = set(re.findall(r'"/page/([\w./]+)"', "".join(texts.values())))
    library = {f"lib/{path.name}" for path in (PAGE / "lib").glob("*.js")}
    assert named - {"taxonomy.json", "server.json"} == set(texts) - {"index.html"} | library
    for path in (PAGE / "lib").glob("*.js"):
        assert path.with_name(f"{path.name.partition('.')[0]}.LICENSE.txt").is_file()


def test_the_page_names_categories_as_the_taxonomy_does(server):
    with urllib.request.urlopen(f"{server.url}/page/taxonomy.json") as response:
        served = json.load(response)["categories"]
    names = {path: name for category in served for path, name in category["slots"].items()}
    assert names == {slot.path: slot.name for slot in taxonomy.Taxonomy.load().subcategories}
    assert [(c["id"], c["name"]) for c in served] == [
        (c.id, c.name) for c in taxonomy.Taxonomy.load().categories
    ]
