// One tooltip for the page: shown on hover and on focus, stays while the pointer is on it, Esc
// hides it.

import { el } from "/page/dom.js";

const LINGER_MS = 150;
const GAP = 8;

export class Tip {
  constructor() {
    this.node = el("div", { id: "tip", class: "tip", role: "tooltip", popover: "manual" });
    document.body.append(this.node);
    this.target = null;
    this.leaving = 0;
    this.node.addEventListener("pointerenter", () => clearTimeout(this.leaving));
    this.node.addEventListener("pointerleave", () => this.#leave());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.hide();
    });
    document.addEventListener("scroll", () => this.#put(), { capture: true, passive: true });
  }

  /** Shows `content()` over `area` while the pointer is there or `button` has the focus. */
  on(area, button, content) {
    const enter = () => this.#show(button, content());
    area.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") enter();
    });
    area.addEventListener("pointerleave", () => {
      if (document.activeElement !== button) this.#leave();
    });
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) enter();
    });
    button.addEventListener("blur", () => this.hide());
  }

  hide() {
    clearTimeout(this.leaving);
    this.target?.removeAttribute("aria-describedby");
    this.target = null;
    if (this.node.matches(":popover-open")) this.node.hidePopover();
  }

  #leave() {
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.hide(), LINGER_MS);
  }

  #show(button, content) {
    this.hide();
    if (!content) return;
    this.target = button;
    this.node.replaceChildren(...content);
    button.setAttribute("aria-describedby", "tip");
    this.node.showPopover();
    this.#put();
  }

  #put() {
    if (!this.target) return;
    const at = this.target.closest(".fact").getBoundingClientRect();
    const size = this.node.getBoundingClientRect();
    const aside = at.left - size.width - GAP;
    const below = at.bottom + GAP;
    const above = Math.max(at.top - size.height - GAP, GAP);
    if (aside > GAP) this.#move(aside, Math.min(at.top, window.innerHeight - size.height - GAP));
    else this.#move(GAP * 2, below + size.height < window.innerHeight ? below : above);
  }

  #move(left, top) {
    this.node.style.left = `${left}px`;
    this.node.style.top = `${top}px`;
  }
}
