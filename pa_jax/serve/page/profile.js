// The profile: facts by category, where each comes from, its history, and the past.

import { byId, el, show } from "/page/dom.js";
import { EVENTS, FactView } from "/page/fact.js";
import { Tip } from "/page/tip.js";
import { categoryName, count, minute, order, told } from "/page/words.js";

export class Profile {
  /** `on` has edit(fact, statement), which tells whether that was done, and forget(fact). */
  constructor(on) {
    this.on = on;
    this.tip = new Tip();
    this.place = byId("facts");
    this.open = new Set();
    this.edits = new Map(); // forms that are open, by the fact's id; they outlive a redraw
    this.facts = [];
    this.total = 0; // that hold now
    this.records = [];
    this.fresh = new Map();
    this.past = false;
  }

  /** Shows what is known; `fresh` tells which facts just changed, and how; `past` an earlier time,
   * `search` that only facts with these words are given, `since` when the user was last here. */
  draw({ facts, records, fresh = new Map(), past = false, search = "", since = null }) {
    const active = document.activeElement;
    const focused = active?.closest?.(".fact")?.dataset.fact;
    Object.assign(this, { facts, records, fresh, past });
    this.tip.hide();
    const held = new Set(facts.map((fact) => fact.id));
    for (const id of this.edits.keys()) {
      if (!past && !search && !held.has(id)) this.edits.delete(id);
    }
    const groups = this.#groups();
    const nodes = groups.map(([category, held]) => this.#category(category, held));
    const gone = past || search ? [] : this.#gone();
    if (!facts.length) nodes.push(this.#nothing(gone.length > 0, search));
    const changed = past || search ? [] : this.#changed(since);
    if (changed.length) nodes.unshift(this.#lately(changed, since));
    if (gone.length) nodes.push(this.#former(gone));
    this.place.replaceChildren(...nodes);
    byId("tally").textContent = facts.length
      ? `${count(facts.length, "fact")}, ${count(groups.length, "category", "categories")}` : "";
    if (!past && !search) this.total = facts.length;
    const badge = byId("view-count");
    badge.textContent = String(this.total);
    badge.hidden = !this.total;
    const place = active?.isConnected ? active : focused && this.#button(focused);
    place?.focus({ preventScroll: true });
  }

  /** Goes to a fact, held or past. */
  find(id) {
    const button = this.#button(id);
    if (!button) return;
    show("profile");
    const former = button.closest("details");
    if (former) former.open = true;
    button.scrollIntoView({ block: "center" });
    button.focus();
  }

  #button(id) {
    return this.place.querySelector(`.fact[data-fact="${CSS.escape(id)}"] .statement`);
  }

  #groups() {
    const groups = new Map();
    for (const fact of this.facts) {
      if (!groups.has(fact.category)) groups.set(fact.category, []);
      groups.get(fact.category).push(fact);
    }
    const places = order();
    const rank = (id) => (places.indexOf(id) + 1 || places.length + 1);
    return [...groups].sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
  }

  /** Facts that hold no longer, the latest first: the last version of each. */
  #gone() {
    const held = new Set(this.facts.map((fact) => fact.id));
    const last = new Map();
    for (const record of this.records) last.set(record.id, record);
    return [...last.values()].filter((record) => !held.has(record.id)).reverse();
  }

  #category(category, held) {
    const title = `group-${category}`;
    return el("section", { class: "group", "aria-labelledby": title },
      el("h3", { id: title }, categoryName(category),
        el("span", { class: "count", "aria-hidden": "true" }, String(held.length))),
      el("ul", {}, ...held.map((fact) => new FactView(this, fact).node)));
  }

  #former(records) {
    const list = el("ul", {}, ...records.map((record) => new FactView(this, record, record.event).node));
    return el("details", { class: "former" },
      el("summary", {}, `No longer true (${records.length})`), list);
  }

  /** The last version of each fact that changed after a time. */
  #changed(since) {
    const last = new Map();
    for (const record of since === null ? [] : this.records) {
      if (new Date(record.known_from) > new Date(since)) last.set(record.id, record);
    }
    return [...last.values()];
  }

  #lately(records, since) {
    const items = records.map((record) => el("li", {},
      el("span", { class: "event" }, EVENTS[record.event] ?? record.event), " ",
      el("button", {
        type: "button", class: "link", click: () => this.find(record.id),
      }, told(record))));
    return el("details", { class: "lately", open: true },
      el("summary", { title: `After ${minute(since)}` },
        `Since your last visit: ${count(records.length, "change")}`),
      el("ul", {}, ...items));
  }

  #nothing(before, search) {
    if (search) return el("p", { class: "nothing" }, "No fact has these words.");
    const words = this.past ? "Nothing was known at that time."
      : before ? "Nothing holds any more. What was known is below."
        : "Nothing known yet. Say something about yourself.";
    return el("div", { class: "nothing" },
      el("img", { src: "/page/empty.svg", alt: "", width: "120", height: "84" }),
      el("p", {}, words),
      before || this.past ? null
        : el("p", { class: "hint" }, "What you like, avoid, own, plan or need lands here, sorted, "
          + "with the words it was learnt from."));
  }
}
