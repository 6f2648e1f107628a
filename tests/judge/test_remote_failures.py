"""Endpoints that fail, hang or cost too much: a real HTTP server plays the endpoint."""

import json
import threading
import time

import pytest

from pa_jax.judge import answers, remote
from tests.judge import endpoint

pytest.importorskip("openai", reason="the extra `remote` is not installed")


def test_429_is_asked_again_when_it_says(opened):
    at = []

    def busy(request, seen):
        at.append(time.monotonic())
        if seen == 1:
            return 429, {"retry-after": "1"}, "{}"
        return endpoint.completion(json.dumps(endpoint.GOOD))

    with endpoint.serving(busy) as (url, got):
        one = opened(url)
        assert one.score(endpoint.groups(["Tea."])).values[0, 0].tolist() == endpoint.WANT
    assert len(at) == 2 and 0.95 <= at[1] - at[0] < 3
    assert one.figures()["judge/requests_in_all"] == 2


@pytest.mark.parametrize(
    "reply",
    [
        lambda request, seen: (500, {"retry-after-ms": "10"}, "oops"),
        lambda request, seen: (200, {}, '{"choices": [{"mess'),
        lambda request, seen: (200, {}, "[]"),
        lambda request, seen: (200, {"length": 10_000}, '{"choices": ['),
        lambda request, seen: (400, {}, '{"error": {"message": "too long"}}'),
    ],
    ids=["500", "malformed", "no-object", "cut", "400"],
)
def test_a_question_without_answer_is_a_failure_and_is_asked_again_next_time(opened, reply):
    broken = True

    def sometimes(request, seen):
        return reply(request, seen) if broken else endpoint.rated(request, seen)

    with endpoint.serving(sometimes) as (url, got):
        one = opened(url, retries=1)
        scores = one.score(endpoint.groups(["Tea."]))
        assert scores.failed.all() and (scores.values == 0).all()
        assert one.figures()["judge/unanswered"] == 1
        broken = False
        again = opened(url, retries=1)
        assert again.score(endpoint.groups(["Tea."])).values[0, 0].tolist() == endpoint.WANT
        assert again.figures()["judge/requests_in_all"] == len(got)


def test_a_server_that_hangs_costs_its_time_out_and_no_verdict(opened):
    gone = threading.Event()

    def hangs(request, seen):
        if "slow" in request["messages"][1]["content"]:
            gone.wait(10)
        return endpoint.rated(request, seen)

    with endpoint.serving(hangs) as (url, _):
        one = opened(url, timeout=0.3, retries=0, cost=1.0)
        began = time.monotonic()
        scores = one.score(endpoint.groups(["Fine.", "A slow one."]))
        took = time.monotonic() - began
        gone.set()
    assert scores.failed.tolist() == [[False, True]] and took < 3
    figures = one.figures()
    # the time-out may be billed: counted as dear as it can be
    assert figures["judge/cost_in_all"] > 2 * (100 + 10 * 10) / 1e6


def test_wrong_key_and_dead_address_stop_with_what_to_check(opened, monkeypatch):
    with endpoint.serving(lambda request, seen: (401, {}, "{}")) as (url, got):
        with pytest.raises(OSError, match="refuses model 'm'.*TEST_JUDGE_KEY") as caught:
            opened(url).score(endpoint.groups(["Tea."]))
        assert "sesame" not in str(caught.value) and len(got) == 1
    monkeypatch.delenv("TEST_JUDGE_KEY")
    with pytest.raises(ValueError, match="key_env='TEST_JUDGE_KEY'.*not set"):
        opened(url)


def test_nothing_but_failures_stops_the_run(opened):
    texts = [[f"Tea number {i}." for i in range(3 * remote.GIVE_UP)]]
    with endpoint.serving(lambda request, seen: endpoint.completion("I cannot rate this.")) as (
        url,
        got,
    ):
        with pytest.raises(OSError, match="failures in a row.*cannot rate.*kept in"):
            opened(url).score(endpoint.groups(*texts))
    assert remote.GIVE_UP <= len(got) <= remote.GIVE_UP + 4


def test_the_budget_of_requests_is_never_passed_and_what_was_judged_is_kept(opened):
    texts = [["Tea one.", "Tea two.", "Tea three.", "Tea four.", "Tea five."]]
    with endpoint.serving(endpoint.rated) as (url, got):
        with pytest.raises(answers.BudgetSpent, match="3 of 3 requests.*kept in.*raise"):
            opened(url, requests=3).score(endpoint.groups(*texts))
        assert len(got) == 3
        with pytest.raises(answers.BudgetSpent):
            opened(url, requests=3).score(endpoint.groups(*texts))
        assert len(got) == 3
        scores = opened(url, requests=5).score(endpoint.groups(*texts))
        assert len(got) == 5 and not scores.failed.any()


def test_retries_count_against_the_budget(opened):
    with endpoint.serving(lambda request, seen: (500, {"retry-after-ms": "5"}, "")) as (url, got):
        with pytest.raises(answers.BudgetSpent):
            opened(url, requests=4).score(endpoint.groups(["Tea one.", "Tea two.", "Tea three."]))
    assert len(got) == 4  # three for one question, what was left for another, none for the third


def test_the_budget_of_money_covers_the_worst_case_of_every_question(opened):
    texts = [[f"Tea number {i}." for i in range(40)]]
    with endpoint.serving(endpoint.rated) as (url, got):
        one = opened(url, cost=0.005, retries=0)
        with pytest.raises(answers.BudgetSpent, match="of 0.005 money"):
            one.score(endpoint.groups(*texts))
        spent = one.figures()["judge/cost_in_all"]
    assert spent == pytest.approx(len(got) * (100 * 1.0 + 10 * 10.0) / 1e6)
    worst = (len(json.dumps(got[0][1]["messages"])) + 50 * 10.0) / 1e6
    assert 0.005 - worst < spent <= 0.005
