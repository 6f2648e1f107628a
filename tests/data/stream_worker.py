"""A process of its own that streams a stored dataset: argv is folder, tokenizer folder, batches.

Prints one JSON row: episodes stored and read, episodes a second, RSS in MB after opening and at the
peak, and whether a run that stops halfway and goes on in a new iterator gives the same episodes.
"""

import json
import resource
import sys
import time

import transformers

from pa_jax.data import dialogues, pipeline, source
from pa_jax.dialogue import prompts, template, tokenizer

ROWS = 64


def main(folder: str, words_folder: str, batches: int) -> None:
    words = tokenizer.Tokenizer(transformers.AutoTokenizer.from_pretrained(words_folder))
    limits = prompts.PromptConfig(2000, 800, 2000, ())

    def encode(episodes):
        chats = [prompts.infer(episode, limits) for episode in episodes]
        return template.encode_chats(words, chats, add_generation_prompt=True)

    def opened():
        cfg = dialogues.DataConfig(f"tfds:{folder}", "", "", 0, 0, 0, False, "gold", 0.5)
        episodes = source.open_episodes(cfg, split="all", quarantine_path=None)
        plan = pipeline.PipelineConfig(ROWS, 1024, 0)
        return len(episodes), pipeline.batches(
            episodes, encode, plan, process_index=0, process_count=1
        )

    count, stream = opened()
    next(stream)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began, cpu = time.monotonic(), time.process_time()
    for _ in range(batches // 2):
        next(stream)
    state = json.loads(json.dumps(stream.get_state()))
    tail = [[e.id for e in next(stream).episodes] for _ in range(batches // 2)]
    took, worked = time.monotonic() - began, time.process_time() - cpu
    _, again = opened()
    again.set_state(state)
    row = {
        "stored": count,
        "read": batches // 2 * 2 * ROWS,
        "a_second": batches // 2 * 2 * ROWS / took,
        "a_cpu_second": batches // 2 * 2 * ROWS / worked,
        "rss_before": before,
        "rss_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "resumed": all([e.id for e in next(again).episodes] == ids for ids in tail[:20]),
    }
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
