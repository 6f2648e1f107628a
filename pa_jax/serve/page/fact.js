// One fact on the page: what it says, where it comes from, its history, and how it is put right.

import { el } from "/page/dom.js";
import { day, minute, percent, slotName, told } from "/page/words.js";

export const EVENTS = {
  added: "Learnt", reinforced: "Heard again", superseded: "Replaced", weakened: "Less sure",
  retracted: "Taken back", ended: "Ended", "crowded out": "Made room for newer facts",
  undone: "Undone", restored: "Back again",
};

let made = 0; // facts drawn so far; ids of facts may hold anything

export class FactView {
  /** `profile` has records, fresh, past, open, edits, tip, and on: edit(fact, text), forget(fact). */
  constructor(profile, fact, ended = null) {
    this.profile = profile;
    this.node = this.#fact(fact, ended);
  }

  #fact(fact, ended) {
    const more = el("div", { class: "more", id: `more-${++made}` });
    const button = el("button", {
      type: "button", class: "statement", "aria-controls": more.id,
    }, told(fact));
    const node = el("li", {
      class: `fact ${fact.polarity}${ended ? " gone" : ""}${this.profile.fresh.has(fact.id) ? " fresh" : ""}`,
      "data-fact": fact.id,
    }, button, ended ? this.#ending(fact, ended) : meta(fact, this.profile.fresh.get(fact.id)), more);
    const set = (open) => {
      button.setAttribute("aria-expanded", String(open));
      more.hidden = !open;
      more.replaceChildren(...(open ? this.#more(fact, ended) : []));
      if (open) this.profile.open.add(fact.id); else this.profile.open.delete(fact.id);
    };
    button.addEventListener("click", () => {
      this.profile.tip.hide();
      set(button.getAttribute("aria-expanded") !== "true");
    });
    set(this.profile.open.has(fact.id));
    this.profile.tip.on(node, button, () => (more.hidden ? quoted(fact) : null));
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
      el("dd", {}, quote ? el("q", {}, heard(fact)) : "no words",
        el("span", { class: "where" }, ` conversation ${session + 1}, message ${turn + 1}`)),
      el("dt", {}, "Since"), el("dd", {}, day(fact.valid_from)))];
    const steps = this.#steps(fact);
    if (steps.length) {
      parts.push(el("h4", {}, "History"), el("ol", { class: "steps" }, ...steps));
    }
    if (!ended && !this.profile.past) {
      parts.push(this.profile.edits.get(fact.id) ?? this.#deeds(fact));
    }
    return parts;
  }

  /** What may be done with a fact: buttons. */
  #deeds(fact) {
    const edit = el("button", {
      type: "button", class: "edit", "aria-label": `Edit: ${told(fact)}`,
      click: () => {
        const form = this.#form(fact);
        this.profile.edits.set(fact.id, form);
        deeds.replaceWith(form);
        form.elements.statement.select();
      },
    }, "Edit");
    const deeds = el("p", { class: "deeds" }, edit, el("button", {
      type: "button", class: "forget", click: () => this.profile.on.forget(fact),
      "aria-label": `Forget: ${told(fact)}`,
    }, "Forget this"));
    return deeds;
  }

  /** A field for a fact's statement: Enter saves, Escape leaves it as it was. */
  #form(fact) {
    const leave = () => {
      this.profile.edits.delete(fact.id);
      const deeds = this.#deeds(fact);
      form.replaceWith(deeds);
      deeds.querySelector(".edit").focus();
    };
    const field = el("input", {
      type: "text", name: "statement", value: told(fact), autocomplete: "off",
      "aria-label": `What is true instead of: ${told(fact)}`,
    });
    const save = async (event) => {
      event.preventDefault();
      if (field.readOnly) return;
      field.readOnly = true;
      try {
        if (await this.profile.on.edit(fact, field.value)) this.profile.edits.delete(fact.id);
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
      for (const other of this.profile.records) {
        if (chain.has(other.superseded_by)) chain.add(other.id);
      }
    }
    return this.profile.records.filter((record) => chain.has(record.id)).map((record) =>
      el("li", {},
        el("time", { datetime: record.known_from }, minute(record.known_from)),
        el("span", { class: "event" }, EVENTS[record.event] ?? record.event),
        record.id === fact.id ? null
          : el("span", { class: "other" }, told(record))));
  }
}

/** The words it came from; what its user wrote as a fact is said to its user as the fact is. */
const heard = (fact) =>
  fact.source.quote === fact.statement ? told(fact) : fact.source.quote;

const quoted = (fact) =>
  fact.source.quote
    ? [el("q", {}, heard(fact)),
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
    fact.polarity === "negative" ? el("span", { class: "against" }, "not for you") : null,
    el("span", {
      class: "meter", role: "meter", "aria-label": "Confidence", "aria-valuemin": "0",
      "aria-valuemax": "100", "aria-valuenow": String(Math.round(share * 100)),
      "aria-valuetext": `${percent(share)}, ${how}`,
    }, bar),
    el("span", { class: "share", "aria-hidden": "true" }, percent(share)),
    fresh ? el("span", { class: "new" }, fresh === "added" ? "new" : "updated") : null);
}
