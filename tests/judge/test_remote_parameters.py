"""What an endpoint takes, and the keys that say so: a real HTTP server plays the endpoint."""

import json

import pytest

from tests.judge import endpoint

pytest.importorskip("openai", reason="the extra `remote` is not installed")


def refusing(**refused):
    """An endpoint that takes all but some parameters, or some of their values."""

    def reply(request, seen):
        for name, wrong in refused.items():
            if name in request and (wrong is None or request[name] == wrong):
                error = {
                    "message": f"Unsupported parameter: '{name}' is not supported with this model.",
                    "type": "invalid_request_error",
                    "param": name,
                    "code": "unsupported_parameter",
                }
                return 400, {}, json.dumps({"error": error})
        return endpoint.rated(request, seen)

    return reply


@pytest.mark.parametrize(
    ("refused", "last"),
    [
        ({"max_tokens": None, "temperature": 0}, {"max_completion_tokens": 50}),  # gpt-5, o-series
        ({"temperature": 0}, {"max_tokens": 50}),
        ({"reasoning_effort": None}, {"max_tokens": 50, "temperature": 0}),
        ({"response_format": None}, {"max_tokens": 50, "temperature": 0}),
    ],
)
def test_what_the_endpoint_does_not_take_is_not_sent_again(opened, refused, last):
    with endpoint.serving(refusing(**refused)) as (url, got):
        one = opened(url, reasoning="low", concurrency=1, retries=0)
        scores = one.score(endpoint.groups(["Tea.", "Cake.", "Milk."]))
        assert scores.values[0].tolist() == [endpoint.WANT] * 3
        figures = one.figures()
    bodies = [body for _, body in got]
    assert figures["judge/answered"] == 3 and figures["judge/requests_in_all"] == len(bodies)
    assert len(bodies) <= 3 + len(refused)
    for body in bodies[-2:]:
        assert last.items() <= body.items()
        assert not [n for n, wrong in refused.items() if n in body and wrong in (None, body[n])]


def test_the_strictness_of_json_steps_down(opened):
    def no_schema(request, seen):
        if request.get("response_format", {}).get("type") == "json_schema":
            return 422, {}, json.dumps({"detail": "response_format json_schema is not supported"})
        return endpoint.rated(request, seen)

    with endpoint.serving(no_schema) as (url, got):
        one = opened(url, format="json_schema")
        assert one.score(endpoint.groups(["Tea."])).values[0, 0].tolist() == endpoint.WANT
    assert got[-1][1]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("field", "message", "param"),
    [
        ("temperature", "`temperature` is deprecated for this model.", None),
        ("temperature", "temperature is not available with this model", ["temperature"]),
        ("response_format", "This response_format type is unavailable now", {}),
        ("response_format", "'response_format.type' must be 'text'", 0),
    ],
)
def test_however_the_endpoint_says_that_it_does_not_take_it(opened, field, message, param):
    def reply(request, seen):
        if field in request:
            return 400, {}, json.dumps({"error": {"message": message, "param": param}})
        return endpoint.rated(request, seen)

    with endpoint.serving(reply) as (url, got):
        one = opened(url, format="json_object")
        assert one.score(endpoint.groups(["Tea."])).values[0, 0].tolist() == endpoint.WANT
    assert field not in got[-1][1] and len(got) == 2


def test_an_answer_in_parts_is_their_text(opened):
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "{}"}]}]
    parts += [{"type": "text", "text": json.dumps(endpoint.GOOD)}]
    with endpoint.serving(lambda *_: endpoint.completion(parts)) as (url, _):
        one = opened(url)
        assert one.score(endpoint.groups(["Tea."])).values[0, 0].tolist() == endpoint.WANT


def test_a_bound_on_the_answer_is_always_sent_and_other_400s_are_failures(opened):
    with endpoint.serving(refusing(max_tokens=None, max_completion_tokens=None)) as (url, got):
        one = opened(url, concurrency=1)
        assert one.score(endpoint.groups(["Tea."])).failed.all()
        assert all({"max_tokens", "max_completion_tokens"} & body.keys() for _, body in got)
        assert len(got) < 5
    long = json.dumps({"error": {"message": "maximum context length is 10, reduce max_tokens"}})
    with endpoint.serving(lambda *_: (400, {}, long)) as (url, got):
        one = opened(url)
        assert one.score(endpoint.groups(["Tea."])).failed.all() and len(got) == 1


def test_keys_say_what_is_sent(opened):
    with endpoint.serving(endpoint.rated) as (url, got):
        keys = {"limit": "max_completion_tokens", "temperature": -1.0, "reasoning": "minimal"}
        opened(url, **keys).score(endpoint.groups(["Tea."]))
        assert len(got) == 1
        body = got[0][1]
        assert body["max_completion_tokens"] == 50 and body["reasoning_effort"] == "minimal"
        assert not {"max_tokens", "temperature"} & body.keys()
        opened(url).score(endpoint.groups(["Tea."]))  # another question: another answer
        assert len(got) == 2
    with pytest.raises(ValueError, match="judge.remote.limit='max'.*max_completion_tokens"):
        opened("http://localhost/v1", limit="max")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"url": "localhost:8000"}, "url='localhost:8000': must start with http"),
        ({"model": ""}, "model=''"),
        ({"format": "yaml"}, "format='yaml': choose one of"),
        ({"concurrency": 0}, "concurrency=0: must be above 0"),
        ({"cost": 1.0, "price_in": 0.0, "price_out": 0.0}, "both prices 0"),
    ],
)
def test_wrong_settings_are_named(opened, changed, message):
    with pytest.raises(ValueError, match=message):
        opened(**{"url": "http://127.0.0.1:9/v1"} | changed)
