// Starts the page and joins its parts: who talks, the conversation, the profile.

import { Api, Problem } from "/page/api.js";
import { Chat } from "/page/chat.js";
import { Conversations } from "/page/conversations.js";
import { EraseDialog, UserDialog } from "/page/dialogs.js";
import { announce, byId, el, kept, show } from "/page/dom.js";
import { Problems } from "/page/problems.js";
import { Profile } from "/page/profile.js";
import { Time } from "/page/time.js";
import { Tools } from "/page/tools.js";
import { Visit } from "/page/visit.js";
import { learnNames, told } from "/page/words.js";

const at = {
  user: "", session: null, model: "", memory: true, key: kept.get("sessionStorage", "key") ?? "",
};

const api = new Api(() => at.key);
const problems = new Problems();
const profile = new Profile({ edit, forget });
const time = new Time(() => refresh());
const users = new UserDialog(become);
const erasing = new EraseDialog(erase);
const visit = new Visit();
const tools = new Tools({ add, undo, search: () => refresh() });
const talks = new Conversations(api, at, (session) => restore(at.user, session));
const chat = new Chat(api, at, {
  learnt: (updates, stopped) => {
    if (!stopped) problems.clear();
    if (!at.memory) return;
    refresh(new Map(updates.map(({ fact, kind }) => [fact.id, kind])));
    trying(() => listed(stopped));
  },
  began: () => problems.clear(),
  opened: (session) => talks.open(session),
  told: trouble,
  undo,
  reload: () => (at.session === null ? anew() : restore(at.user, at.session)),
  find: async (id) => {
    if (time.at !== null || tools.search) {
      time.reset();
      tools.clearSearch();
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
  if (fresh.size) {
    time.reset();
    tools.clearSearch();
  }
  const { search } = tools;
  const read = await trying(async () => {
    const [history, held] = await Promise.all([
      api.history(user).catch(nobody), api.facts(user, time.at, search).catch(nobody)]);
    return { records: history.records, facts: held.facts };
  }, begin);
  if (!read || at.user !== user || search !== tools.search) return;
  time.take(read.records);
  visit.saw(user, read.records);
  profile.draw({ ...read, fresh, search, past: time.at !== null, since: visit.since });
  tools.show(read.records.length > 0);
  byId("erase").disabled = byId("export").disabled = !read.records.length && !at.session;
}

/** A user of whom nothing is known yet has an empty profile. */
function nobody(problem) {
  if (problem.status === 404) return { facts: [], records: [], conversations: [], turns: [] };
  throw problem;
}

function become(user, key = at.key) {
  chat.clear();
  problems.clear();
  at.key = key;
  kept.set("sessionStorage", "key", key);
  at.user = user;
  talks.become(user);
  visit.begin(user);
  remember(true);
  kept.set("sessionStorage", "user", user);
  byId("who-name").textContent = user;
  byId("who-initial").textContent = [...user][0].toUpperCase();
  tools.reset();
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
  trying(async () => {
    const [latest] = await listed();
    const idle = at.session === null && chat.empty && at.memory && !talks.wantsNew;
    if (latest && idle) restore(at.user, latest.session);
  });
}

/** The conversations; a reply that was stopped may have begun one. */
async function listed(stopped = false) {
  const found = await talks.read(at.user, nobody);
  if (stopped && at.session === null && found.length) talks.open(found[0].session);
  return found;
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
  remember(true);
  talks.open(number);
  chat.restore(turns.map((turn) => {
    const updates = updatesOf(records, number, turn.turn);
    const undoable = updates.every(({ fact }) => fact.known_to === null);
    return { ...turn, session: number, updates, undoable };
  }));
}

const updatesOf = (records, session, turn) => records
  .filter(({ by }) => by.session === session && by.turn === turn)
  .map((record) => ({ kind: record.event, fact: record }));

function anew() {
  chat.clear();
  talks.open(null);
}

/** Whether what is said from now on is remembered; without, the server knows of nobody. */
function remember(memory) {
  at.memory = memory;
  byId("memory").checked = memory;
  document.body.classList.toggle("forgetful", !memory);
  byId("kept").textContent = memory ? "Kept with your profile until you erase it."
    : "Nothing of this is learnt or kept.";
}

async function name() {
  const { data } = await api.models();
  at.model = data[0].id;
  byId("model").textContent = data[0].name ?? at.model;
}

/** Does what changes the profile, and shows it; null where it was not done. `said` names what was
 * done, `fact` what it was done to. */
async function changed(act, said, fact = null) {
  const user = at.user;
  problems.clear();
  const made = await trying(() => act(user, at.memory ? at.session : null));
  if (!made || at.user !== user) return null;
  const now = made.updates.find((update) => update.fact.valid_to === null)?.fact;
  profile.open.delete(fact?.id);
  const of = now ? [now] : made.updates.map((update) => update.fact);
  const text = `${said}: ${of.map(told).join(" ")}`;
  announce(text);
  tools.done(text, { session: made.session, turn: made.turn });
  await refresh(new Map(made.updates.map((update) => [update.fact.id, update.kind])));
  return { now };
}

/** Whether a fact now says what its user wrote; the page goes on at the new one. */
async function edit(fact, statement) {
  const made = await changed(
    (user, here) => api.edit(user, fact.id, statement, here), "Edited", fact);
  if (!made) return false;
  if (made.now) profile.find(made.now.id);
  return true;
}

async function add(statement) {
  const made = await changed((user, here) => api.add(user, statement, here), "Added");
  if (made?.now) profile.find(made.now.id);
  return made !== null;
}

async function undo(place) {
  return await changed((user, here) => api.undo(user, place, here), "Undone") !== null;
}

async function forget(fact) {
  if (!await changed((user, here) => api.forget(user, fact.id, here), "Forgotten", fact)) return;
  byId("facts").focus();
}

async function erase() {
  const user = at.user;
  const receipt = await trying(() => api.erase(user));
  if (!receipt) return null;
  anew();
  users.forget(user);
  talks.forget(user);
  visit.forget(user);
  tools.reset();
  announce("Everything was erased.");
  await Promise.all([refresh(), trying(() => listed())]);
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
  await Promise.all([refresh(), trying(() => listed())]);
}

function listen() {
  byId("who").addEventListener("click", () => users.open(at.user, at.key));
  byId("fresh").addEventListener("click", () => {
    anew();
    byId("say").focus();
  });
  byId("memory").addEventListener("change", (event) => {
    anew();
    remember(event.target.checked);
    byId("say").focus();
  });
  byId("view-chat").addEventListener("click", () => show("chat"));
  byId("view-profile").addEventListener("click", () => show("profile"));
  byId("export").addEventListener("click", download);
  byId("erase").addEventListener("click", () => erasing.open(at.user, profile.total));
  const file = byId("import-file");
  byId("import").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length) upload(file.files[0]);
    file.value = "";
  });
}

async function start() {
  listen();
  const read = await trying(() => Promise.all([api.taxonomy(), api.server()]));
  if (read) learnNames(read[0].categories);
  users.askForKey(read?.[1].keys ?? true);
  const asked = new URLSearchParams(location.search).get("user");
  const user = asked ?? kept.get("sessionStorage", "user");
  if (user) become(user);
  else {
    profile.draw({ facts: [], records: [] });
    users.open("", at.key);
  }
}

start();
