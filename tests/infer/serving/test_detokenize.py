"""Streamed text against the whole of it, and stop strings against a search token by token."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from pa_jax.dialogue import tokenizer
from pa_jax.infer.serving import detokenize

WORDS = tokenizer.tiny()
STOPS = (["ab"], ["ba", "aab"], ["é!"], ["🙂", "ab🙂"], ["\n\n", "END"])


def stream(ids, cuts, stop=()):
    """What comes out when the ids come in chunks: pieces, and the count that a stop string took."""
    text, out, seen = detokenize.Detokenizer(WORDS, stop), [], 0
    bounds = [0, *sorted({min(c, len(ids)) for c in cuts}), len(ids)]
    for i, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        piece, stopped = text.add(ids[start:end], last=i == len(bounds) - 2)
        out.append(piece)
        if stopped is not None:
            return out, seen + stopped
        seen += end - start
    return out, None


def search(ids, stop):
    """The text before the stop string that the fewest ids complete, and that many."""
    for count in range(len(ids) + 1):
        text = WORDS.decode([i for i in ids[:count] if i not in WORDS.eos_ids])
        found = [text.find(s) for s in stop if s in text]
        if found:
            return text[: min(found)], count
    return text, None


any_ids = st.lists(st.integers(0, 511), max_size=30)
cuts = st.lists(st.integers(0, 30), max_size=8)


@hypothesis.given(ids=any_ids, cuts=cuts)
def test_pieces_of_any_tokens_join_to_their_text(ids, cuts):
    out, stopped = stream(ids, cuts)
    assert "".join(out) == WORDS.decode(ids) and stopped is None


@hypothesis.example(parts=["\n", "\n", "a"], cuts=[], stop=["\n\n", "END"])
@hypothesis.example(parts=["\n", "\n", "a"], cuts=[1, 2], stop=["\n\n", "END"])
@hypothesis.given(
    parts=st.lists(st.sampled_from(["a", "b", "é", "!", "🙂", "\n", "EN", "D"]), max_size=20),
    cuts=cuts,
    stop=st.sampled_from(STOPS),
)
def test_the_fewest_tokens_that_hold_a_stop_string_decide(parts, cuts, stop):
    ids = WORDS.encode("".join(parts))
    out, stopped = stream(ids, cuts, stop)
    assert ("".join(out), stopped) == search(ids, stop)
    assert not any(s in "".join(out) for s in stop)


def test_half_a_character_waits_for_its_other_half():
    ids = WORDS.encode("a🙂b")
    out, _ = stream(ids, range(len(ids)))
    assert [piece for piece in out if piece] == ["a", "🙂", "b"]


def test_bytes_that_are_no_character_come_out_at_the_end():
    ids = WORDS.encode("a🙂")[:-1]
    out, _ = stream(ids, [1, 2])
    assert out == ["a", "", "\ufffd"] == [*"a", "", WORDS.decode(ids)[1:]]


def test_special_tokens_and_end_tokens_are_no_text():
    special = [WORDS.hf.convert_tokens_to_ids(t) for t in ("<|im_start|>", "<|im_end|>")]
    ids = [*WORDS.encode("hi"), *special]
    assert "".join(stream(ids, range(len(ids)))[0]) == "hi"


def test_what_may_begin_a_stop_string_waits():
    text = detokenize.Detokenizer(WORDS, ["END"])
    got = [text.add(WORDS.encode(word), last=False) for word in ("oE", "N", "x E", "ND of")]
    assert [piece for piece, _ in got] == ["o", "", "ENx ", ""]
    assert got[-1][1] == len(WORDS.encode("ND"))


@pytest.mark.parametrize("stop", [(), ["END"], ["vegan"]])
@pytest.mark.parametrize("cuts", [[], [5], range(200)])
def test_a_thought_is_no_text_however_it_comes(cuts, stop):
    """A stop string inside it stops nothing."""
    ids = WORDS.encode("<think>\nIs the user vegan? END\n</think>\n\nBeans, then.")
    assert "".join(stream(ids, cuts, stop)[0]) == "Beans, then."
    ids = WORDS.encode("<think>\nIt never ends")
    assert "".join(stream(ids, cuts, stop)[0]) == ""


def test_a_thought_without_its_beginning_takes_no_words_away():
    ids = WORDS.encode("Hm, vegan.</think>\n\nBeans.")
    assert "".join(stream(ids, [])[0]) == "Beans."
    assert "".join(stream(ids, range(200))[0]).endswith("Beans.")


def test_text_comes_token_by_token_where_nothing_is_in_doubt():
    ids = WORDS.encode("the rest is plain")
    out, _ = stream(ids, range(len(ids)), ["END"])
    np.testing.assert_array_equal([WORDS.decode([i]) for i in ids], out[1:])


@pytest.mark.parametrize("stop", [[""], "END", ["a", ""]])
def test_stop_strings_that_cannot_be_are_named(stop):
    with pytest.raises(ValueError, match="allowed is a list of strings"):
        detokenize.Detokenizer(WORDS, stop)


def test_without_a_tokenizer_there_is_no_text_and_no_stop():
    assert detokenize.Detokenizer(None, ()).add([1, 2], last=True) == ("", None)
    with pytest.raises(ValueError, match="model that has a tokenizer"):
        detokenize.Detokenizer(None, ["a"])
