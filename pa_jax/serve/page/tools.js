// What is done with the profile as a whole: searching it, adding to it, undoing the last change.

import { byId } from "/page/dom.js";

const PAUSE_MS = 180; // in typing, until it is searched

export class Tools {
  /** `on` has search(), add(statement), which tells whether that was done, and undo(place). */
  constructor(on) {
    this.on = on;
    this.waiting = 0;
    this.place = null;
    byId("search").addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.on.search(), PAUSE_MS);
    });
    byId("add").addEventListener("click", () => this.#open(byId("add-form").hidden));
    byId("add-cancel").addEventListener("click", () => this.#open(false));
    byId("add-form").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.#open(false);
    });
    byId("add-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
    byId("done-undo").addEventListener("click", () => {
      const { place } = this;
      this.#hide();
      this.on.undo(place);
    });
    byId("done-close").addEventListener("click", () => this.#hide());
  }

  /** The words that facts are to have, "" for all facts. */
  get search() { return byId("search").value.trim(); }

  clearSearch() {
    clearTimeout(this.waiting);
    byId("search").value = "";
  }

  /** Searching makes sense where there is something. */
  show(any) { byId("search").disabled = !any; }

  /** Says what was done, and offers to undo it. */
  done(text, place) {
    this.place = place;
    byId("done-text").textContent = text;
    byId("done").hidden = false;
  }

  /** As for a user who just came. */
  reset() {
    this.clearSearch();
    this.#hide();
    byId("add-form").hidden = true;
    byId("add").setAttribute("aria-expanded", "false");
    byId("add-text").value = "";
  }

  #hide() {
    this.place = null;
    byId("done").hidden = true;
    byId("done-text").textContent = "";
  }

  #open(open) {
    byId("add-form").hidden = !open;
    byId("add").setAttribute("aria-expanded", String(open));
    (open ? byId("add-text") : byId("add")).focus();
  }

  async #add() {
    const field = byId("add-text");
    if (field.readOnly || !field.value.trim()) return;
    field.readOnly = true;
    try {
      if (await this.on.add(field.value)) {
        field.value = "";
        byId("add-form").hidden = true;
        byId("add").setAttribute("aria-expanded", "false");
      } else field.focus();
    } finally {
      field.readOnly = false;
    }
  }
}
