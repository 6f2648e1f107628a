"""A judge behind any OpenAI-compatible endpoint: one request a snippet, four ratings as JSON.

Rubric and wording are ours. The openai library retries with back-off and honours Retry-After.
Answers stay on disk (answers.py), so what was once answered is never asked again. An answer without
four ratings from 1 to 5 and a question without an answer are failures, counted and never scored.
"""

import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import jax
import numpy as np
from absl import logging

from pa_jax.dialogue import thought
from pa_jax.judge import answers, contexts, first, ratings, rubric

GIVE_UP = 20  # failures in a row after which the endpoint, not the snippets, is at fault
FORMATS = ("json_schema", "json_object", "none")
LIMITS = ("max_tokens", "max_completion_tokens")  # what endpoints call the bound on an answer
_NOT_TAKEN = re.compile(  # in what an endpoint says of a parameter that it has not
    r"unsupported|not support|unknown|unrecogni|unexpected|not permitted|not allowed|forbidden"
    r"|deprecated|unavailable|not available|response_format",  # which is taken whole, or not
    re.IGNORECASE,
)
_OVERHEAD = 64  # tokens that a chat template may add to the bytes of the messages
TOKENS = 2**40  # of one answer: nobody writes more


class Unreachable(OSError):
    """The endpoint refuses or fails again and again; what was answered is kept."""


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where the judge is, and what it may take.

    url           base of the API, https://host/v1
    model         name that the endpoint knows the model by
    key_env       environment variable that holds the key; "" for an endpoint without one
    format        how JSON is asked for: json_schema | json_object | none (what the endpoint knows)
    max_tokens    of an answer, thoughts included
    limit         what the endpoint calls that: max_tokens | max_completion_tokens
    temperature   below 0: not sent
    reasoning     reasoning_effort of a model that thinks; "": not sent
    concurrency   requests at a time
    timeout       seconds for one request
    retries       after a time-out, a lost connection, 408, 409, 429 and 5xx
    requests      budget, retries included, over the life of the cache file
    cost          budget of money in the prices' currency; 0 is no limit
    price_in, price_out    of a million tokens read and written
    cache         file of answers

    What the endpoint says it does not take is not sent again: `limit` by its other name, JSON asked
    for less strictly, the others left out.
    """

    url: str
    model: str
    key_env: str
    format: str
    max_tokens: int
    limit: str
    temperature: float
    reasoning: str
    concurrency: int
    timeout: float
    retries: int
    requests: int
    cost: float
    price_in: float
    price_out: float
    cache: str

    def __post_init__(self) -> None:
        if not re.match(r"https?://\S+$", self.url):
            raise ValueError(
                f"judge.remote.url={self.url!r}: must start with http:// or https:// and be the "
                "API's base (https://api.openai.com/v1, http://localhost:8000/v1)."
            )
        if not self.model or not self.cache:
            raise ValueError(
                f"judge.remote.model={self.model!r}, cache={self.cache!r}: both must be given."
            )
        if self.format not in FORMATS:
            raise ValueError(f"judge.remote.format={self.format!r}: choose one of {FORMATS}.")
        if self.limit not in LIMITS:
            raise ValueError(f"judge.remote.limit={self.limit!r}: choose one of {LIMITS}.")
        for name in ("max_tokens", "concurrency", "timeout", "requests"):
            if not getattr(self, name) > 0:
                raise ValueError(f"judge.remote.{name}={getattr(self, name)}: must be above 0.")
        for name in ("retries", "cost", "price_in", "price_out"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"judge.remote.{name}={getattr(self, name)}: must not be below 0.")
        if self.cost and not (self.price_in or self.price_out):
            raise ValueError(
                f"judge.remote.cost={self.cost} with both prices 0: money is counted from "
                "price_in and price_out (of a million tokens); set them, or cost=0."
            )

    def key(self) -> str:
        """The endpoint's key; ValueError where the variable that is to hold it is not set."""
        found = os.environ.get(self.key_env, "") if self.key_env else "none"
        if not found:
            raise ValueError(
                f"judge.remote.key_env={self.key_env!r}: this environment variable is not set; put "
                "the endpoint's key into it, or set key_env='' for an endpoint without one."
            )
        return found


class Remote:
    """Scores groups by the ratings of a remote model; settled snippets are never sent."""

    def __init__(self, endpoint: Endpoint) -> None:
        if not isinstance(endpoint, Endpoint):
            raise ValueError(
                f"judge.kind='remote' got a {type(endpoint).__name__}; give a remote.Endpoint."
            )
        self.endpoint = endpoint
        self._attempts = threading.local()
        self._lock = threading.Lock()
        self._not_taken: set[tuple[str, str]] = set()  # what the endpoint refused, and as what
        self._in_a_row, self._last = 0, ""  # failures since the last verdict, and the latest
        self._counts: collections.Counter[str] = collections.Counter()
        if jax.process_index() == 0:  # the one that asks
            self._client, self._openai = _client(endpoint, self._count)
            self.answers = answers.AnswerFile(pathlib.Path(endpoint.cache).expanduser())
            self._budget = answers.Budget(self.answers, endpoint.requests, endpoint.cost)

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups; with several processes the first asks for all."""
        return first.scored(self._score, groups, len(rubric.CRITERIA))

    def figures(self) -> dict[str, float]:
        """Counts since the last call: how verdicts came about, and what was spent in all."""
        with self._lock:
            counts, self._counts = self._counts, collections.Counter()
        if jax.process_index() > 0:
            return {}
        requests, cost = self.answers.spent()
        names = ("answered", "cached", "unparsable", "unanswered")
        return {f"judge/{name}": float(counts[name]) for name in names} | {
            "judge/requests_in_all": float(requests),
            "judge/cost_in_all": cost,
        }

    def close(self) -> None:
        """Closes connections and the file of answers."""
        if jax.process_index() == 0:
            self._client.close()
            self.answers.close()

    def _score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        rows = [contexts.fixed(group) for group in groups]
        asked: dict[str, list[dict[str, str]]] = {}  # of equal questions one is sent
        places = []
        for i, group in enumerate(groups):
            for k in np.flatnonzero(np.isnan(rows[i]).any(axis=-1)):
                messages = ratings.question(group.episode, group.texts[k])
                name = self._name(messages)
                asked[name] = messages
                places.append((i, k, name))
        found = self._answered(asked, self._one)
        for i, k, name in places:
            rows[i][k] = contexts.carried(found[name])
        return rubric.gathered(rows)

    def _name(self, messages: list[dict[str, str]]) -> str:
        end = self.endpoint
        asked = (end.temperature, end.reasoning)
        more = () if asked == (0.0, "") else asked  # answers of older files keep their names
        return answers.key(end.url, end.model, end.format, end.max_tokens, messages, *more)

    def texts(self, chats: Sequence[list[dict[str, str]]]) -> list[str | None]:
        """Answers to chats of any kind, in order, None where none came; kept and paid as ratings.

        What they say is for the caller to read: only a question without an answer counts as failed.
        With several processes the first asks for all.
        """
        return first.texts(lambda: self._texts(chats))

    def _texts(self, chats: Sequence[list[dict[str, str]]]) -> list[str | None]:
        names = [self._name(messages) for messages in chats]
        found = self._answered(dict(zip(names, chats, strict=True)), self._text)
        return [found[name] for name in names]

    def _answered(
        self, asked: dict[str, list[dict[str, str]]], one: Callable[[str, list], Any]
    ) -> dict[str, Any]:
        """What `one` makes of each question by name; on an error what came in is kept."""
        with concurrent.futures.ThreadPoolExecutor(self.endpoint.concurrency) as pool:
            running = {name: pool.submit(one, name, m) for name, m in asked.items()}
            try:
                return {name: future.result() for name, future in running.items()}
            finally:
                for future in running.values():  # after an error; those under way still come in
                    future.cancel()

    def _text(self, name: str, messages: list[dict[str, str]]) -> str | None:
        text, how, problem = self._come_by(name, messages)
        if text is None:
            self._failed(problem)
            how = "unanswered"
        self._counted(how)
        return None if text is None else thought.behind(text)

    def _one(self, name: str, messages: list[dict[str, str]]) -> np.ndarray:
        """Ratings in [0, 1], nan for a failure."""
        text, how, problem = self._come_by(name, messages)
        given = None if text is None else ratings.parse(text)
        if given is None:
            if how == "answered":
                self._failed(problem if text is None else f"no four ratings: {text[:200]!r}")
            how = "unanswered" if text is None else "unparsable"
        self._counted(how)
        return np.full(len(rubric.CRITERIA), np.nan) if given is None else given

    def _come_by(self, name: str, messages: list[dict[str, str]]) -> tuple[str | None, str, str]:
        """The text, whether it was cached or answered just now, and why there is none."""
        text = self.answers.get(name)
        if text is not None:
            return text, "cached", ""
        self._check()
        text, problem = self._ask(name, messages)
        return text, "answered", problem

    def _counted(self, how: str) -> None:
        with self._lock:
            self._counts[how] += 1
            if how == "answered":
                self._in_a_row = 0

    def _ask(self, name: str, messages: list[dict[str, str]]) -> tuple[str | None, str]:
        """The answer's text, kept on disk; None and why, where none came in spite of retries."""
        end = self.endpoint
        size = sum(len(m["content"].encode()) for m in messages) + _OVERHEAD
        held = self._budget.take(1 + end.retries, self._price(size, end.max_tokens))
        self._attempts.count = 0
        text, cost, sent = None, 0.0, self._parameters()
        try:
            client = self._client.with_options(max_retries=held.attempts - 1)
            raw = client.chat.completions.with_raw_response.create(
                model=end.model,
                messages=messages,
                **sent,
            )
            text, used = _content(raw.http_response.text)
            cost = held.each if used is None else self._price(*used)
            return text, f"no chat completion: {raw.http_response.text[:200]!r}"
        except self._openai.APIConnectionError as error:  # time-outs too: they may be billed
            cost = held.each * self._attempts.count
            return None, f"{error} ({error.__cause__!r})"
        except self._openai.APIStatusError as error:
            if error.status_code in (401, 403, 404):
                raise Unreachable(
                    f"{end.url} refuses model {end.model!r} (HTTP {error.status_code}); check "
                    f"judge.remote.url, model, and the key in key_env={end.key_env!r}."
                ) from error
            problem = f"HTTP {error.status_code}: {str(error)[:200]}"
            blamed = _blamed(error, sent)
        finally:
            self.answers.add(name, text, requests=self._attempts.count, cost=cost)
            self._budget.settle(held)
        if blamed is None:
            return None, problem
        with self._lock:
            if blamed not in self._not_taken:
                logging.info("remote judge: %s=%s is not taken (%s)", *blamed, problem)
            self._not_taken.add(blamed)
        return self._ask(name, messages) if self._parameters() != sent else (None, problem)

    def _parameters(self) -> dict[str, Any]:
        """What a request says besides model and messages: what was refused by now is left out."""
        end = self.endpoint
        with self._lock:
            refused = set(self._not_taken)
        limits = sorted(LIMITS, key=lambda name: name != end.limit)
        limit = next((n for n in limits if (n, str(end.max_tokens)) not in refused), end.limit)
        made: dict[str, Any] = {limit: end.max_tokens}  # an answer without a bound is never asked
        if end.temperature >= 0:
            made["temperature"] = end.temperature
        if end.reasoning:
            made["reasoning_effort"] = end.reasoning
        made = {k: v for k, v in made.items() if k == limit or (k, str(v)) not in refused}
        for kind in FORMATS[FORMATS.index(end.format) :]:
            wanted = ratings.asked(kind)
            if all((k, str(v)) not in refused for k, v in wanted.items()):
                return made | wanted
        return made

    def _price(self, read: int, written: int) -> float:
        return (read * self.endpoint.price_in + written * self.endpoint.price_out) / 1e6

    def _count(self, request: Any) -> None:
        """Called by the HTTP client before each attempt, in the thread that asks."""
        del request
        self._attempts.count += 1

    def _failed(self, problem: str) -> None:
        with self._lock:
            self._in_a_row, self._last = self._in_a_row + 1, problem
            failures = self._in_a_row
        if failures & (failures - 1) == 0:  # 1, 2, 4, 8, ...
            logging.warning("remote judge: %s (failure %d in a row)", problem, failures)

    def _check(self) -> None:
        if self._in_a_row >= GIVE_UP:
            raise Unreachable(
                f"{self.endpoint.url} gave {self._in_a_row} failures in a row; the last: "
                f"{self._last}. What was judged is kept in {self.answers.path}; check the endpoint "
                "and start again to go on."
            )


def _content(body: str) -> tuple[str | None, tuple[int, int] | None]:
    """A chat completion's text and its tokens read and written, None for what is not there."""
    try:
        value = json.loads(body)
        text = value["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None, None
    usage = value.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    used = None
    if _is_count(read) and _is_count(written):
        used = read, written
    if isinstance(text, list):  # in parts, of which those that think have no text
        text = "".join(p["text"] for p in text if isinstance(p, dict) and _is_text(p.get("text")))
    text = text if isinstance(text, str) else ""
    # Half a surrogate pair, which JSON can write, is kept as it was written.
    return text.encode(errors="backslashreplace").decode(), used


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < TOKENS


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _blamed(error: Any, sent: dict[str, Any]) -> tuple[str, str] | None:
    """The parameter that an endpoint says it does not take, and as what it was sent, if any."""
    text = json.dumps(error.body) if isinstance(error.body, dict | list) else f"{error.body}"
    if error.status_code not in (400, 422) or not _NOT_TAKEN.search(text):
        return None
    names = [name for name in sent if name == error.param]  # which may be of any kind
    names = names or [name for name in sent if name in text]
    if not names and "json_schema" in text:
        names = ["response_format"]
    name = next((name for name in names if name in sent), None)
    return None if name is None else (name, str(sent[name]))


def _client(endpoint: Endpoint, before: Any) -> tuple[Any, Any]:
    """The openai client and its module; `before` is called with every HTTP request."""
    try:
        import openai  # an extra: only this judge needs it
    except ImportError as error:
        raise ValueError(
            "judge.kind='remote' needs the openai client library; pip install 'pa_jax[remote]'."
        ) from error
    client = openai.OpenAI(
        base_url=endpoint.url,
        api_key=endpoint.key(),
        timeout=endpoint.timeout,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [before]}),
    )
    return client, openai
