"""PrefEval's generation grid in batches against one item at a time; prints the figures as JSON.

    python tests/evaluate/pace_prefeval.py --path=DIR --items=20 --alone=1

`items` of each topic at every noise level under every system. Together: a call has all systems of
many items, and computes once what they share. Alone: the first `alone` items of each topic, one
under one system a call; its acknowledgement is kept, and its judge's four questions are one tree
there too. Each way runs twice, the second time counts: all is compiled. Texts and verdicts of both
are compared.
"""

import argparse
import itertools
import json
import pathlib
import sys
import tempfile
import time

import tqdm

from pa_jax import models
from pa_jax.evaluate.benchmarks import protocol
from pa_jax.jobs import configs
from pa_jax.jobs import eval as eval_job


def options(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", required=True, help="PrefEval's folder")
    parser.add_argument("--items", type=int, default=20, help="a topic")
    parser.add_argument("--alone", type=int, default=1, help="of these, one at a time")
    parser.add_argument("--topics", type=int, default=10)
    parser.add_argument("--noise", default="0,2,10")
    parser.add_argument("--systems", default="zero_shot,reminder,cot")
    parser.add_argument("--preset", default="smollm2")
    return parser.parse_args(argv)


def configured(opts):
    """The config of `eval`, and the cases of the chosen topics."""
    config = configs.load(f"eval:{opts.preset}")
    config.prefeval.path = opts.path
    config.prefeval.noise = tuple(int(n) for n in opts.noise.split(","))
    config.prefeval.per_topic = opts.items
    with tempfile.TemporaryDirectory() as folder:
        made = eval_job.open_benchmark("prefeval_generation", config, pathlib.Path(folder))
    topics = dict.fromkeys(item.topic for item in made.dialogues.items)
    config.prefeval.topics = tuple(topics)[: opts.topics]
    with tempfile.TemporaryDirectory() as folder:
        return config, eval_job.open_benchmark("prefeval_generation", config, pathlib.Path(folder))


def timed(config, benchmark, model, calls, desc):
    """Rows by system and id, and what they took; a call is a chunk and its systems."""
    for number in ("warm-up", "timed"):
        tools = eval_job.open_tools(config, model, eval_job.Others(None, None, None), None)
        rows, began = {}, time.monotonic()
        for chunk, chosen in tqdm.tqdm(calls, unit="call", desc=f"{desc}, {number}"):
            for made in benchmark.run(chunk, chosen, tools, {}):
                rows |= {(row["system"], row["id"]): row for row in made}
    return rows, {
        "rows": len(rows),
        "seconds_a_row": round((time.monotonic() - began) / len(rows), 3),
        "prompt_tokens_asked": tools.model.asked,
        "prompt_tokens_computed": tools.model.prefilled,
    }


def main(argv=None):
    opts = options(argv)
    config, benchmark = configured(opts)
    config.systems = tuple(opts.systems.split(","))
    model, chosen = models.load(config.model.source), eval_job.open_systems(config, None)
    together = [(chunk, chosen) for chunk in benchmark.chunks()]
    of_topic = itertools.groupby(benchmark.dialogues.items, lambda item: item.topic)
    few = {item.id for _, items in of_topic for item in itertools.islice(items, opts.alone)}
    alone_config = config.copy_and_resolve_references()
    alone_config.speaker.rows = 1
    alone = [
        (chunk, {name: system})
        for case in benchmark.dialogues.cases()
        if case.item.id in few
        for chunk in protocol.cut([case], [[case.item.id]], 1)
        for name, system in chosen.items()
    ]
    by_row, fast = timed(config, benchmark, model, together, "together")
    same, slow = timed(alone_config, benchmark, model, alone, "alone")
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
