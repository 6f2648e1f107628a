"""Many threads, one batched function: each caller gets its own result or its own error."""

import concurrent.futures
import threading
import time

import pytest

from pa_jax.infer.serving import micro_batcher


def call_all(gathered, items):
    with concurrent.futures.ThreadPoolExecutor(len(items)) as pool:
        return [
            done.exception() or done.result() for done in [pool.submit(gathered, i) for i in items]
        ]


def test_each_caller_gets_its_own_result_and_batches_are_as_large_as_allowed():
    sizes = []

    def double(items):
        sizes.append(len(items))
        return [2 * item for item in items]

    gathered = micro_batcher.MicroBatcher(double, most=4, wait_seconds=5.0)
    began = time.monotonic()
    assert call_all(gathered, range(16)) == [2 * item for item in range(16)]
    assert sizes == [4, 4, 4, 4]
    assert time.monotonic() - began < 4.0  # a full batch does not wait
    gathered.close()


def test_a_lone_call_waits_for_others_no_longer_than_told():
    gathered = micro_batcher.MicroBatcher(
        lambda items: [len(items)] * len(items), most=9, wait_seconds=0.05
    )
    began = time.monotonic()
    assert gathered("alone") == 1
    assert 0.05 <= time.monotonic() - began < 1.0
    gathered.close()


def test_calls_that_come_while_a_batch_runs_make_the_next_one():
    running, go_on, batches = threading.Event(), threading.Event(), []

    def slow(items):
        batches.append(list(items))
        running.set()
        go_on.wait(9)
        return items

    gathered = micro_batcher.MicroBatcher(slow, most=9, wait_seconds=0.0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(gathered, 0)]
        assert running.wait(9)
        calls += [pool.submit(gathered, number) for number in (1, 2, 3)]
        while sum(call.running() for call in calls) < 4:
            time.sleep(0.001)
        time.sleep(0.05)
        go_on.set()
        assert [call.result() for call in calls] == [0, 1, 2, 3]
    assert [len(batch) for batch in batches] == [1, 3]
    gathered.close()


def test_one_bad_call_fails_alone_and_its_words_reach_nobody_else():
    def picky(items):
        if "secret of ann" in items:
            raise ValueError(f"cannot take {items}")
        return [item.upper() for item in items]

    gathered = micro_batcher.MicroBatcher(picky, most=3, wait_seconds=5.0)
    found = call_all(gathered, ["bob", "secret of ann", "cyd"])
    assert (found[0], found[2]) == ("BOB", "CYD")
    assert isinstance(found[1], ValueError) and "bob" not in str(found[1])
    gathered.close()


def test_an_error_of_all_reaches_every_caller_and_later_calls_go_on():
    broken = [True]

    def function(items):
        if broken[0]:
            raise OSError("the device is gone")
        return items

    gathered = micro_batcher.MicroBatcher(function, most=3, wait_seconds=5.0)
    found = call_all(gathered, [1, 2, 3])
    assert [type(error) for error in found] == [OSError] * 3
    broken[0] = False
    assert call_all(gathered, [4, 5, 6]) == [4, 5, 6]
    gathered.close()


def test_a_function_that_loses_results_is_an_error():
    gathered = micro_batcher.MicroBatcher(lambda items: [], most=1, wait_seconds=0.0)
    with pytest.raises(ValueError, match="1 calls got 0 results"):
        gathered(1)
    gathered.close()


def test_close_lets_what_is_under_way_finish_and_takes_nothing_more():
    gathered = micro_batcher.MicroBatcher(lambda items: items, most=9, wait_seconds=60.0)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gathered, 7)
        time.sleep(0.05)
        gathered.close()
        assert waiting.result(timeout=5) == 7
    with pytest.raises(RuntimeError, match="closed"):
        gathered(8)
    gathered.close()


@pytest.mark.parametrize(
    "wrong", [{"most": 0, "wait_seconds": 0.0}, {"most": 1, "wait_seconds": -1.0}]
)
def test_limits_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="give 1 or more calls, and 0 or more seconds"):
        micro_batcher.MicroBatcher(list, **wrong)
