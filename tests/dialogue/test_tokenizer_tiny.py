"""The byte-level tokenizer of random:tiny."""

import pytest

from pa_jax.dialogue import tokenizer


@pytest.fixture(scope="module")
def words() -> tokenizer.Tokenizer:
    return tokenizer.tiny()


def test_every_id_of_the_vocabulary_is_a_token(words):
    assert words.vocab_size == tokenizer.TINY_VOCAB == 512
    tokens = words.hf.convert_ids_to_tokens(range(512))
    assert len(set(tokens)) == 512 and None not in tokens


def test_any_unicode_text_survives(words):
    text = "".join(map(chr, [*range(1, 0x300), 0x4E2D, 0xFFFD, 0x1F642, 0x10FFFF]))
    ids = words.encode(text)
    assert words.decode(ids) == text
    assert len(ids) < len(text.encode()) + 1


def test_frequent_pairs_are_one_token(words):
    assert len(words.encode("that")) == 2 and len(words.encode("zzzz")) == 4


def test_ends_with_chatml_end(words):
    assert words.eos_ids == (words.added["<|im_end|>"],)
    assert tokenizer.Tokenizer(words.hf, eos_ids=[0]).eos_ids == (0, words.eos_ids[0])
