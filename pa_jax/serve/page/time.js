// The profile as it was: a slider whose steps are the moments when something changed.

import { byId } from "/page/dom.js";
import { minute } from "/page/words.js";

export class Time {
  /** `moved(asOf)` is called with an ISO time, or null for now. */
  constructor(moved) {
    this.moved = moved;
    this.moments = [];
    this.slider = byId("when");
    this.waiting = 0;
    this.slider.addEventListener("input", () => {
      this.#tell();
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.moved(this.at), 120);
    });
    byId("now").addEventListener("click", () => {
      this.slider.focus();
      this.reset();
      this.moved(null);
    });
  }

  /** The time shown, null for now. */
  get at() {
    return this.moments[Number(this.slider.value)] ?? null;
  }

  /** Takes the history; the place of the slider is kept while it is in the past. */
  take(records) {
    const at = this.at;
    const moments = new Set();
    for (const { known_from: from, known_to: to } of records) {
      moments.add(from);
      if (to) moments.add(to);
    }
    this.moments = [...moments].sort((a, b) => new Date(a) - new Date(b) || (a < b ? -1 : 1));
    this.slider.max = String(this.moments.length);
    const place = at === null ? -1 : this.moments.indexOf(at);
    this.slider.value = String(place < 0 ? this.moments.length : place);
    byId("time").hidden = this.moments.length < 2;
    this.#tell();
  }

  reset() {
    clearTimeout(this.waiting);
    this.slider.value = this.slider.max;
    this.#tell();
  }

  #tell() {
    const text = this.at === null ? "now" : minute(this.at);
    byId("when-text").textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    byId("now").hidden = this.at === null;
    byId("profile").classList.toggle("past", this.at !== null);
  }
}
