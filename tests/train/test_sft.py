"""What supervised training learns from a row: its gold, and the end of the turn."""

import numpy as np

from pa_jax.data import pipeline
from pa_jax.dialogue import schema, tokenizer
from pa_jax.train import sft


def test_gold_ends_as_the_template_ends_a_turn():
    """Not with the smallest of the ends, which for Qwen3 and Llama-3 is the end of the text."""
    words = tokenizer.Tokenizer(tokenizer.tiny().hf, eos_ids=[0])
    assert words.eos_ids[0] == 0 != words.turn_end[0]
    gold = "The user likes tea."
    episode = schema.Episode("0/0", "0", (), "", "Tea, please.", gold)
    batch = pipeline.Batch((episode,), ((5, 6, 7),))
    made, count, _ = sft.batch_of(batch, words, lengths=(64,), shards=1, calls=1)
    want = [*words.encode(gold), words.added["<|im_end|>"]]
    wanted = np.asarray(made.rows.token).ravel()
    assert count == 1 and wanted[: len(want)].tolist() == want
    assert made.tokens.flat[0] == len(want)
