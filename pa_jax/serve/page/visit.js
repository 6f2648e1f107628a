// When the user was last here: a time that this browser keeps, and lets go when all is erased.

import { kept } from "/page/dom.js";

const NONE = "never";

export class Visit {
  constructor() { this.since = null; }

  /** A visit lasts as long as its tab: what changed before it is new, what changes in it is not. */
  begin(user) {
    const here = kept.get("sessionStorage", `since.${user}`);
    const since = here ?? kept.get("localStorage", `seen.${user}`) ?? NONE;
    kept.set("sessionStorage", `since.${user}`, since);
    this.since = since === NONE ? null : since;
  }

  /** The user sees these records now. */
  saw(user, records) {
    const last = records.at(-1)?.known_from;
    if (last) kept.set("localStorage", `seen.${user}`, last);
  }

  forget(user) {
    this.since = null;
    kept.set("sessionStorage", `since.${user}`, NONE);
    kept.set("localStorage", `seen.${user}`, null);
  }
}
