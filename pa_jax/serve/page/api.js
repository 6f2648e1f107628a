// The server's routes. Whatever fails is a Problem with words to show.

import { events } from "/page/events.js";

export class Problem extends Error {
  /** `status` is 0 where no answer came; `wait` are seconds to wait, null where none are named. */
  constructor(message, status, wait = null) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

export class Api {
  /** `key()` is the key to send, or "". */
  constructor(key) { this.key = key; }

  models() { return this.#json("GET", "/v1/models"); }

  taxonomy() { return this.#json("GET", "/page/taxonomy.json"); }

  /** What the server is like; no key is needed. */
  server() { return this.#json("GET", "/page/server.json"); }

  facts(user, asOf, search) {
    const query = new URLSearchParams();
    if (asOf) query.set("as_of", asOf);
    if (search) query.set("search", search);
    return this.#json("GET", query.size ? `${profile(user)}?${query}` : profile(user));
  }

  history(user) { return this.#json("GET", `${profile(user)}/history`); }

  sessions(user) { return this.#json("GET", `${profile(user)}/sessions`); }

  session(user, number) { return this.#json("GET", `${profile(user)}/sessions/${number}`); }

  async export(user) { return (await this.#answer("GET", `${profile(user)}/export`)).blob(); }

  import(user, text) { return this.#json("POST", `${profile(user)}/import`, text); }

  erase(user) { return this.#json("DELETE", profile(user)); }

  /** Adds a fact, as a turn of a session, of a new one where it is null. */
  add(user, statement, session) {
    const body = JSON.stringify({ statement });
    return this.#json("POST", inSession(`${profile(user)}/facts`, session), body);
  }

  /** Takes back what a turn, {session, turn}, changed. */
  undo(user, place, session) {
    return this.#json("POST", inSession(`${profile(user)}/undo`, session), JSON.stringify(place));
  }

  /** Puts a statement in a fact's place, as a turn of a session, a new one where it is null. */
  edit(user, fact, statement, session) {
    return this.#json("PATCH", factOf(user, fact, session), JSON.stringify({ statement }));
  }

  /** Takes a fact back, as a turn of a session, of a new one where `session` is null. */
  forget(user, fact, session) { return this.#json("DELETE", factOf(user, fact, session)); }

  /** Chunks of a reply as they come. */
  async *chat(request, signal) {
    const body = JSON.stringify({ ...request, stream: true });
    const response = await this.#answer("POST", "/v1/chat/completions", body, signal);
    let done = false;
    for await (const data of lasting(events(response.body), signal)) {
      if (data === "[DONE]") { done = true; break; }
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Problem(worded(chunk), chunk.error.status ?? 500);
      yield chunk;
    }
    if (!done) throw new Problem("The connection ended in the middle of the answer.", 0);
  }

  async #json(method, path, body) {
    const response = await this.#answer(method, path, body);
    return response.status === 204 ? null : response.json();
  }

  async #answer(method, path, body, signal) {
    const headers = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const key = this.key();
    if (key) headers.Authorization = `Bearer ${key}`;
    let response;
    try {
      response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("The server does not answer. Is it still running?", 0);
    }
    if (response.ok) return response;
    const wait = Number.parseFloat(response.headers.get("Retry-After"));
    const message = worded(await response.json().catch(() => null));
    throw new Problem(
      message || `The server answered ${response.status} ${response.statusText}.`,
      response.status,
      Number.isFinite(wait) ? wait : null,
    );
  }
}

const profile = (user) => `/v1/profiles/${encodeURIComponent(user)}`;

const inSession = (path, session) => (session === null ? path : `${path}?session=${session}`);

const factOf = (user, fact, session) =>
  inSession(`${profile(user)}/facts/${encodeURIComponent(fact)}`, session);

async function* lasting(source, signal) {
  try {
    yield* source;
  } catch (error) {
    if (signal?.aborted || error.name === "AbortError") throw error;
    throw new Problem("The connection was lost in the middle of the answer.", 0);
  }
}

/** The message in an error's body, whichever of the usual shapes it has. */
function worded(body) {
  const error = body?.error ?? body?.detail ?? body?.message;
  if (Array.isArray(error)) return error.map((item) => item.msg ?? String(item)).join("; ");
  return typeof error === "string" ? error : error?.message ?? "";
}
