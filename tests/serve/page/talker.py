"""A server for the browser whose models say what they are told: app, agent and store are real.

    talker.py PORT DATABASE_URL [KEYS_FILE]

It learns and asks by words of the message (Talker), and says the message back.
"""

import datetime
import importlib.util
import pathlib
import sys
import time
import types

import uvicorn

from pa_jax.agent.asking import rule
from pa_jax.agent.inference import draft
from pa_jax.core import timing
from pa_jax.dialogue import tokenizer
from pa_jax.infer.serving import scheduler
from pa_jax.profile import facts, forget, store, taxonomy
from pa_jax.serve import app, keys, limits

_spec = importlib.util.spec_from_file_location(
    "scripted", pathlib.Path(__file__).parent.parent.parent / "agent" / "scripted.py"
)
scripted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scripted)

LIMITS = limits.Limits(
    body_bytes=100_000,
    import_bytes=1_000_000,
    messages=100,
    prompt_chars=10_000,
    choices=4,
    running=8,
    queue=8,
    reading=4,
    key_running=8,
    key_queue=8,
    key_tokens=1_000_000,
    key_bytes=10_000_000,
    connections=64,
    head_seconds=10.0,
    user_queue=2,
    wait_seconds=5.0,
    reply_seconds=20.0,
    body_seconds=5.0,
    send_seconds=10.0,
    ping_seconds=1.0,
    drain_seconds=1.0,
)
LEARNT = (  # a word of the message, the statement, its slot, its polarity
    ("spicy", "The user loves very spicy food.", "food/spice_level", "positive"),
    ("mild", "The user prefers mild food.", "food/spice_level", "positive"),
    ("chess", "The user likes chess.", "other/board games", "positive"),
    ("coffee", "The user avoids coffee.", "food/coffee", "negative"),
)
ASKED = (("fly", scripted.SEAT), ("dinner", "food/cuisine"))
PIECE_SECONDS = 0.01


class Talker(scripted.Model):
    """Learns and asks by words, and says back what it heard, word by word."""

    failure = None
    model = types.SimpleNamespace(tokenizer=tokenizer.tiny())
    longest = (10_000, 1_000)

    def _inferred(self, turn):
        held = {fact.slot: fact.statement for fact in turn.profile}
        ops = list(forget.asked(turn.words, turn.profile, (turn.session, turn.turn)))
        for word, statement, slot, polarity in LEARNT:
            if word in turn.words:
                old = held.get(slot, statement)
                kind, replaces = ("add", None) if old == statement else ("revise", old)
                belief = (polarity, "stated", 0.9)
                ops.append(facts.FactOp(kind, statement, slot, replaces, *belief))
        dropped = (draft.Dropped("The user lies.", "not said", 0.0),) * ("lie" in turn.words)
        return draft.Inferred("", tuple(ops), dropped)

    def _decision(self, request):
        barred = request.asked | request.declined
        for word, path in ASKED:
            if word in request.words and path not in barred:
                slot = taxonomy.Taxonomy.load().get(path)
                return rule.Decision(
                    ((path, 0.5),), 0.0, 0.2, path, slot.question, "the slot is open"
                )
        return rule.Decision((), 1.0, 0.0, None, None, "nothing to ask")

    def load(self):
        return scheduler.Occupancy(0, 0, 0)

    def submit(self, prompt_ids, **how):
        plain = max(prompt_ids) > 255  # a chat by the tokenizer's template, of nobody's
        said = "I know nobody." if plain else bytes(prompt_ids).decode()
        return Ticket(said.split(" "), prompt_ids)


class Ticket(scripted.Ticket):
    """Words one by one, as time goes by."""

    def __init__(self, words, prompt_ids):
        super().__init__(words)
        self.request = types.SimpleNamespace(prompt=prompt_ids)
        self.seconds = 0.25 if "slowly" in " ".join(words) else PIECE_SECONDS

    def __iter__(self):
        for piece in super().__iter__():
            if self.cancelled:
                return
            time.sleep(self.seconds)
            yield piece

    def result(self):
        reason = "cancelled" if self.cancelled else "end"
        return types.SimpleNamespace(ids=self.words, reason=reason)


def main() -> None:
    port, url, *known = sys.argv[1:]
    profiles = store.ProfileStore(url)
    agent = scripted.agent(profiles, Talker(), clock=lambda: datetime.datetime.now(datetime.UTC))
    served = app.build(
        agent,
        LIMITS,
        known=keys.load(pathlib.Path(known[0])) if known else None,
        hosts=("127.0.0.1",),
        name="talker",
        model="Talker 1B",
        user_header="X-User",
        compiles=timing.CompileCounter(),
    )
    uvicorn.run(served, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
