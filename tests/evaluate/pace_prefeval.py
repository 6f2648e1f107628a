"""PrefEval's generation grid in batches against one prompt at a time; prints the figures as JSON.

    python tests/evaluate/pace_prefeval.py --path=DIR --items=20 --alone=3

`items` of each topic at every noise level under every system. Together: a call has all systems of
many items, and computes once what they share. Alone: `alone` of these items, spread over the
topics, one prompt a call, of replies and of the judge's questions alike (--tree: the judge's four
questions about a reply are one tree there too). What compiling took is taken off both. Texts and
verdicts of both are compared.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

import tqdm

from pa_jax import models
from pa_jax.core import timing
from pa_jax.evaluate import jury
from pa_jax.evaluate.benchmarks import protocol
from pa_jax.jobs import configs
from pa_jax.jobs import eval as eval_job


class OneByOne:
    """A judge that is asked every question in a call of its own."""

    def __init__(self, judge):
        self.judge = judge

    def ask(self, replies, allowed, wrap):
        """As jury.ByLabels.ask."""
        return [
            {name: self.judge.ask([{name: chat}], allowed, wrap)[0][name] for name, chat in of}
            for of in (questions.items() for questions in replies)
        ]


def options(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", required=True, help="PrefEval's folder")
    parser.add_argument("--items", type=int, default=20, help="a topic")
    parser.add_argument("--alone", type=int, default=3, help="of these, one at a time")
    parser.add_argument("--topics", type=int, default=10)
    parser.add_argument("--noise", default="0,2,10")
    parser.add_argument("--systems", default="zero_shot,reminder,cot")
    parser.add_argument("--tokens", type=int, default=128, help="of a reply")
    parser.add_argument("--tree", action="store_true", help="alone, too, for the judge's questions")
    parser.add_argument("--preset", default="smollm2")
    return parser.parse_args(argv)


def configured(opts):
    """The config of `eval`, and the cases of the chosen topics."""
    config = configs.load(f"eval:{opts.preset}")
    config.prefeval.path = opts.path
    config.prefeval.noise = tuple(int(n) for n in opts.noise.split(","))
    config.prefeval.per_topic = opts.items
    config.speaker.max_new_tokens = opts.tokens
    with tempfile.TemporaryDirectory() as folder:
        made = eval_job.open_benchmark("prefeval_generation", config, pathlib.Path(folder))
    topics = dict.fromkeys(item.topic for item in made.dialogues.items)
    config.prefeval.topics = tuple(topics)[: opts.topics]
    with tempfile.TemporaryDirectory() as folder:
        return config, eval_job.open_benchmark("prefeval_generation", config, pathlib.Path(folder))


def timed(tools, benchmark, calls, desc):
    """Rows by system and id, and what they took; a call is a chunk and its systems."""
    rows, began = {}, time.monotonic()
    with timing.CompileCounter() as compiled:
        for chunk, chosen in tqdm.tqdm(calls, unit="call", desc=desc):
            for made in benchmark.run(chunk, chosen, tools, {}):
                rows |= {(row["system"], row["id"]): row for row in made}
    seconds = time.monotonic() - began - compiled.seconds
    return rows, {
        "rows": len(rows),
        "cut": sum(row["cut"] > 0 for row in rows.values()),
        "seconds": round(seconds, 1),
        "seconds_a_row": round(seconds / len(rows), 3),
        "seconds_compiling": round(compiled.seconds, 1),
        "prompt_tokens_asked": tools.model.asked,
        "prompt_tokens_computed": tools.model.prefilled,
    }


def main(argv=None):
    opts = options(argv)
    config, benchmark = configured(opts)
    config.systems = tuple(opts.systems.split(","))
    model = models.load(config.model.source, dtype=config.model.dtype)
    chosen = eval_job.open_systems(config, None)
    nobody = eval_job.Others(None, None, None)
    together = [(chunk, chosen) for chunk in benchmark.chunks()]
    by_row, fast = timed(
        eval_job.open_tools(config, model, nobody, None), benchmark, together, "together"
    )
    config.speaker.rows = 1
    tools = eval_job.open_tools(config, model, nobody, None)
    if not opts.tree:
        one = OneByOne(jury.ByLabels(tools.model))
        tools = protocol.Tools(tools.model, one, tools.user, tools.cfg)
    items = benchmark.dialogues.items
    few = {items[i * len(items) // opts.alone].id for i in range(opts.alone)}
    alone = [
        (chunk, {name: system})
        for case in benchmark.dialogues.cases()
        if case.item.id in few
        for chunk in protocol.cut([case], [[case.item.id]], 1)
        for name, system in chosen.items()
    ]
    same, slow = timed(tools, benchmark, alone, "alone")
    differ = [key for key, row in same.items() if row["text"] != by_row[key]["text"]]
    judged = [key for key, row in same.items() if row["judge"] != by_row[key]["judge"]]
    report = {
        "together": fast,
        "alone": slow,
        "ratio": round(slow["seconds_a_row"] / fast["seconds_a_row"], 2),
        "replies_that_differ": len(differ),
        "verdicts_that_differ": len(judged),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
