// Who is talking, and erasing all that is known of them.

import { byId, el, kept } from "/page/dom.js";
import { count, sentence } from "/page/words.js";

const RECENT = 8;

export class UserDialog {
  /** `chosen(user, key)` is called with what was entered. */
  constructor(chosen) {
    this.dialog = byId("user-dialog");
    byId("user-cancel").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      if (this.dialog.returnValue === "chosen") byId("say").focus();
    });
    byId("user-form").addEventListener("submit", () => {
      const user = byId("user-name").value.trim();
      if (!user) return;
      this.#remember(user);
      chosen(user, byId("user-key").value.trim());
    });
  }

  /** Whether the server has keys at all; without, none is asked for. */
  askForKey(wanted) { byId("user-key-row").hidden = !wanted; }

  /** Asks; `wrong` says what the last answer lacked. */
  open(user, key, wrong = "") {
    byId("user-problem").textContent = sentence(wrong);
    byId("user-problem").hidden = !wrong;
    if (this.dialog.open) return;
    byId("user-name").value = user;
    byId("user-key").value = key;
    byId("user-cancel").hidden = !user;
    this.dialog.returnValue = "";
    byId("user-recent").replaceChildren(...recent().map((name) => el("option", { value: name })));
    this.dialog.showModal();
    (wrong ? byId("user-key") : byId("user-name")).select();
  }

  forget(user) {
    kept.set("localStorage", "users", JSON.stringify(recent().filter((name) => name !== user)));
  }

  #remember(user) {
    const names = [user, ...recent().filter((name) => name !== user)].slice(0, RECENT);
    kept.set("localStorage", "users", JSON.stringify(names));
  }
}

function recent() {
  try {
    const names = JSON.parse(kept.get("localStorage", "users") ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

const COUNTED = [
  ["facts", "fact"], ["versions", "version of facts", "versions of facts"],
  ["journal", "turn of conversation", "turns of conversation"], ["labels", "label"],
];

export class EraseDialog {
  /** `erase()` erases and gives the receipt; it throws what it cannot do. */
  constructor(erase) {
    this.dialog = byId("erase-dialog");
    this.dialog.addEventListener("close", () => {
      if (byId("erase").disabled) byId("facts").focus();
    });
    byId("erase-cancel").addEventListener("click", () => this.dialog.close());
    byId("erase-confirm").addEventListener("click", async () => {
      byId("erase-confirm").disabled = true;
      try {
        const receipt = await erase();
        if (receipt) this.#show(receipt);
        else this.dialog.close();
      } finally {
        byId("erase-confirm").disabled = false;
      }
    });
  }

  open(user, facts) {
    byId("erase-title").textContent = "Erase everything?";
    byId("erase-text").textContent = `This deletes ${count(facts, "fact")} about ${user}, their `
      + "history, and all that was said. It cannot be undone; an export keeps a copy.";
    byId("erase-receipt").hidden = true;
    byId("erase-note").textContent = "";
    byId("erase-confirm").hidden = false;
    byId("erase-cancel").textContent = "Keep it";
    this.dialog.showModal();
    byId("erase-cancel").focus();
  }

  #show(receipt) {
    byId("erase-title").textContent = "Erased";
    byId("erase-text").textContent = "It is gone.";
    const rows = COUNTED.filter(([name]) => receipt[name] !== undefined)
      .map(([name, one, many]) => count(receipt[name], one, many));
    const parts = [el("dt", {}, "Deleted"), ...rows.map((row) => el("dd", {}, row))];
    byId("erase-receipt").replaceChildren(...parts);
    byId("erase-receipt").hidden = false;
    byId("erase-note").textContent = sentence(receipt.note ?? "");
    byId("erase-confirm").hidden = true;
    byId("erase-cancel").textContent = "Done";
    byId("erase-cancel").focus();
  }
}
