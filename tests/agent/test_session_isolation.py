"""Many sessions at once on random weights: nothing of one user holds the words of another."""

import concurrent.futures
import importlib
import json
import logging as std_logging
import re

import pytest

from pa_jax import models
from pa_jax.agent import reply_prompt, session
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import inferencer
from pa_jax.infer.serving import scheduler
from pa_jax.jobs import setup
from pa_jax.profile import store

USERS = 8
MARK = re.compile(r"zq(\d\d)")


class Heard:
    """A door of the agent that notes what goes through it."""

    def __init__(self, door):
        self.door, self.batches, self.prompts, self.texts = door, [], [], []

    def infer(self, turns, *, now, seed):
        self.batches.append([turn.user for turn in turns])
        self.texts += [(t.user, f"{t.words} {t.context} {t.profile}") for t in turns]
        found = self.door.infer(turns, now=now, seed=seed)
        self.texts += [(t.user, f"{f.ops}") for t, f in zip(turns, found, strict=True)]
        return found

    def needs_of(self, requests):
        return self.door.needs_of(requests)

    def decide(self, requests, *, now):
        return self.door.decide(requests, now=now)

    def prompt(self, profile, history, words, *, needs, now, system):
        ids = self.door.prompt(profile, history, words, needs=needs, now=now)
        self.prompts.append(self.door.words.hf.decode(ids))
        return ids

    def submit(self, prompt_ids, **how):
        return self.door.submit(prompt_ids, **how)


@pytest.fixture
def doors():
    config = importlib.import_module("configs.chat").get_config("tiny")
    model = models.load("random:tiny", dtype="float32")
    config.infer.rows, config.infer.prompt_tokens, config.infer.max_new_tokens = 8, 512, 4
    config.infer.context_chars = config.infer.profile_chars = 60
    cfg = setup.section(inferencer.InferConfig, config.infer)
    ask = setup.section(rule.AskConfig, config.ask)
    reply = setup.section(reply_prompt.ReplyConfig, config.reply)
    engine = scheduler.Scheduler(model, rows=8, trunk=450, slots=8, chunk=4, queue=2)
    yield (
        Heard(inferencer.Inferencer(model, cfg)),
        Heard(rule.Proactive(model, ask)),
        Heard(reply_prompt.Responder(model.tokenizer, reply)),
        Heard(engine),
    )
    engine.close()


@pytest.mark.parametrize("count", [32, pytest.param(64, marks=pytest.mark.slow)])
def test_sessions_of_many_users_never_meet(doors, tmp_path, caplog, count):
    config = importlib.import_module("configs.chat").get_config("tiny")
    config.agent.max_new_tokens, config.agent.gather_seconds = 4, 0.2  # full batches
    cfg = setup.section(session.AgentConfig, config.agent)
    profiles = store.ProfileStore(f"sqlite:///{tmp_path}/p.db")
    agent = session.Agent(profiles, *doors, clock=setup.utc_now, cfg=cfg)

    def talk(number):
        user = f"zq{number % USERS:02d}"
        conversation = agent.session(user)
        reply = conversation.respond(f"I like {user} tea, case {number}. Forget about {user}x.")
        return user, reply

    with caplog.at_level(std_logging.DEBUG):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            replies = list(pool.map(talk, range(count)))
    agent.close()
    infer, _, respond, _ = doors
    assert len(infer.texts) == 2 * count and len(respond.prompts) == count
    assert max(len(set(batch)) for batch in infer.batches) > 1  # users do share batches
    for user, text in infer.texts + [(user, str(reply)) for user, reply in replies]:
        assert set(MARK.findall(text)) <= {user[2:]}
    for prompt in respond.prompts:
        assert len(set(MARK.findall(prompt))) == 1
    for number in range(USERS):
        user = f"zq{number:02d}"
        text = json.dumps(profiles.export(user))
        assert set(MARK.findall(text)) == {user[2:]}
        turns = profiles.journal.turns_of(user)
        assert len({turn.session for turn in turns}) == count // USERS
    assert not MARK.search(caplog.text)
    profiles.close()
