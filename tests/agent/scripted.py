"""Models of few words behind the agent's doors: what they say is a function of what they are told.

    scripted.py URL KILLS    a session in child processes, one after the other killed at random

Prints what the parent saw as JSON. Not a test; run by test_session_kills.py.
"""

import datetime
import json
import os
import random
import re
import signal
import sys
import time

from pa_jax.agent import session
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import draft
from pa_jax.profile import facts, forget, store

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
SEAT, SPICE = "travel/flight_seat", "food/spice_level"
QUESTION = "Window or aisle?"
CONFIG = session.AgentConfig(
    max_new_tokens=8,
    temperature=0.0,
    top_k=0,
    top_p=1.0,
    penalty=1.0,
    together=8,
    gather_seconds=0.0,
    wait_seconds=30.0,
    attempts=3,
    seed=0,
)


class Clock:
    """A second a look."""

    def __init__(self, start=NOON):
        self.now = start

    def __call__(self):
        self.now += datetime.timedelta(seconds=1)
        return self.now


class Model:
    """Learns "X" from "I like X", asks for a seat when words say "fly", answers with an echo."""

    def __init__(self):
        self.observed, self.requests, self.prompts = [], [], []
        self.fail = {}  # words -> how often the models fail on them from now on

    def infer(self, turns, *, now, seed):
        self.observed += turns
        return [self._inferred(turn) for turn in turns]

    def _inferred(self, turn):
        if self.fail.get(turn.words, 0) > 0:
            self.fail[turn.words] -= 1
            raise ArithmeticError("no number")
        liked = re.findall(r"I like (\w+)", turn.words)
        ops = forget.asked(turn.words, turn.profile, (turn.session, turn.turn)) + tuple(
            facts.FactOp("add", f"The user likes {x}.", "other/x", None, "positive", "stated", 0.9)
            for x in liked
        )
        dropped = (draft.Dropped("The user lies.", "not said", 0.0),) * ("lie" in turn.words)
        return draft.Inferred(f"likes {liked}", ops, dropped)

    def needs_of(self, requests):
        return [self._decision(request).needs for request in requests]

    def decide(self, requests, *, now):
        self.requests += requests
        return [self._decision(request) for request in requests]

    def _decision(self, request):
        barred = request.asked | request.declined
        if "fly" not in request.words or SEAT in barred or rule.ANY in barred:
            return rule.Decision((), 1.0, 0.0, None, None, "nothing to ask")
        return rule.Decision(((SEAT, 0.5),), 0.0, 0.2, SEAT, QUESTION, "the seat is open")

    def prompt(self, profile, history, words, *, needs, now, system):
        known = [fact.statement for fact in profile]
        said = [(message.role, message.content) for message in history]
        self.prompts.append((known, said, words, tuple(needs)))
        return list(f"You said {words} I know {len(known)}".encode())

    def submit(self, prompt_ids, **how):
        return Ticket(bytes(prompt_ids).decode().split(" "))


class Ticket:
    """Words one by one."""

    def __init__(self, words):
        self.words, self.cancelled = words, False

    def __iter__(self):
        for place, word in enumerate(self.words):
            yield f" {word}" if place else word

    def cancel(self):
        self.cancelled = True


def agent(profiles, model=None, clock=None, **changed):
    model = model or Model()
    cfg = session.AgentConfig(**(vars(CONFIG) | changed))
    parts = (model, model, model, model)
    return session.Agent(profiles, *parts, clock=clock or Clock(), cfg=cfg)


def words(number):
    """What the user says in turn `number` of the stream."""
    if number % 11 == 7:
        return f"Please forget that. Turn {number}"
    return f"I like thing{number % 40}. Turn {number}, let us fly" + " lie" * (number % 3 == 0)


def serial(url, turns):
    profiles = store.ProfileStore(url)
    with agent(profiles) as talking:
        conversation = talking.session("ann", 0)
        for number in range(turns):
            conversation.respond(words(number))
    return profiles


def kill(url, kills):
    """Each child finishes what was cut off and goes on; the last one ends after some turns more."""
    profiles = store.ProfileStore(url)  # opened before the forks on purpose
    rng = random.Random(7)
    acknowledged, lost, killed, changed, cut = [], 0, 0, 0, 0
    reach = 0.0  # seconds, about what a child needs for a turn or two on this machine
    turns = 0
    while not turns:
        turns = len(acknowledged) + 5 if killed == kills else 0
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            talk(profiles, turns or sys.maxsize, writing)
        os.close(writing)
        with os.fdopen(reading) as lines:
            seen, began = [lines.readline()], time.monotonic()
            if not killed:  # the first one shows how long a turn takes
                seen.append(lines.readline())
                reach = 2 * (time.monotonic() - began)
            if killed < kills:
                time.sleep(rng.random() * reach)
                os.kill(child, signal.SIGKILL)
                killed += 1
            seen += lines.readlines()
            reach *= 1.15 if len(seen) == 1 else 0.8
        os.waitpid(child, 0)
        acknowledged += [json.loads(line) for line in seen if line.endswith("\n") and line != "\n"]
        kept = profiles.journal.turns_of("ann", session=0)
        cut += len(profiles.journal.unfinished("ann"))
        replies = {turn.turn: turn.reply for turn in kept if turn.reply is not None}
        lost += sum(number not in replies for number, _ in acknowledged)
        changed += sum(replies.get(number, text) != text for number, text in acknowledged)
        acknowledged = [(turn, replies[turn]) for turn in sorted(replies)]
    return {"killed": killed, "lost": lost, "changed": changed, "cut": cut, "turns": turns}


def talk(profiles, turns, writing):
    """What a child does: tells each reply once it has it."""
    with agent(profiles, clock=lambda: datetime.datetime.now(datetime.UTC)) as talking:
        conversation = talking.session("ann", 0)
        os.write(writing, b"\n")
        conversation.resume()
        for number in range(len(conversation.said()), turns):
            reply = conversation.respond(words(number))
            os.write(writing, (json.dumps([reply.turn, reply.text]) + "\n").encode())
    os._exit(0)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(kill(sys.argv[1], int(sys.argv[2]))))
