// The conversation: what is said, the reply as it comes, and what came of the turn.

import { Problem } from "/page/api.js";
import { announce, byId, el } from "/page/dom.js";
import { count, pathName, sentence, slotName } from "/page/words.js";

const SIGNS = {
  added: ["+", "Learnt"],
  reinforced: ["=", "Heard again"],
  superseded: ["\u2192", "Replaced"],
  weakened: ["~", "Less sure"],
  retracted: ["\u2212", "Taken back"],
  ended: ["\u2212", "Ended"],
  "crowded out": ["\u2212", "Made room"],
};

export class Chat {
  /** `at` is {user, session, model}; `on` has
   * began(), learnt(updates, stopped), opened(session), told(problem, retry), find(id). */
  constructor(api, at, on) {
    this.api = api;
    this.at = at;
    this.on = on;
    this.talk = byId("talk");
    this.log = byId("log");
    this.box = byId("say");
    this.stopping = null;
    this.#listen();
  }

  get busy() { return this.stopping !== null; }

  /** An empty conversation; a reply that is coming is no longer listened to. */
  clear() {
    this.stopping?.abort();
    this.log.replaceChildren();
    byId("hello").hidden = false;
  }

  /** Shows turns that were said before, each with its `updates`. */
  restore(turns) {
    this.clear();
    for (const turn of turns) {
      if (!turn.words) continue;
      this.#add(spoken("you", turn.words));
      const reply = new Reply(this.on.find);
      this.#add(reply.node);
      reply.finish(turn.reply ?? "", turn);
    }
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  async send(text) {
    if (this.busy || !text.trim()) return;
    this.on.began();
    const { user } = this.at;
    const asked = spoken("you", text);
    const reply = new Reply(this.on.find);
    this.#add(asked);
    this.#add(reply.node);
    this.talk.scrollTop = this.talk.scrollHeight;
    this.box.value = "";
    this.#grow();
    this.#working(new AbortController());
    announce("Answering.");
    const stopping = this.stopping;
    try {
      const told = await this.#listenTo(reply, text, user, stopping.signal);
      this.#keepingEnd(() => reply.finish(reply.words, told));
      if (this.at.user === user) this.on.learnt(told.updates ?? [], false);
      announce(reply.spoken());
    } catch (error) {
      this.#failed(error, { text, asked, reply, user });
    } finally {
      if (this.stopping === stopping) this.#working(null);
    }
  }

  /** What the stream tells beside the words. */
  async #listenTo(reply, text, user, signal) {
    const request = { user, messages: [{ role: "user", content: text }] };
    if (this.at.model) request.model = this.at.model;
    if (this.at.session !== null) request.session = this.at.session;
    let told = {};
    for await (const chunk of this.api.chat(request, signal)) {
      if (chunk.pa_jax) told = { ...told, ...chunk.pa_jax };
      if (Number.isInteger(chunk.pa_jax?.session) && this.at.user === user) {
        this.on.opened(chunk.pa_jax.session);
      }
      const piece = chunk.choices?.[0]?.delta?.content;
      if (piece) this.#keepingEnd(() => reply.hear(piece));
    }
    return told;
  }

  #failed(error, { text, asked, reply, user }) {
    const stopped = error.name === "AbortError";
    if (!stopped && !(error instanceof Problem)) throw error;
    if (this.at.user !== user || !reply.node.isConnected) return;
    if (stopped || reply.words) {
      this.#keepingEnd(() => reply.cut(stopped ? "Stopped here." : "Cut off here."));
      announce(stopped ? "Stopped." : "The answer was cut off.");
      this.on.learnt([], stopped);
      if (!stopped) this.on.told(error, null);
      return;
    }
    asked.remove();
    reply.node.remove();
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

  #add(node) {
    byId("hello").hidden = true;
    this.log.append(node);
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

const spoken = (who, text) =>
  el("li", { class: `turn ${who}` },
    el("span", { class: "hidden" }, "You said: "),
    el("div", { class: "words" }, text));

/** A reply on the page: its words while they come, then the question and what was learnt. */
class Reply {
  constructor(find) {
    this.find = find;
    this.words = "";
    this.body = el("div", { class: "words" });
    this.wait = el("span", { class: "thinking", "aria-hidden": "true" },
      el("i"), el("i"), el("i"));
    this.notes = el("div", { class: "notes" });
    this.node = el("li", { class: "turn agent" },
      el("span", { class: "hidden" }, "The agent: "), this.body, this.wait, this.notes);
    this.told = {};
  }

  hear(piece) {
    this.words += piece;
    this.body.append(piece);
    this.wait.remove();
  }

  finish(words, told) {
    this.wait.remove();
    this.told = told;
    this.words = words;
    const question = told.asked ? told.question ?? "" : "";
    const ends = question && words.trimEnd().endsWith(question);
    this.body.textContent = ends ? words.trimEnd().slice(0, -question.length).trimEnd() : words;
    if (told.asked) this.notes.append(asking(told, question));
    this.#learnt(told.updates ?? [], told.dropped ?? []);
    if (!this.body.textContent && !told.asked) this.body.append(faint("No words came."));
  }

  cut(why) {
    this.wait.remove();
    this.notes.append(el("p", { class: "cut" }, why));
  }

  /** What a screen reader says when the reply is done. */
  spoken() {
    const updates = this.told.updates ?? [];
    const learnt = updates.length ? ` Profile: ${count(updates.length, "change")}.` : "";
    return `${this.words}${learnt}`;
  }

  #learnt(updates, dropped) {
    if (!updates.length && !dropped.length) return;
    const list = el("ul", { class: "learnt", "aria-label": "What came of this message" });
    for (const { kind, fact } of updates) list.append(this.#change(kind, fact));
    if (dropped.length) {
      const reasons = dropped.map((reason) => el("li", {}, sentence(reasoned(reason))));
      list.append(el("li", { class: "dropped" },
        el("details", { toggle: whole },
          el("summary", {}, `Not kept: ${count(dropped.length, "statement")}`),
          el("ul", {}, ...reasons))));
    }
    this.notes.append(list);
  }

  #change(kind, fact) {
    const [sign, name] = SIGNS[kind] ?? ["\u00b7", sentence(kind).slice(0, -1)];
    return el("li", { class: `change ${kind.replaceAll(" ", "-")}` },
      el("span", { class: "sign", "aria-hidden": "true" }, sign),
      el("span", { class: "kind" }, name),
      el("button", {
        type: "button", class: "link", click: () => this.find(fact.id),
        title: "Show it in the profile",
      }, fact.statement),
      el("span", { class: "slot" }, slotName(fact.category, fact.subcategory)));
  }
}

const faint = (text) => el("em", { class: "faint" }, text);

const whole = (event) => event.target.scrollIntoView({ block: "nearest" });

const reasoned = (reason) =>
  typeof reason === "string" ? reason : reason.reason ?? JSON.stringify(reason);

function asking(told, question) {
  return el("div", { class: "asking" },
    el("p", { class: "badge" }, el("span", { class: "asks" }, "A question"),
      ` about ${pathName(told.asked).toLowerCase()}`),
    question ? el("p", { class: "question" }, question) : null,
    told.why ? el("details", { toggle: whole }, el("summary", {}, "Why I ask"),
      el("p", {}, sentence(told.why))) : null);
}
