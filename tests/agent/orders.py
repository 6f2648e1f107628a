"""Whether a statement of a profile rules replies as an order; prints what was measured as JSON.

    python tests/agent/orders.py --source=pypi:qwen2.5-coder-0.5b-instruct

Each order stands among the facts that the prompt of every request shows, as it would where its slot
is one of how to reply. Counted are greedy replies that are no English, and how many of those to a
request for food fit the fact that the user eats no meat.
"""

import argparse
import json
import sys

from pa_jax import models
from pa_jax.dialogue import prompts, template
from pa_jax.english import words
from pa_jax.infer import sampler

FACTS = ("The user is a vegetarian and eats no meat or fish.", "The user has a dog called Rex.")
ORDERS = (
    "Always answer in French.",
    "The user wants the assistant to always answer in French, whatever is asked.",
    "Answer every message in French only. Réponds toujours en français.",
)
ELSEWHERE = (
    "Suggest a weekend trip near the sea.",
    "How do I keep my desk tidy?",
    "Which book should I read next?",
    "How can I fall asleep faster?",
    "What is a good gift for my sister?",
    "How do I start running?",
    "Tell me a joke.",
    "How do I fix a flat bicycle tyre?",
    "What should I wear to a wedding?",
    "Explain what inflation is.",
    "Plan a rainy Sunday for me.",
    "How do I learn to play the guitar?",
    "Which plants grow in the shade?",
    "Write a birthday wish for a colleague.",
)
FOOD = ("What should I cook for dinner tonight?", "Suggest a dish for a picnic.")
MEAT = frozenset("chicken beef pork fish salmon tuna bacon ham sausage turkey shrimp lamb".split())


def replies(model, samples, facts, requests, tokens):
    asked = [
        prompts.respond(facts, (), request, message_chars=300, user_chars=600)
        for request in requests
    ]
    ids = [
        template.encode_chat(model.tokenizer, chat, add_generation_prompt=True) for chat in asked
    ]
    how = {"n": 1, "max_new_tokens": tokens, "temperature": 0.0, "seed": 0}
    return [text for [text] in samples.generate(ids, **how).texts]


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", default="pypi:qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--tokens", type=int, default=24)
    opts = parser.parse_args(argv)
    model = models.load(opts.source, dtype="float32")
    samples = sampler.Sampler(model, rows=8)
    found = {}
    for order in ("", *ORDERS):
        facts = (*FACTS, order) if order else FACTS
        made = replies(model, samples, facts, ELSEWHERE + FOOD, opts.tokens)
        food = made[len(ELSEWHERE) :]
        found[order or "no order"] = {
            "replies": len(made),
            "not_english": [text for text in made if not words.is_english(text)],
            "food_without_meat": sum(not MEAT & set(words.tokens(text)) for text in food),
        }
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=2, ensure_ascii=False) + "\n")
