// The conversation: what is said, the reply as it comes, and what came of the turn.

import { Problem } from "/page/api.js";
import { announce, byId } from "/page/dom.js";
import { Reply, Spoken } from "/page/reply.js";

const POLL_MS = 700; // between looks at a reply that another tab, or a stopped one, left coming

export class Chat {
  /** `at` is {user, session, model, memory}; `on` has began(), learnt(updates, stopped),
   * opened(session), told(problem, retry), reload(), find(id) and undo(place). */
  constructor(api, at, on) {
    this.api = api;
    this.at = at;
    this.on = on;
    this.talk = byId("talk");
    this.log = byId("log");
    this.box = byId("say");
    this.stopping = null;
    this.turns = []; // {number, asked, reply}, as shown
    this.#listen();
  }

  get busy() { return this.stopping !== null; }

  get empty() { return this.turns.length === 0; }

  /** An empty conversation; a reply that is coming is no longer listened to. */
  clear() {
    this.stopping?.abort();
    this.log.replaceChildren();
    this.turns = [];
    byId("hello").hidden = false;
  }

  /** Shows turns that were said before, each with its `updates`. */
  restore(turns) {
    this.clear();
    const shown = turns.filter((turn) => turn.words);
    for (const told of shown) {
      const turn = this.#show(told.words, told.turn);
      if (told.reply !== null) this.#finish(turn, told.reply, told);
      else if (told.so_far === null) {
        turn.asked.done();
        turn.reply.cut("Not answered yet. It will be when you go on, or try again.");
      } else turn.reply.soFar(told.so_far);
    }
    this.talk.scrollTop = this.talk.scrollHeight;
    if (shown.some((turn) => turn.reply === null && turn.so_far !== null)) {
      setTimeout(this.#look, POLL_MS, this.turns, this.at.session);
    }
  }

  /** Says it; `replaces` is the place among the turns shown that this takes the place of. */
  async send(text, replaces = null) {
    if (this.busy || !text.trim()) return;
    this.on.began();
    const { user } = this.at;
    const request = this.#request(text, replaces);
    for (const gone of replaces === null ? [] : this.turns.splice(replaces)) {
      gone.asked.node.remove();
      gone.reply.node.remove();
    }
    const turn = this.#show(text, null);
    this.talk.scrollTop = this.talk.scrollHeight;
    if (replaces === null) {
      this.box.value = "";
      this.#grow();
    }
    this.#working(new AbortController());
    announce("Answering.");
    const stopping = this.stopping;
    try {
      const told = await this.#listenTo(turn, request, user, stopping.signal);
      this.#keepingEnd(() => this.#finish(turn, turn.reply.words, told));
      if (this.at.user === user) this.on.learnt(told.updates ?? [], false);
      announce(turn.reply.spoken());
    } catch (error) {
      this.#failed(error, { text, turn, user, replaces });
    } finally {
      if (this.stopping === stopping) this.#working(null);
    }
  }

  /** Without memory all that was said here goes along, and the server knows of nobody. */
  #request(text, replaces) {
    const { user, session, model, memory } = this.at;
    const said = { role: "user", content: text };
    const request = model ? { model } : {};
    if (memory) {
      const number = replaces === null ? null : this.turns[replaces].number;
      return {
        ...request, user, messages: [said],
        ...(session === null ? {} : { session }),
        ...(number === null ? {} : { replaces: number }),
      };
    }
    const before = this.turns.slice(0, replaces ?? undefined).filter(({ reply }) => reply.words)
      .flatMap(({ asked, reply }) => [
        { role: "user", content: asked.words }, { role: "assistant", content: reply.words }]);
    return { ...request, memory: false, messages: [...before, said] };
  }

  /** What the stream tells beside the words. */
  async #listenTo(turn, request, user, signal) {
    let told = {};
    for await (const chunk of this.api.chat(request, signal)) {
      if (chunk.pa_jax) told = { ...told, ...chunk.pa_jax };
      if (Number.isInteger(chunk.pa_jax?.session) && this.at.user === user) {
        turn.number = chunk.pa_jax.turn;
        this.on.opened(chunk.pa_jax.session);
      }
      const piece = chunk.choices?.[0]?.delta?.content;
      if (piece) this.#keepingEnd(() => turn.reply.hear(piece));
    }
    return told;
  }

  #show(words, number) {
    const turn = { number };
    const again = (text) => {
      if (this.busy) return;
      const place = this.turns.indexOf(turn);
      if (turn.number === null && this.at.memory) this.on.reload(); // it never began
      else if (place >= 0) this.send(text, place);
    };
    turn.asked = new Spoken(words, again);
    turn.reply = new Reply({
      ...this.on, again: () => again(turn.asked.words), copied: () => announce("Copied."),
    });
    this.turns.push(turn);
    byId("hello").hidden = true;
    this.log.append(turn.asked.node, turn.reply.node);
    return turn;
  }

  #finish(turn, words, told) {
    turn.asked.done();
    turn.reply.finish(words, told);
  }

  /** Looks whether replies that somebody else hears have come further. */
  #look = async (turns, session) => {
    if (this.turns !== turns || this.busy || this.at.session !== session) return;
    const { user } = this.at;
    const read = await this.api.session(user, session).catch(() => null);
    if (this.turns !== turns || this.busy || this.at.user !== user) return;
    const waiting = (read?.turns ?? []).filter((turn) => turn.words && turn.reply === null);
    if (read && !waiting.length) {
      this.on.reload();
      return;
    }
    for (const told of waiting) {
      const turn = turns.find(({ number }) => number === told.turn);
      if (turn && told.so_far !== null) this.#keepingEnd(() => turn.reply.soFar(told.so_far));
    }
    setTimeout(this.#look, POLL_MS, turns, session);
  };

  #failed(error, { text, turn, user, replaces }) {
    const stopped = error.name === "AbortError";
    if (!stopped && !(error instanceof Problem)) throw error;
    if (this.at.user !== user || !turn.reply.node.isConnected) return;
    if (stopped || turn.reply.words) {
      turn.asked.done();
      this.#keepingEnd(() => turn.reply.cut(stopped ? "Stopped here." : "Cut off here."));
      announce(stopped ? "Stopped." : "The answer was cut off.");
      this.on.learnt([], stopped);
      if (!stopped) this.on.told(error, null);
      return;
    }
    if (replaces !== null && this.at.memory) {
      this.on.reload(); // as the server has it
      this.on.told(error, null);
      return;
    }
    turn.asked.node.remove();
    turn.reply.node.remove();
    this.turns.splice(this.turns.indexOf(turn), 1);
    byId("hello").hidden = this.log.childElementCount > 0;
    if (!this.box.value) {
      this.box.value = text;
      this.#grow();
    }
    if (error.status === 404) this.on.opened(null); // erased elsewhere: a new one is begun
    this.on.told(error, () => {
      if (this.box.value.trim() === text.trim()) this.box.value = "";
      this.send(text);
    });
  }

  #listen() {
    byId("compose").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(this.box.value);
    });
    this.box.addEventListener("input", () => this.#grow());
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.stopping?.abort();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send(this.box.value);
    });
    byId("stop").addEventListener("click", () => this.stopping?.abort());
    byId("starters").addEventListener("click", (event) => {
      const starter = event.target.closest("button");
      if (!starter) return;
      this.box.value = starter.textContent;
      this.#grow();
      this.box.focus();
    });
  }

  #working(stopping) {
    const focused = [byId("send"), byId("stop")].includes(document.activeElement);
    this.stopping = stopping;
    byId("send").hidden = this.busy;
    byId("stop").hidden = !this.busy;
    this.talk.setAttribute("aria-busy", String(this.busy));
    if (focused) (this.busy ? byId("stop") : this.box).focus();
  }

  /** Does something that makes the messages longer; who reads the end goes on reading it. */
  #keepingEnd(act) {
    const { talk } = this;
    const atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
    act();
    if (atEnd) talk.scrollTop = talk.scrollHeight;
  }

  #grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, 200)}px`;
  }
}
