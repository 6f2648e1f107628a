// What is said on the page: the user's words, and a reply while it comes, with what came of it.

import { el } from "/page/dom.js";
import { markdown } from "/page/markdown.js";
import { count, pathName, sentence, slotName, told as saidToYou } from "/page/words.js";

const SIGNS = {
  added: ["+", "Learnt"],
  reinforced: ["=", "Heard again"],
  superseded: ["\u2192", "Replaced"],
  weakened: ["~", "Less sure"],
  retracted: ["\u2212", "Taken back"],
  ended: ["\u2212", "Ended"],
  "crowded out": ["\u2212", "Made room"],
  undone: ["\u2212", "Undone"],
  restored: ["+", "Back again"],
};

/** What the user said; `edit(words, node)` is called where it is to be said otherwise. */
export class Spoken {
  constructor(words, edit) {
    this.words = words;
    this.body = el("div", { class: "words" }, words);
    this.tools = el("p", { class: "tools", hidden: true },
      tool("Edit", () => this.#form(), "Edit this message and send it again"));
    this.edit = edit;
    this.node = el("li", { class: "turn you" },
      el("span", { class: "hidden" }, "You said: "), this.body, this.tools);
  }

  /** It has its reply, and may be said otherwise. */
  done() { this.tools.hidden = false; }

  #form() {
    const field = el("textarea", { rows: "2", "aria-label": "What you say instead" });
    field.value = this.words;
    const leave = () => {
      form.replaceWith(this.body);
      this.tools.hidden = false;
      this.tools.firstChild.focus();
    };
    const send = () => {
      if (!field.value.trim()) return;
      leave();
      this.edit(field.value);
    };
    const form = el("form", {
      class: "resend",
      submit: (event) => { event.preventDefault(); send(); },
      keydown: (event) => {
        if (event.isComposing) return;
        if (event.key === "Escape") leave();
        if (event.key === "Enter" && !event.shiftKey && event.target === field) {
          event.preventDefault();
          send();
        }
      },
    }, field, el("p", { class: "hint" }, "What came after it is taken back, with what it taught."),
      el("p", { class: "deeds" }, el("button", { type: "submit", class: "primary" }, "Send again"),
        el("button", { type: "button", click: leave }, "Cancel")));
    this.body.replaceWith(form);
    this.tools.hidden = true;
    field.style.blockSize = `${Math.min(field.scrollHeight + 4, innerHeight * 0.4)}px`;
    field.focus();
    field.select();
  }
}

/** A reply: its words while they come, then the question and what was learnt. */
export class Reply {
  /** `on` has find(id), again(), undo({session, turn}) and copied(). */
  constructor(on) {
    this.on = on;
    this.words = "";
    this.drawing = 0;
    this.body = el("div", { class: "words" });
    this.wait = el("span", { class: "thinking", "aria-hidden": "true" },
      el("i"), el("i"), el("i"));
    this.notes = el("div", { class: "notes" });
    this.tools = el("p", { class: "tools", hidden: true },
      navigator.clipboard ? tool("Copy", () => this.#copy(), "Copy this reply") : null,
      tool("Try again", () => this.on.again(), "Answer this anew", "again"));
    this.node = el("li", { class: "turn agent" },
      el("span", { class: "hidden" }, "The agent: "), this.body, this.wait, this.notes, this.tools);
    this.told = {};
  }

  hear(piece) {
    this.words += piece;
    this.wait.hidden = true;
    this.drawing ||= requestAnimationFrame(() => this.#draw(this.words));
  }

  /** Its words so far, of a reply that somebody else hears. */
  soFar(words) {
    this.words = words;
    this.#draw(words);
  }

  finish(words, told) {
    this.#ended();
    this.told = told;
    this.words = words;
    const question = told.asked ? told.question ?? "" : "";
    const ends = question && words.trimEnd().endsWith(question);
    this.#draw(ends ? words.trimEnd().slice(0, -question.length).trimEnd() : words);
    if (told.asked) this.notes.append(asking(told, question));
    this.#learnt(told.updates ?? [], told.dropped ?? []);
    if (!this.body.textContent && !told.asked) {
      this.body.append(el("em", { class: "faint" }, "No words came."));
    }
    this.tools.hidden = false;
  }

  /** It ends here; `why` is said below what came. */
  cut(why) {
    this.#ended();
    this.#draw(this.words);
    this.notes.append(el("p", { class: "cut" }, why));
    this.tools.hidden = false;
  }

  /** What a screen reader says when the reply is done. */
  spoken() {
    const updates = this.told.updates ?? [];
    const learnt = updates.length ? ` Profile: ${count(updates.length, "change")}.` : "";
    return `${this.words}${learnt}`;
  }

  #ended() {
    cancelAnimationFrame(this.drawing);
    this.drawing = 0;
    this.wait.remove();
    this.notes.replaceChildren();
  }

  #draw(words) {
    this.drawing = 0;
    this.body.replaceChildren(markdown(words));
  }

  async #copy() {
    await navigator.clipboard.writeText(this.words);
    this.on.copied();
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
    if (updates.length && this.told.undoable !== false) list.append(this.#undo());
    this.notes.append(list);
  }

  #undo() {
    const { session, turn } = this.told;
    const button = tool("Undo", async () => {
      button.disabled = true;
      if (await this.on.undo({ session, turn })) button.replaceWith("Undone.");
      else button.disabled = false;
    }, "Undo what was learnt from this message");
    return el("li", { class: "undo" }, button);
  }

  #change(kind, fact) {
    const [sign, name] = SIGNS[kind] ?? ["\u00b7", sentence(kind).slice(0, -1)];
    return el("li", { class: `change ${kind.replaceAll(" ", "-")}` },
      el("span", { class: "sign", "aria-hidden": "true" }, sign),
      el("span", { class: "kind" }, name),
      el("button", {
        type: "button", class: "link", click: () => this.on.find(fact.id),
        title: "Show it in the profile",
      }, saidToYou(fact)),
      el("span", { class: "slot" }, slotName(fact.category, fact.subcategory)));
  }
}

const tool = (name, click, title, more = "") =>
  el("button", { type: "button", class: `quiet tool ${more}`, title, click }, name);

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
