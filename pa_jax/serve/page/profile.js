// The profile: facts by category, where each comes from, its history, and the past.

import { byId, el, show } from "/page/dom.js";
import { Tip } from "/page/tip.js";
import { categoryName, count, day, minute, order, percent, slotName } from "/page/words.js";

const EVENTS = {
  added: "Learnt", reinforced: "Heard again", superseded: "Replaced", weakened: "Less sure",
  retracted: "Taken back", ended: "Ended", "crowded out": "Made room for newer facts",
};

let made = 0; // facts drawn so far; ids of facts may hold anything

export class Profile {
  /** `on` has edit(fact, statement), which tells whether that was done, and forget(fact). */
  constructor(on) {
    this.on = on;
    this.tip = new Tip();
    this.place = byId("facts");
    this.open = new Set();
    this.edits = new Map(); // forms that are open, by the fact's id; they outlive a redraw
    this.facts = [];
    this.records = [];
    this.fresh = new Map();
    this.past = false;
  }

  /** Shows what is known; `fresh` tells which facts just changed, and how; `past` an earlier time. */
  draw({ facts, records, fresh = new Map(), past = false }) {
    const active = document.activeElement;
    const focused = active?.closest?.(".fact")?.dataset.fact;
    Object.assign(this, { facts, records, fresh, past });
    this.tip.hide();
    const held = new Set(facts.map((fact) => fact.id));
    for (const id of this.edits.keys()) if (!past && !held.has(id)) this.edits.delete(id);
    const groups = this.#groups();
    const nodes = groups.map(([category, held]) => this.#category(category, held));
    const gone = past ? [] : this.#gone();
    if (!facts.length) nodes.push(this.#nothing(gone.length > 0));
    if (gone.length) nodes.push(this.#former(gone));
    this.place.replaceChildren(...nodes);
    byId("tally").textContent = facts.length
      ? `${count(facts.length, "fact")}, ${count(groups.length, "category", "categories")}` : "";
    const badge = byId("view-count");
    badge.textContent = String(facts.length);
    badge.hidden = !facts.length;
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
      el("ul", {}, ...held.map((fact) => this.#fact(fact))));
  }

  #former(records) {
    const list = el("ul", {}, ...records.map((record) => this.#fact(record, record.event)));
    return el("details", { class: "former" },
      el("summary", {}, `No longer true (${records.length})`), list);
  }

  #nothing(before) {
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

  #fact(fact, ended = null) {
    const more = el("div", { class: "more", id: `more-${++made}` });
    const button = el("button", {
      type: "button", class: "statement", "aria-controls": more.id,
    }, fact.statement);
    const node = el("li", {
      class: `fact ${fact.polarity}${ended ? " gone" : ""}${this.fresh.has(fact.id) ? " fresh" : ""}`,
      "data-fact": fact.id,
    }, button, ended ? this.#ending(fact, ended) : meta(fact, this.fresh.get(fact.id)), more);
    const set = (open) => {
      button.setAttribute("aria-expanded", String(open));
      more.hidden = !open;
      more.replaceChildren(...(open ? this.#more(fact, ended) : []));
      if (open) this.open.add(fact.id); else this.open.delete(fact.id);
    };
    button.addEventListener("click", () => {
      this.tip.hide();
      set(button.getAttribute("aria-expanded") !== "true");
    });
    set(this.open.has(fact.id));
    this.tip.on(node, button, () => (more.hidden ? quoted(fact) : null));
    return node;
  }

  #ending(fact, event) {
    return el("p", { class: "meta" },
      el("span", { class: "slot" }, slotName(fact.category, fact.subcategory)),
      el("span", {}, `${EVENTS[event] ?? event}${fact.valid_to ? ` ${day(fact.valid_to)}` : ""}`));
  }

  #more(fact, ended) {
    const { quote, session, turn } = fact.source;
    const parts = [el("dl", { class: "facts-of" },
      el("dt", {}, "From"),
      el("dd", {}, quote ? el("q", {}, quote) : "no words",
        el("span", { class: "where" }, ` conversation ${session + 1}, message ${turn + 1}`)),
      el("dt", {}, "Since"), el("dd", {}, day(fact.valid_from)))];
    const steps = this.#steps(fact);
    if (steps.length) {
      parts.push(el("h4", {}, "History"), el("ol", { class: "steps" }, ...steps));
    }
    if (!ended && !this.past) {
      parts.push(this.edits.get(fact.id) ?? this.#deeds(fact));
    }
    return parts;
  }

  /** What may be done with a fact: buttons. */
  #deeds(fact) {
    const edit = el("button", {
      type: "button", class: "edit", "aria-label": `Edit: ${fact.statement}`,
      click: () => {
        const form = this.#form(fact);
        this.edits.set(fact.id, form);
        deeds.replaceWith(form);
        form.elements.statement.select();
      },
    }, "Edit");
    const deeds = el("p", { class: "deeds" }, edit, el("button", {
      type: "button", class: "forget", click: () => this.on.forget(fact),
      "aria-label": `Forget: ${fact.statement}`,
    }, "Forget this"));
    return deeds;
  }

  /** A field for a fact's statement: Enter saves, Escape leaves it as it was. */
  #form(fact) {
    const leave = () => {
      this.edits.delete(fact.id);
      const deeds = this.#deeds(fact);
      form.replaceWith(deeds);
      deeds.querySelector(".edit").focus();
    };
    const field = el("input", {
      type: "text", name: "statement", value: fact.statement, autocomplete: "off",
      "aria-label": `What is true instead of: ${fact.statement}`,
    });
    const save = async (event) => {
      event.preventDefault();
      if (field.readOnly) return;
      field.readOnly = true;
      try {
        if (await this.on.edit(fact, field.value)) this.edits.delete(fact.id);
        else field.focus();
      } finally {
        field.readOnly = false;
      }
    };
    const form = el("form", {
      class: "rewrite", submit: save,
      keydown: (event) => {
        if (event.key === "Escape" && !event.isComposing) leave();
      },
    }, field, el("p", { class: "deeds" },
      el("button", { type: "submit", class: "primary" }, "Save"),
      el("button", { type: "button", click: leave }, "Cancel")));
    return form;
  }

  /** What happened to a fact, and to those it replaced, oldest first. */
  #steps(fact) {
    const chain = new Set([fact.id]);
    for (let size = 0; size < chain.size;) {
      size = chain.size;
      for (const other of this.records) {
        if (chain.has(other.superseded_by)) chain.add(other.id);
      }
    }
    return this.records.filter((record) => chain.has(record.id)).map((record) =>
      el("li", {},
        el("time", { datetime: record.known_from }, minute(record.known_from)),
        el("span", { class: "event" }, EVENTS[record.event] ?? record.event),
        record.id === fact.id ? null
          : el("span", { class: "other" }, record.statement)));
  }
}

const quoted = (fact) =>
  fact.source.quote
    ? [el("q", {}, fact.source.quote),
      el("span", { class: "where" }, `You, ${minute(fact.recorded_at)}`)]
    : [el("span", {}, "No words are kept with this fact.")];

function meta(fact, fresh) {
  const share = Math.min(Math.max(fact.confidence_now, 0), 1);
  const bar = el("span", { class: "fill" });
  bar.style.inlineSize = `${share * 100}%`;
  const how = fact.authority === "stated" ? "you said so" : "inferred";
  return el("p", { class: "meta" },
    el("span", { class: "slot" }, slotName(fact.category, fact.subcategory)),
    el("span", { class: "how" }, how),
    fact.polarity === "negative" ? el("span", { class: "against" }, "rejects it") : null,
    el("span", {
      class: "meter", role: "meter", "aria-label": "Confidence", "aria-valuemin": "0",
      "aria-valuemax": "100", "aria-valuenow": String(Math.round(share * 100)),
      "aria-valuetext": `${percent(share)}, ${how}`,
    }, bar),
    el("span", { class: "share", "aria-hidden": "true" }, percent(share)),
    fresh ? el("span", { class: "new" }, fresh === "added" ? "new" : "updated") : null);
}
