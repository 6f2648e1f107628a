// Starts the page and joins its parts: who talks, the conversation, the profile.

import { Api, Problem } from "/page/api.js";
import { Chat } from "/page/chat.js";
import { EraseDialog, UserDialog } from "/page/dialogs.js";
import { announce, byId, el, kept, show } from "/page/dom.js";
import { Problems } from "/page/problems.js";
import { Profile } from "/page/profile.js";
import { Time } from "/page/time.js";
import { learnNames } from "/page/words.js";

const at = { user: "", session: null, model: "", key: kept.get("sessionStorage", "key") ?? "" };

const api = new Api(() => at.key);
const problems = new Problems();
const profile = new Profile({ edit, forget });
const time = new Time(() => refresh());
const users = new UserDialog(become);
const erasing = new EraseDialog(erase);
const chat = new Chat(api, at, {
  learnt: (updates, stopped) => {
    refresh(new Map(updates.map(({ fact, kind }) => [fact.id, kind])));
    trying(() => conversations(at.user, stopped));
  },
  began: () => problems.clear(),
  opened,
  told: trouble,
  find: async (id) => {
    if (time.at !== null) {
      time.reset();
      await refresh();
    }
    profile.find(id);
  },
});

/** Shows what went wrong; a key that is wanted is asked for. */
function trouble(problem, again) {
  if (!(problem instanceof Problem)) throw problem;
  if (problem.status === 401) users.open(at.user, at.key, problem.message);
  else problems.show(problem, again);
}

/** What `act` gives, or undefined after its problem was shown; `again` is offered then. */
async function trying(act, again = null) {
  try {
    return await act();
  } catch (problem) {
    trouble(problem, problem.status === 0 || problem.wait !== null ? again : null);
    return undefined;
  }
}

/** Reads the profile anew. */
async function refresh(fresh = new Map()) {
  const user = at.user;
  if (!user) return;
  if (fresh.size) time.reset();
  const read = await trying(async () => {
    const [history, held] = await Promise.all([
      api.history(user).catch(nobody), api.facts(user, time.at).catch(nobody)]);
    return { records: history.records, facts: held.facts };
  }, begin);
  if (!read || at.user !== user) return;
  time.take(read.records);
  profile.draw({ ...read, fresh, past: time.at !== null });
  byId("erase").disabled = byId("export").disabled = !read.records.length && !at.session;
}

/** A user of whom nothing is known yet has an empty profile. */
function nobody(problem) {
  if (problem.status === 404) return { facts: [], records: [], sessions: [], turns: [] };
  throw problem;
}

function become(user, key = at.key) {
  chat.clear();
  problems.clear();
  at.key = key;
  kept.set("sessionStorage", "key", key);
  at.user = user;
  at.session = Number.parseInt(kept.get("sessionStorage", `session.${user}`), 10);
  if (!Number.isInteger(at.session)) at.session = null;
  kept.set("sessionStorage", "user", user);
  byId("who-name").textContent = user;
  byId("who-initial").textContent = [...user][0].toUpperCase();
  byId("earlier").replaceChildren();
  byId("earlier").hidden = true;
  profile.open.clear();
  profile.edits.clear();
  time.take([]);
  profile.draw({ facts: [], records: [] });
  announce(`Talking as ${user}.`);
  begin();
  if (at.session !== null) restore(user, at.session);
  byId("say").focus();
}

/** Reads all that the page shows beside the messages. */
function begin() {
  if (!at.model) trying(name);
  refresh();
  trying(() => conversations(at.user));
}

/** Shows a conversation of before, with what came of each turn. */
async function restore(user, number) {
  const read = await trying(() => Promise.all([
    api.session(user, number).catch(nobody), api.history(user).catch(nobody)]));
  if (!read || at.user !== user || chat.busy) return;
  const [{ turns = [] }, { records }] = read;
  if (!turns.length) {
    anew();
    return;
  }
  opened(number);
  chat.restore(turns.map((turn) => ({ ...turn, updates: updatesOf(records, number, turn.turn) })));
}

const updatesOf = (records, session, turn) => records
  .filter(({ by }) => by.session === session && by.turn === turn)
  .map((record) => ({ kind: record.event, fact: record }));

function anew() {
  chat.clear();
  opened(null);
}

/** Goes on with this session from now on, or with a new one. */
function opened(session) {
  at.session = session;
  kept.set("sessionStorage", `session.${at.user}`, session === null ? null : String(session));
  const list = byId("earlier");
  if (session !== null && ![...list.options].some((item) => item.value === String(session))) {
    list.prepend(choice(session));
  }
  list.value = session === null ? "" : String(session);
}

/** The conversations to choose from; a reply that was stopped may have begun one. */
async function conversations(user, stopped = false) {
  const { sessions } = await api.sessions(user).catch(nobody);
  if (at.user !== user) return;
  byId("earlier").replaceChildren(...sessions.map(choice));
  byId("earlier").prepend(el("option", { value: "", disabled: true, hidden: true }, "Earlier"));
  byId("earlier").hidden = !sessions.length;
  opened(stopped && at.session === null ? sessions[0] ?? null : at.session);
}

const choice = (session) => el("option", { value: String(session) }, `Conversation ${session + 1}`);

async function name() {
  const { data } = await api.models();
  at.model = data[0].id;
  byId("model").textContent = at.model;
  byId("model").title = data[0].source ?? "";
}

/** Whether a fact now says what its user wrote; the page goes on at the new one. */
async function edit(fact, statement) {
  const user = at.user;
  problems.clear();
  const made = await trying(() => api.edit(user, fact.id, statement, at.session));
  if (!made || at.user !== user) return false;
  profile.open.delete(fact.id);
  const now = made.updates.find((update) => update.fact.valid_to === null)?.fact;
  announce(`Edited: ${now?.statement ?? statement}`);
  await refresh(new Map(made.updates.map((update) => [update.fact.id, update.kind])));
  if (now) profile.find(now.id);
  return true;
}

async function forget(fact) {
  if (!await trying(() => api.forget(at.user, fact.id, at.session))) return;
  profile.open.delete(fact.id);
  announce(`Forgotten: ${fact.statement}`);
  await refresh();
  byId("facts").focus();
}

async function erase() {
  const user = at.user;
  const receipt = await trying(() => api.erase(user));
  if (!receipt) return null;
  anew();
  users.forget(user);
  announce("Everything was erased.");
  await Promise.all([refresh(), trying(() => conversations(user))]);
  return receipt;
}

async function download() {
  const user = at.user;
  const data = await trying(() => api.export(user));
  if (!data) return;
  const url = URL.createObjectURL(data);
  const file = `profile-${user.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-")}.json`;
  const link = el("a", { href: url, download: file });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  announce(`Exported as ${file}.`);
}

async function upload(file) {
  if (!await trying(async () => api.import(at.user, await file.text()))) return;
  announce("Imported.");
  await Promise.all([refresh(), trying(() => conversations(at.user))]);
}

function listen() {
  byId("who").addEventListener("click", () => users.open(at.user, at.key));
  byId("fresh").addEventListener("click", () => {
    anew();
    byId("say").focus();
  });
  byId("earlier").addEventListener("change", (event) => {
    restore(at.user, Number(event.target.value));
  });
  byId("view-chat").addEventListener("click", () => show("chat"));
  byId("view-profile").addEventListener("click", () => show("profile"));
  byId("export").addEventListener("click", download);
  byId("erase").addEventListener("click", () => erasing.open(at.user, profile.facts.length));
  const file = byId("import-file");
  byId("import").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length) upload(file.files[0]);
    file.value = "";
  });
}

async function start() {
  listen();
  const names = await trying(() => api.taxonomy());
  if (names) learnNames(names.categories);
  const asked = new URLSearchParams(location.search).get("user");
  const user = asked ?? kept.get("sessionStorage", "user");
  if (user) become(user);
  else {
    profile.draw({ facts: [], records: [] });
    users.open("", at.key);
  }
}

start();
