"""The page on the server as people start it, with the models of a preset."""

import json
import urllib.request

import pytest


def exported(user: str) -> dict:
    """What an export of one learnt fact looks like (pa_jax/profile/portable.py)."""
    noon = "2026-03-01T12:00:00+00:00"
    return {
        "format": "pa_jax.profile",
        "version": 1,
        "user": user,
        "facts": [
            {
                "id": "0.0.0",
                "category": "travel",
                "subcategory": "flight_seat",
                "statement": "The user likes window seats.",
                "polarity": "positive",
                "authority": "stated",
                "confidence": 0.9,
                "valid_from": noon,
                "valid_to": None,
                "recorded_at": noon,
                "source": {"session": 0, "turn": 0, "quote": "I like window seats."},
                "superseded_by": None,
                "version": 0,
                "event": "added",
                "by": {"session": 0, "turn": 0},
                "known_from": noon,
                "known_to": None,
            }
        ],
        "turns": [{"session": 0, "turn": 0, "applied_at": noon, "receipts": []}],
        "labels": [],
    }


@pytest.mark.slow
def test_random_weights_talk_and_the_profile_is_read_and_taken_back(tab, real, tmp_path):
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(exported("ann")))
    with real("tiny") as server:
        one = tab(server.url).open("ann")
        one.page.set_input_files("#import-file", file)
        one.wait_for("You like window seats.")
        one.page.click(".statement")
        one.page.click(".forget")
        one.wait_for()
        one.say("I like tea.", seconds=120)
        one.page.reload()
        one.page.locator(".turn.agent").wait_for()
        assert one.page.inner_text(".turn.you .words") == "I like tea."
        with urllib.request.urlopen(f"{server.url}/v1/profiles/ann") as answer:
            known = [fact["told"] for fact in json.load(answer)["facts"]]
        shown = one.page.locator(".group .statement")
        assert sorted(shown.all_text_contents()) == sorted(known)


@pytest.mark.slow
def test_a_small_model_learns_what_it_is_told(tab, real, artefacts):
    with real("smollm2") as server:
        one = tab(server.url).open("ann")
        one.say("I always take the window seat when I fly.", seconds=300)
        group = one.page.get_by_role("region", name="Travel and transport")
        group.locator(".statement").first.hover()
        assert "window seat when I fly" in one.page.inner_text("#tip")
        one.page.screenshot(path=artefacts / "smollm2.png")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_persons_first_conversation_is_typed_in(tab, real, real_data, violations, artefacts):
    """What needs no model to be noted is known at the end, and everything can be read anywhere."""
    file = real_data / "conversations" / "dev.jsonl"
    if not file.is_file():
        pytest.skip(f"no {file}")
    person = json.loads(file.read_text().splitlines()[0])
    turns = [turn["user"] for session in person["sessions"] for turn in session]
    assert len(turns) > 10
    with real("tiny") as server:
        one = tab(server.url).open("sam")
        for words in turns:
            one.say(words, seconds=120)
        assert one.page.locator(".turn.you .words").all_inner_texts() == turns
        known = one.statements()
        assert {"You are allergic to peanuts.", "You are allergic to shellfish."} <= set(known)
        assert not any("techno" in statement for statement in known)
        for width in (1280, 390):
            one.page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                one.page.emulate_media(color_scheme=scheme)
                assert violations(one) == []  # waits until the colours are there
                one.page.screenshot(path=artefacts / f"conversation-{width}-{scheme}.png")
                assert one.page.evaluate("document.documentElement.scrollWidth") <= width
