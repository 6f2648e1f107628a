"""Requests of many threads on one model: the same replies as alone, and nobody waits for ever."""

import os
import threading
import types

import numpy as np
import pytest

from pa_jax import models
from pa_jax.core import keys, timing
from pa_jax.dialogue import tokenizer
from pa_jax.infer import sampler
from pa_jax.infer.serving import ruled_out, scheduler

RNG = np.random.default_rng(7)
PROMPTS = [RNG.integers(3, 512, n).tolist() for n in (5, 140, 1, 33, 128, 129, 77, 2, 60, 200)]
HOW = [  # one a prompt
    {"temperature": t, "top_k": k, "top_p": p, "max_new_tokens": limit}
    for t, k, p, limit in (
        (0.0, 0, 1.0, 16),
        (1.0, 0, 1.0, 16),
        (0.7, 5, 1.0, 9),
        (1.3, 0, 0.8, 16),
        (0.0, 3, 0.5, 1),
        (1.0, 40, 0.9, 15),
        (1.0, 0, 1.0, 16),
        (0.0, 0, 1.0, 2),
        (0.9, 0, 1.0, 16),
        (1.0, 2, 0.3, 16),
    )
]
SHAPE = {
    "rows": 3,
    "trunk": 256,
    "slots": 16,
    "chunk": 4,
}  # test_slots.py has the same
ONE = {"rows": 1, "trunk": 16, "slots": 1500, "chunk": 2}
LONG = {"temperature": 1.0, "max_new_tokens": 1500, "seed": 0}


@pytest.fixture(scope="module")
def loaded():
    return models.load("random:tiny", dtype="float32")


def with_ends(loaded, *ids, decode=None):
    """The same model and tokenizer with other end tokens, or another decoder."""
    words = types.SimpleNamespace(eos_ids=ids, decode=decode or loaded.tokenizer.decode)
    return types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=words)


@pytest.fixture(scope="module")
def model(loaded):
    """Every thirtieth token ends a reply."""
    return with_ends(loaded, *range(0, 512, 30))


@pytest.fixture(scope="module")
def three(model):
    """Three rows, warm."""
    with scheduler.Scheduler(model, **SHAPE) as running:
        running.warm_up()
        yield running


@pytest.fixture(scope="module")
def alone(model):
    """Each request by itself through the sampler: ids, log-probs, text, did it end."""
    run = sampler.Sampler(model, rows=1, lengths=(256,))

    def one(i):
        how = HOW[i] | {"max_new_tokens": SHAPE["slots"]}  # one program for all
        out = run.generate([PROMPTS[i]], n=1, seed=50 + i, stream=keys.Stream.GENERATE, **how)
        count = min(int(out.lengths[0, 0]), HOW[i]["max_new_tokens"])
        ids, ended = out.ids[0, 0, :count], out.finished[0, 0] and count == out.lengths[0, 0]
        [[text]] = run.texts(ids[None, None], np.array([[count]]))
        return ids.tolist(), out.logprobs[0, 0, :count], text, bool(ended)

    return [one(i) for i in range(len(PROMPTS))]


@pytest.fixture
def endless(loaded):
    """One row, replies that never end by themselves."""
    with scheduler.Scheduler(with_ends(loaded), **ONE, queue=2) as running:
        yield running


def test_replies_of_many_threads_equal_the_samplers(three, alone):
    got, streamed = {}, {}
    with timing.CompileCounter() as compiles:

        def client(number):
            for i in range(number, len(PROMPTS), 3):
                ticket = three.submit(PROMPTS[i], seed=50 + i, **HOW[i])
                streamed[i] = list(ticket)
                got[i] = ticket.result()

        clients = [threading.Thread(target=client, args=(n,)) for n in range(3)]
        for thread in clients:
            thread.start()
        more = three.submit(PROMPTS[0], seed=2**31 + 5, temperature=0.5, max_new_tokens=3)
        for thread in clients:
            thread.join()
        more.result()
    assert compiles.compiled == []
    for i, (ids, logprobs, text, ended) in enumerate(alone):
        reply = got[i]
        assert reply.ids == ids, f"request {i}"
        np.testing.assert_allclose(reply.logprobs, logprobs, atol=1e-5)
        assert reply.text == "".join(streamed[i]) == text
        assert (reply.finished, reply.reason) == (ended, "end" if ended else "length")
        assert all(streamed[i])
    assert {reply.reason for reply in got.values()} == {"end", "length"}


def test_more_requests_than_rows_are_all_served(three, alone):
    before = three.load()
    order = [i for i in range(len(PROMPTS)) for _ in range(3)]
    tickets = [three.submit(PROMPTS[i], seed=50 + i, **HOW[i]) for i in order]
    drawn = 0
    for i, ticket in zip(order, tickets, strict=True):
        reply = ticket.result()
        assert reply.ids == alone[i][0]
        drawn += len(reply.ids)
    assert (before.running, before.waiting) == (0, 0)
    assert three.load() == scheduler.Occupancy(0, 0, before.tokens + drawn)


def test_the_text_ends_before_a_stop_string(three, alone):
    i = max(range(len(PROMPTS)), key=lambda i: len(alone[i][2]))
    want, _, whole, _ = alone[i]
    stop = whole[len(whole) // 2 :][:3]
    ticket = three.submit(PROMPTS[i], seed=50 + i, stop=["no such text", stop], **HOW[i])
    pieces, reply = list(ticket), ticket.result()
    assert reply.text == "".join(pieces) == whole[: whole.index(stop)]
    assert (reply.finished, reply.reason) == (True, "stop")
    assert 0 < len(reply.ids) < len(want) and reply.ids == want[: len(reply.ids)]
    assert len(reply.logprobs) == len(reply.ids)


def test_a_cancelled_reply_makes_room_at_once(endless):
    first = endless.submit([5, 6], **LONG)
    second = endless.submit([7], **LONG)
    third = endless.submit([8], **(LONG | {"max_new_tokens": 3}))
    begun = next(first)
    second.cancel()
    first.cancel()
    assert second.result().reason == "cancelled" and second.result().ids == []
    got = first.result()
    assert (got.finished, got.reason) == (False, "cancelled")
    assert got.text == begun + "".join(first) and 0 < len(got.ids) < 1500
    assert third.result().reason == "length" and len(third.result().ids) == 3
    first.cancel()
    assert first.result() is got
    assert endless.load().running == 0


def test_a_full_queue_says_so_and_takes_more_when_there_is_room(endless):
    tickets = [endless.submit([5], **LONG) for _ in range(3)]  # one runs, two wait
    with pytest.raises(scheduler.Busy, match="1 requests run and 2 wait"):
        endless.submit([5], **LONG)
    tickets[1].cancel()
    tickets.append(endless.submit([5], **LONG))
    with pytest.raises(scheduler.Busy):
        endless.submit([5], **LONG)
    for ticket in tickets:
        ticket.cancel()
    assert (endless.load().running, endless.load().waiting) == (0, 0)


def test_a_deadline_cuts_what_runs_and_what_waits(endless):
    running = endless.submit([5], deadline=0.2, **LONG)
    waiting = endless.submit([6], deadline=0.0, **LONG)
    assert waiting.result().reason == "deadline" and waiting.result().text == ""
    got = running.result()
    assert got.reason in ("deadline", "length") and not got.finished
    assert got.text == "".join(running)


def test_close_ends_what_runs_and_what_waits(loaded):
    running = scheduler.Scheduler(with_ends(loaded), **ONE)
    tickets = [running.submit([5], **LONG) for _ in range(3)]
    next(tickets[0])
    running.close()
    for ticket in tickets:
        with pytest.raises(scheduler.Closed, match="closed before this reply was done"):
            ticket.result()
        with pytest.raises(scheduler.Closed):
            list(ticket)
    with pytest.raises(scheduler.Closed, match="no request is taken"):
        running.submit([5], **LONG)
    running.close()
    assert running.failure is None


def test_a_drained_close_lets_replies_end(model):
    running = scheduler.Scheduler(model, **SHAPE)
    tickets = [running.submit(p, seed=1, **h) for p, h in zip(PROMPTS, HOW, strict=True)]
    running.close(drain=600.0)
    assert {ticket.result().reason for ticket in tickets} == {"end", "length"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_in_the_worker_reaches_everyone(loaded):
    def decode(ids):
        raise OSError("the tokenizer is gone")

    with scheduler.Scheduler(with_ends(loaded, decode=decode), **ONE) as running:
        held = running._device  # the worker waits before its first turn: all three are in the queue
        with held:
            tickets = [
                running.submit([5], max_new_tokens=8, temperature=0.0, seed=0) for _ in range(3)
            ]
        for ticket in tickets:
            with pytest.raises(RuntimeError, match="the tokenizer is gone"):
                ticket.result()
            with pytest.raises(RuntimeError, match="reply was lost"):
                next(ticket)
        with pytest.raises(scheduler.Closed, match="the tokenizer is gone"):
            running.submit([5], max_new_tokens=8, temperature=0.0, seed=0)
        assert isinstance(running.failure, OSError)


def test_a_reply_that_takes_long_can_be_waited_for_with_a_limit(endless):
    ticket = endless.submit([5], **LONG)
    with pytest.raises(TimeoutError, match="wait longer or cancel"):
        ticket.result(timeout=0.01)
    ticket.cancel()


@pytest.mark.parametrize(
    ("prompt", "change", "words"),
    [
        ([], {}, "prompt of 0 tokens: at least one"),
        ([5, 512], {}, "all of 0 to 511"),
        ([-1], {}, "all of 0 to 511"),
        ([1] * 257, {}, "257 tokens, at most 256"),
        ([1], {"max_new_tokens": 0}, "max_new_tokens=0: allowed are 1 to 16"),
        ([1], {"max_new_tokens": 17}, "max_new_tokens=17"),
        ([1], {"temperature": -1.0}, "allowed are temperature >= 0"),
        ([1], {"temperature": float("nan")}, "temperature=nan"),
        ([1], {"temperature": float("inf")}, "temperature=inf"),
        ([1], {"stop": [""]}, "stop="),
        ([1], {"seed": -1}, "seed=-1"),
    ],
)
def test_bad_requests_are_refused_at_the_door(three, prompt, change, words):
    how = {"max_new_tokens": 3, "temperature": 0.0, "seed": 0}
    with pytest.raises(ValueError, match=words):
        three.submit(prompt, **(how | change))
    assert three.load().waiting == 0


def test_numbers_past_every_size_do_no_harm(three):
    how = {"max_new_tokens": 2, "seed": 0, "top_p": 1e-40}
    for temperature in (1e-40, 1e38):
        ticket = three.submit([5], temperature=temperature, top_k=10**12, **how)
        assert ticket.result().ids
    assert three.failure is None


def test_a_model_without_a_tokenizer_gives_ids(loaded):
    bare = types.SimpleNamespace(module=loaded.module, config=loaded.config, tokenizer=None)
    with scheduler.Scheduler(bare, **ONE) as running:
        ticket = running.submit([5], max_new_tokens=8, temperature=1.0, seed=0)
        reply = ticket.result()
        assert len(reply.ids) == 8 and reply.text == "" and list(ticket) == []


def test_texts_that_are_to_be_avoided_are_in_no_reply(loaded):
    """A greedy reply without what it would say first, and without what it would spell so."""
    how = {"max_new_tokens": 16, "temperature": 0.0, "seed": 0}
    with scheduler.Scheduler(with_ends(loaded), **SHAPE) as free:
        said = free.submit(PROMPTS[3], **how).result()
    words = loaded.tokenizer
    parts = [words.decode(said.ids[at : at + size]) for at in (0, 3) for size in (1, 2)]
    avoid = [text for text in parts if text.strip("\ufffd") == text and words.encode(text)]
    assert avoid
    with scheduler.Scheduler(loaded, **SHAPE) as rules:
        again = rules.submit(PROMPTS[3], **how, avoid=avoid).result()
        for bad in ([""], ["x"] * (ruled_out.TEXTS + 1)):
            with pytest.raises(ValueError, match="allowed are 1024, none empty"):
                rules.submit(PROMPTS[3], **how, avoid=bad)
    for text in avoid:
        ids = words.encode(text)
        assert ids not in [again.ids[at : at + len(ids)] for at in range(len(again.ids))]


def test_a_text_is_not_begun_in_other_pieces_either():
    words = tokenizer.tiny()
    texts = (" coriander", " zucchini", "tea")
    found = ruled_out.sequences(words, texts)
    assert found[:3] == tuple(tuple(words.encode(text)) for text in texts)
    begun = [words.decode(one) for one in found[3:]]
    assert begun and len(set(found)) == len(found)
    for text in begun:  # as far as it goes the word, then perhaps another ending
        alike = max(len(os.path.commonprefix((text, whole))) for whole in texts)
        assert text in texts or alike >= 4
