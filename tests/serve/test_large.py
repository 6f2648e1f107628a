"""A profile of megabytes: who reads it or brings it keeps nobody else waiting."""

import concurrent.futures
import datetime
import gc
import time

import httpx
import pytest

from pa_jax.profile import facts

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
VERSIONS = 3000


@pytest.fixture(scope="module")
def large(agent):
    """The export of a user one of whose facts was said again and again."""
    op = facts.FactOp("add", "The user likes tea.", "food/tea", None, "positive", "stated", 0.9)
    agent.profiles.apply("small", [op], facts.Source(0, 0, "I like tea"), now=NOON)
    data = agent.profiles.export("small")
    times = [(NOON + datetime.timedelta(seconds=n)).isoformat() for n in range(VERSIONS)]
    fact, turn = data["facts"][0], data["turns"][0]
    versions = [
        fact
        | {"version": n, "event": "reinforced" if n else "added", "by": {"session": 0, "turn": n}}
        | {"statement": f"The user likes tea number {n}, and hates rum."}
        | {"known_from": at, "known_to": times[n + 1] if n + 1 < VERSIONS else None}
        for n, at in enumerate(times)
    ]
    turns = [turn | {"turn": n, "applied_at": at} for n, at in enumerate(times)]
    return data | {"user": "large", "facts": versions, "turns": turns}


def longest_wait(server, work):
    """Seconds that `work` took, and that the server took at most to say meanwhile that it is well.

    Without the first look, which may have to connect.
    """
    gc.collect()
    gc.freeze()  # what other tests left in this process is not gone through meanwhile
    waits, began = [], time.monotonic()
    with httpx.Client(base_url=server.url) as http, concurrent.futures.ThreadPoolExecutor() as pool:
        doing = pool.submit(work)
        while not doing.done():
            asked = time.monotonic()
            assert http.get("/health", timeout=60).status_code == 200
            waits.append(time.monotonic() - asked)
    gc.unfreeze()
    answer = doing.result()
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began, max(waits[1:]), answer


def test_a_large_profile_is_read_while_others_are_answered(server, large):
    url = f"{server.url}/v1/profiles/large"
    server.delete("large")
    bringing = httpx.post(f"{url}/import", json=large, timeout=120)
    assert bringing.json() == {"user": "large", "facts": 1}
    took, wait, answer = longest_wait(server, lambda: httpx.get(f"{url}/history", timeout=120))
    records = answer.json()["records"]
    assert len(records) == VERSIONS and records[7]["told"] == "You like tea number 7, and hate rum."
    assert wait < took / 3


def test_a_body_that_is_no_export_says_so(server):
    url = f"{server.url}/v1/profiles/nobody/import"
    for body, code in ((b"{", "invalid_json"), (b"[]", "invalid_value"), (b"\xff", "invalid_json")):
        answer = httpx.post(url, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
