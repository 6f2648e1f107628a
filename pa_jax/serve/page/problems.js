// What went wrong, in a bar at the top; where the server says when to come back, it counts down.

import { byId } from "/page/dom.js";
import { sentence } from "/page/words.js";

export class Problems {
  constructor() {
    this.again = null;
    this.ticking = 0;
    byId("problem-close").addEventListener("click", () => {
      this.clear();
      byId("say").focus();
    });
    byId("problem-retry").addEventListener("click", () => {
      const again = this.again;
      this.clear();
      byId("say").focus();
      again?.();
    });
  }

  clear() {
    clearInterval(this.ticking);
    this.again = null;
    byId("problem").hidden = true;
    byId("problem-text").textContent = "";
  }

  /** Shows a Problem; `again` tries what failed once more, null where that makes no sense. */
  show(problem, again = null) {
    this.clear();
    this.again = again;
    byId("problem-text").textContent = sentence(problem.message);
    byId("problem").hidden = false;
    const retry = byId("problem-retry");
    retry.hidden = again === null;
    this.#count(retry, Math.ceil(problem.wait ?? 0));
  }

  #count(retry, seconds) {
    const until = Date.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      retry.disabled = left > 0;
      retry.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
      if (left <= 0) clearInterval(this.ticking);
    };
    tick();
    if (seconds > 0) this.ticking = setInterval(tick, 250);
  }
}
