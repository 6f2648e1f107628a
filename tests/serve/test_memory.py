"""What was said leaves memory with its request, and no other request finds it there."""

import gc
import time

import httpx

from pa_jax.english import memory

MARKS = tuple(f"{name}berry" for name in ("quill", "sorrel", "thistle"))


def seen(marks):
    """Of which marks an object of this process holds a text, and what kind of object."""
    found = {}
    for holder in gc.get_objects():
        if type(holder) is type(gc.get_objects) or holder is marks:
            continue
        for held in gc.get_referents(holder):
            if type(held) in (str, bytes, bytearray):
                text = held if type(held) is str else bytes(held).decode("latin-1")
                for mark in marks:
                    if mark in text and text != mark:
                        found[mark] = (type(holder), text[:200])
    return found


def test_texts_of_requests_that_have_ended_are_let_go_of(server, teach):
    url, words = f"{server.url}/v1/profiles/eve", [f"I like {mark} tea" for mark in MARKS]
    teach("eve")
    memory.forget()  # of what this test did without the server
    server.ask(words[0], user="eve", max_tokens=4)
    server.ask(words[1], max_tokens=4)
    assert server.edit("eve/facts/900.0.0", f"{words[2]}.").status_code == 200
    for path in ("", "?search=thistleb", "/history", "/export"):
        assert MARKS[2] in httpx.get(f"{url}{path}").text
    assert MARKS[0] in httpx.get(f"{url}/sessions").text
    assert memory.size() == 0  # as soon as each has its answer
    assert server.delete("eve").status_code == 200
    server.ask("Hi", max_tokens=4)
    assert memory.size() == 0
    del words
    until = time.monotonic() + 10
    while (left := seen(MARKS)) and time.monotonic() < until:
        gc.collect()
        time.sleep(0.2)
    assert left == {}
