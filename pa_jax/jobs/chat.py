"""Talk in the terminal: replies as they come, what was learnt from each turn, why it asked."""

import dataclasses
import hashlib
import io
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
from absl import logging

from pa_jax import models
from pa_jax.agent import avoid, reply_prompt, session
from pa_jax.agent.asking import rule
from pa_jax.agent.asking.policy import Trained
from pa_jax.agent.inference import draft, inferencer, prompt_roots
from pa_jax.core import files, sharding, timing
from pa_jax.core import mesh as meshes
from pa_jax.infer.serving import ruled_out, scheduler
from pa_jax.jobs import policy, setup
from pa_jax.profile import decay, facts, store, turns, update
from pa_jax.profile.db import connect

HELP = """/profile        what is known, with how sure it is
/why FACT       where a fact comes from and what became of it (its id, or words of it)
/edit FACT = NEW STATEMENT
                put a fact right in your own words: /edit tea = I like green tea
/forget FACT    take a fact back
/export         everything about you as a file
/erase          delete everything about you, after a question
/as USER        go on as another user
/help           this list
/quit           end (so does the end of the input)"""
SIGNS = {update.ADDED: "+", update.REINFORCED: "=", update.WEAKENED: "~"}
ANSWERED = (ValueError, LookupError, OSError, RuntimeError)  # told in one line, then on


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `chat` job."""
    if jax.process_count() > 1:
        raise ValueError(f"{jax.process_count()} processes: chat runs as one; start it alone.")
    setup.open_workdir(config, workdir)
    agent, closing = open_agent(config)
    terminal = Terminal(agent, config.user, workdir)
    try:
        terminal.talk()
    finally:
        for close in closing:
            close()
    files.atomic_write(workdir / "report.json", json.dumps(terminal.report(), indent=2) + "\n")


def open_agent(
    config: ml_collections.ConfigDict,
) -> tuple[session.Agent, tuple[Callable[[], None], ...]]:
    """The agent of a config's sections, warmed up, and what to call at the end, in order."""
    profiles = open_store(config.store)
    parts, engine = open_parts(config)
    cfg = setup.section(session.AgentConfig, config.agent)
    agent = session.Agent(profiles, *parts, engine, clock=setup.utc_now, cfg=cfg)
    return agent, (agent.close, engine.close, profiles.close)


def open_parts(
    config: ml_collections.ConfigDict,
) -> tuple[
    tuple[inferencer.Inferencer, rule.Proactive | Trained, reply_prompt.Responder],
    scheduler.Scheduler,
]:
    """Who infers, who decides and who makes prompts, warmed up, and the engine that they share."""
    require_room(config)
    mesh = setup.chosen_mesh(config)
    data = 1 if mesh is None else math.prod(mesh.shape[name] for name in sharding.DATA)
    infer_rows, live_rows = (-(-c.rows // data) * data for c in (config.infer, config.live))
    with meshes.using(mesh):
        model = policy.load(config, mesh)
        cfg = setup.section(inferencer.InferConfig, config.infer)
        cfg = dataclasses.replace(cfg, rows=infer_rows)
        other = policy.named(config, config.replier, mesh, key="replier")
        replies = other or model
        limits = cfg.trained(model).limits()
        root = prompt_roots.of_turns(model.words, limits) if other is None else []
        engine = open_scheduler(config, cfg, replies, live_rows, mesh, root)
        how: dict[str, Any] = {"mesh": mesh, "lengths": tuple(config.lengths)}
        # Snippets are decoded beside the replies, where both are one model's.
        beside: dict[str, Any] = (
            {} if other else {"serves": engine, "wait_seconds": config.agent.wait_seconds}
        )
        infer = inferencer.Inferencer(model, cfg, **how, **beside)
        by_rule = rule.Proactive(model, setup.section(rule.AskConfig, config.ask), **how)
        asking = policy.named(config, config.asker, mesh, key="asker")
        ask = asker(config, by_rule, asking, mesh)
        reply = setup.section(reply_prompt.ReplyConfig, config.reply)
        respond = reply_prompt.Responder(replies.words, reply)
        logging.info("compiling programs; the next start finds them compiled")
        with timing.CompileCounter():  # which says what it hears, a line a program
            engine.warm_up()
            seen = draft.Observed("", 0, 0, "", "I like tea.", ())
            infer.infer([seen], now=setup.utc_now(), seed=0)
            infer.ops_of(seen, "The user likes tea.")
        if config.agent.avoid:  # the vocabulary is put in order, which nobody shall wait for
            ruled_out.sequences(replies.words, avoid.texts(("coriander",)))
    return (infer, ask, respond), engine


def require_room(config: ml_collections.ConfigDict) -> None:
    """A ValueError where the engine of replies has no room for snippets."""
    infer, live = config.infer, config.live
    if infer.prompt_tokens > live.trunk or infer.max_new_tokens > live.slots:
        raise ValueError(
            f"live.trunk={live.trunk}, live.slots={live.slots}: snippets want "
            f"{infer.prompt_tokens} (infer.prompt_tokens) and {infer.max_new_tokens} "
            "(infer.max_new_tokens); raise the former or lower the latter."
        )


def open_scheduler(
    config: ml_collections.ConfigDict,
    cfg: inferencer.InferConfig,
    model: models.LoadedModel,
    rows: int,
    mesh: jax.sharding.Mesh | None,
    root: list[int],
) -> scheduler.Scheduler:
    """Decodes replies, and the snippets of an inferencer with this `cfg` beside them.

    Snippets' prompts begin with `root`.
    """
    return scheduler.Scheduler(model, mesh=mesh, root=root, **(dict(config.live) | {"rows": rows}))


def asker(
    config: ml_collections.ConfigDict,
    by_rule: rule.Proactive,
    model: models.LoadedModel | None,
    mesh: jax.sharding.Mesh | None,
) -> rule.Proactive | Trained:
    """Who decides whether to ask: a policy trained for it, or the rule where there is none."""
    if model is None:
        return by_rule
    cfg = setup.section(inferencer.InferConfig, config.infer)
    return Trained(by_rule, model, cfg, mesh=mesh, lengths=tuple(config.lengths))


def open_store(url: str) -> store.ProfileStore:
    """The store at a URL; the folder of a new SQLite file is made."""
    path = connect.sqlite_file(connect.parse(url))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    return store.ProfileStore(url)


class Terminal:
    """Lines in, text out; one user at a time."""

    def __init__(self, agent: session.Agent, user: str, workdir: pathlib.Path) -> None:
        self.agent, self.workdir = agent, workdir
        self.session = agent.session(user)
        self.commands: dict[str, Callable[[str], None]] = {
            "/profile": self.profile,
            "/why": self.why,
            "/edit": self.edit,
            "/forget": self.forget,
            "/export": self.export,
            "/erase": self.erase,
            "/as": self.become,
            "/help": lambda _: self.say(HELP),
        }
        self.counts = {"turns": 0, "updates": 0, "dropped": 0, "questions": 0}
        self.seconds = dict.fromkeys(("until_first_piece", "whole", *turns.STAGES[1:]), 0.0)

    def talk(self) -> None:
        """Reads and answers until /quit or the end of the input."""
        self.take_any_bytes()
        self.say("Say something; /help lists the commands.")
        try:
            self.greet()
        except ANSWERED as error:
            self.say(f"! {error}")
        while (line := self.ask(f"{self.session.user}> ")) is not None:
            words = line.strip()
            if words == "/quit":
                break
            if not words:
                continue
            try:
                if words.startswith("/"):
                    self.command(words)
                else:
                    self.answer(words)
            except KeyboardInterrupt:
                self.say(" [stopped]")
            except ANSWERED as error:
                self.say(f"! {error}")

    def report(self) -> dict[str, Any]:
        """Counts, and seconds over all turns; nothing that was said."""
        return self.counts | {"seconds": {k: round(v, 3) for k, v in self.seconds.items()}}

    # what goes in and out

    @staticmethod
    def take_any_bytes() -> None:
        """What is no text of the terminal's encoding is shown as such, and ends nothing."""
        for stream in (sys.stdin, sys.stdout):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")

    def say(self, text: str, *, end: str = "\n") -> None:
        sys.stdout.write(text + end)
        sys.stdout.flush()

    def ask(self, prompt: str) -> str | None:
        """A line of input, None at its end."""
        if sys.stdin.isatty():
            try:
                return input(prompt)
            except (EOFError, KeyboardInterrupt):
                self.say("")
                return None
        line = sys.stdin.readline()
        return line if line else None

    # a turn

    def greet(self) -> None:
        for reply in self.session.resume():
            if reply.words:
                self.say(f"(finished from last time) {reply.words}\nagent> {reply.text}")
        known = len(self.session.profile())
        self.say(f"{self.session.user}: {known} facts known; /profile shows them.")

    def answer(self, words: str) -> None:
        began = time.monotonic()
        stream = self.session.stream(words)
        self.say("agent> ", end="")
        first = None
        for piece in stream:
            first = first or time.monotonic() - began
            self.say(piece, end="")
        self.say("")
        reply = stream.reply
        self.seconds["whole"] += time.monotonic() - began
        self.seconds["until_first_piece"] += first or 0.0
        for stage, begun, done in zip(turns.STAGES[1:], reply.times, reply.times[1:], strict=False):
            self.seconds[stage] += (done - begun).total_seconds()
        self.counts["turns"] += 1
        self.counts["updates"] += len(reply.updates)
        self.counts["dropped"] += len(reply.dropped)
        self.counts["questions"] += reply.asked is not None
        self.learnt(reply)

    def learnt(self, reply: session.Reply) -> None:
        for change in reply.updates:
            self.say(f"  {SIGNS.get(change.event, '-')} {self.line(change.fact)} {change.event}")
        for reason in (*reply.refused, *reply.dropped):
            self.say(f"  not kept: {reason}")
        if reply.asked is not None:
            self.say(f"  asked, because {reply.why}")

    # commands

    def command(self, words: str) -> None:
        name, _, rest = words.partition(" ")
        if name not in self.commands:
            self.say(f"! unknown command {name!r:.40}; /help lists them.")
            return
        self.commands[name](rest.strip())

    def profile(self, _: str) -> None:
        held = self.session.profile()
        self.say("\n".join(f"  {self.line(fact)}" for fact in held) or "  nothing yet")

    def why(self, what: str) -> None:
        """Facts that hold no longer are found by their id."""
        records = self.agent.profiles.history(self.session.user)
        latest = {record.fact.id: record.fact for record in records}
        fact = latest.get(what) or self.find(what)
        if fact is None:
            return
        self.say(f"  {self.line(fact)}")
        for record in records:
            when, at = f"{record.known_from:%Y-%m-%d %H:%M}", record.by
            other = latest.get(record.superseded_by or "")
            if record.id == fact.id:
                by = f' by "{other.statement}" {other.id}' if other else ""
                self.say(f"    {when} {record.event} in turn {at.session}.{at.turn}{by}")
            elif other is not None and other.id == fact.id:
                old = f'"{record.statement}" {record.id}'
                self.say(f"    {when} replaced {old} in turn {at.session}.{at.turn}")
        self.say(f'    last heard in: "{fact.source.quote}"')

    def edit(self, what: str) -> None:
        of, sign, statement = (part.strip() for part in what.partition("="))
        if not of or not sign:
            self.say("! /edit needs a fact, = and what it should say: /edit tea = I like rum")
        elif (fact := self.find(of)) is not None:
            self.learnt(self.session.edit(fact.id, statement))

    def forget(self, what: str) -> None:
        if (fact := self.find(what)) is not None:
            self.learnt(self.session.forget(fact.id))

    def export(self, _: str) -> None:
        data = self.agent.profiles.export(self.session.user)
        files.atomic_write(self.exported(), json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        self.say(f"  {self.exported()}")

    def erase(self, _: str) -> None:
        user = self.session.user
        self.say(f"  Type {user} to delete all that is known of {user} and was said: ", end="")
        if (self.ask("") or "").strip() != user:
            self.say("  nothing deleted")
            return
        receipt = self.session.erase()
        self.exported().unlink(missing_ok=True)
        self.session = self.agent.session(user)
        self.say(
            f"  deleted: {receipt.facts} facts in {receipt.versions} versions, {receipt.journal} "
            f"turns, {receipt.labels} labels; none is left. {receipt.note}"
        )

    def become(self, user: str) -> None:
        if not user:
            self.say("! /as needs a user's id.")
            return
        before, self.session = self.session, self.agent.session(user)
        try:
            self.greet()
        except ANSWERED:
            self.session = before
            raise

    # what they share

    def line(self, fact: facts.Fact) -> str:
        sure = decay.confidence_at(fact, now=self.agent.clock())
        return f"{fact.statement} [{fact.slot}, {fact.authority}, {sure:.2f}] {fact.id}"

    def find(self, what: str) -> facts.Fact | None:
        """The one held fact with this id or these words; says so where it is not one."""
        held = self.session.profile()
        found = [fact for fact in held if fact.id == what]
        found = found or [f for f in held if what and what.casefold() in f.statement.casefold()]
        if len(found) == 1:
            return found[0]
        if found:
            self.say("! several facts say that; name one by its id:")
            self.say("\n".join(f"  {self.line(fact)}" for fact in found))
        else:
            self.say("! no fact has that id or those words; /profile lists them.")
        return None

    def exported(self) -> pathlib.Path:
        """Where this user's export goes; any user's id makes a file name."""
        name = hashlib.blake2b(self.session.user.encode(), digest_size=8).hexdigest()
        return self.workdir / f"export-{name}.json"
