"""PrefEval's generation grid in batches against one case at a time; prints the figures as JSON.

    python tests/evaluate/benchmarks/pace_prefeval.py --path=DIR --items=20 --alone=3

A case is an item at a noise level under a system. Together: a call has all cases of many items,
and computes once what they share. Alone: all cases of `alone` of these items, spread over the
topics, nothing kept between two cases and one prompt a call, replies and the judge's questions
alike (--tree: the judge's four questions about a reply are one tree there too). As in PrefEval's
code, a case alone asks for the model's acknowledgement of the preference itself;
`ratio_acknowledged_once` is the stricter ratio in which the cases of an item share that one, too.
What compiling took is taken off both. Texts and verdicts of both are compared.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile
import time

import tqdm

from pa_jax import models
from pa_jax.core import timing
from pa_jax.evaluate.benchmarks import jury, protocol
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
    config.chat_model.max_new_tokens = opts.tokens
    with tempfile.TemporaryDirectory() as folder:
        made = eval_job.open_benchmark("prefeval_generation", config, pathlib.Path(folder))
    topics = dict.fromkeys(item.topic for item in made.dialogues.items)
    config.prefeval.topics = tuple(topics)[: opts.topics]
    with tempfile.TemporaryDirectory() as folder:
        return config, eval_job.open_benchmark("prefeval_generation", config, pathlib.Path(folder))


class Clock:
    """Seconds without compiling, of all and of the acknowledgements among it."""

    def __init__(self, benchmark):
        self.seconds, self.acknowledging, self.compiling = 0.0, 0.0, 0.0
        self.histories = benchmark.dialogues.histories
        benchmark.dialogues.histories = self.acknowledged

    def acknowledged(self, cases, tools):
        """As Dialogues.histories."""
        with timing.CompileCounter() as compiled:
            began = time.monotonic()
            found = self.histories(cases, tools)
            self.acknowledging += time.monotonic() - began - compiled.seconds
        return found

    def run(self, benchmark, chunk, chosen, tools):
        """All rows of a chunk."""
        with timing.CompileCounter() as compiled:
            began = time.monotonic()
            rows = [row for made in benchmark.run(chunk, chosen, tools, {}) for row in made]
            self.seconds += time.monotonic() - began - compiled.seconds
        self.compiling += compiled.seconds
        return rows


def timed(open_tools, benchmark, calls, desc):
    """Rows by system and id, and what they took; a call is a chunk and its systems."""
    rows, asked, computed, clock = {}, 0, 0, Clock(benchmark)
    for chunk, chosen in tqdm.tqdm(calls, unit="call", desc=desc):
        tools = open_tools()
        made = clock.run(benchmark, chunk, chosen, tools)
        rows |= {(row["system"], row["id"]): row for row in made}
        asked, computed = asked + tools.model.asked, computed + tools.model.prefilled
    benchmark.dialogues.histories = clock.histories
    return rows, {
        "rows": len(rows),
        "cut": sum(row["cut"] > 0 for row in rows.values()),
        "seconds": round(clock.seconds, 1),
        "seconds_a_row": round(clock.seconds / len(rows), 3),
        "acknowledging_a_row": round(clock.acknowledging / len(rows), 3),
        "seconds_compiling": round(clock.compiling, 1),
        "prompt_tokens_asked": asked,
        "prompt_tokens_computed": computed,
    }


def main(argv=None):
    opts = options(argv)
    config, benchmark = configured(opts)
    config.systems = tuple(opts.systems.split(","))
    model = models.load(config.model.source, dtype=config.model.dtype)
    chosen = eval_job.open_systems(config, None)
    nobody = eval_job.Others(None, None, None)
    together = [(chunk, chosen) for chunk in benchmark.chunks()]

    def batched():
        return eval_job.open_tools(config, model, nobody, None)

    def one_by_one():
        tools = eval_job.open_tools(config, model, nobody, None)
        if opts.tree:
            return tools
        return dataclasses.replace(tools, jury=OneByOne(jury.ByLabels(tools.model)))

    by_row, fast = timed(batched, benchmark, together, "together")
    config.chat_model.rows = 1
    items = benchmark.dialogues.items
    few = {items[i * len(items) // opts.alone].id for i in range(opts.alone)}
    alone = [
        (chunk, {name: system})
        for case in benchmark.dialogues.cases()
        if case.item.id in few
        for chunk in protocol.cut([case], [[case.item.id]], 1)
        for name, system in chosen.items()
    ]
    same, slow = timed(one_by_one, benchmark, alone, "alone")
    cases = len(config.prefeval.noise) * len(chosen)
    once = slow["seconds_a_row"] - slow["acknowledging_a_row"] * (1 - 1 / cases)
    differ = [key for key, row in same.items() if row["text"] != by_row[key]["text"]]
    judged = [key for key, row in same.items() if row["judge"] != by_row[key]["judge"]]
    report = {
        "together": fast,
        "alone": slow,
        "ratio": round(slow["seconds_a_row"] / fast["seconds_a_row"], 2),
        "ratio_acknowledged_once": round(once / fast["seconds_a_row"], 2),
        "replies_that_differ": len(differ),
        "verdicts_that_differ": len(judged),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
