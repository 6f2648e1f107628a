// The list of conversations, and which one is open: the tab goes on where it was, a new one where
// the user last was.

import { byId, el, kept } from "/page/dom.js";

const NEW = "new";

export class Conversations {
  /** `at` is {user, session}; `chosen(session)` is called with the one that is picked. */
  constructor(api, at, chosen) {
    this.api = api;
    this.at = at;
    this.list = byId("earlier");
    this.list.addEventListener("change", () => chosen(Number(this.list.value)));
  }

  /** Another user's; null where this tab has none of theirs open. */
  become(user) {
    this.list.replaceChildren();
    this.list.hidden = true;
    const number = Number.parseInt(kept.get("sessionStorage", `session.${user}`), 10);
    this.at.session = Number.isInteger(number) ? number : null;
  }

  /** Whether the user wants a new one here, not the latest. */
  get wantsNew() { return kept.get("sessionStorage", `session.${this.at.user}`) === NEW; }

  /** Goes on with this session from now on, or with a new one where it is null. */
  open(session) {
    this.at.session = session;
    kept.set("sessionStorage", `session.${this.at.user}`, session === null ? NEW : String(session));
    this.#select();
  }

  /** Nothing is known of a user any more, nor of where they were. */
  forget(user) { kept.set("sessionStorage", `session.${user}`, null); }

  /** Reads the list; gives the conversations, the latest first. */
  async read(user, nobody) {
    const { conversations } = await this.api.sessions(user).catch(nobody);
    if (this.at.user !== user) return [];
    this.list.replaceChildren(
      el("option", { value: "", disabled: true, hidden: true }, "New conversation"),
      ...conversations.map(({ session, title }) =>
        el("option", { value: String(session) }, title)));
    this.list.hidden = !conversations.length;
    this.#select();
    return conversations;
  }

  #select() {
    const { session } = this.at;
    this.list.value = session === null ? "" : String(session);
    if (this.list.selectedIndex < 0) this.list.value = ""; // it is not in the list yet
  }
}
