// What the page knows: the answers of the API by what was asked, kept fresh while a page
// needs them.

import { get, Problem } from "./api.js";
import { n } from "./format.js";

/** What all pages share. */
export const state = {
  host: null, // GET host
  skew: 0, // by how much the host's clock is ahead of the browser's, in milliseconds
  conn: "connecting", // connecting, live, late, lost
  heard: 0, // when the host was heard last
  retry: 0, // when it is asked again, after it was lost
  login: false, // the host wants a login
  paused: false,
  missed: 0, // answers that came while paused
  restarts: [], // when another start of the host was seen, in its own time
  data: new Map(), // key → {doc, at, problem}
};

let changed = () => {};

/** Has f called after each change. */
export function onChange(f) {
  changed = f;
}

export const touch = () => changed();

/** The host's time, in milliseconds. */
export const now = () => Date.now() + state.skew;

/** The last answer to a need, or undefined. */
export const doc = (key) => state.data.get(key)?.doc;

/** Why there is none. */
export const problem = (key) => state.data.get(key)?.problem;

const active = new Map(); // key → {need, timer, abort}

/** Keeps these needs fresh and drops all others: {key: {path, query, every, merge}}. */
export function want(needs) {
  for (const [key, a] of active) {
    if (!needs[key]) {
      stop(key, a);
      if (key.startsWith("page:")) state.data.delete(key);
    }
  }
  for (const [key, need] of Object.entries(needs)) {
    const old = active.get(key);
    const id = need.path + "?" + JSON.stringify(need.query ?? {});
    if (old?.id === id) continue;
    if (old) {
      stop(key, old);
      state.data.delete(key);
    }
    const a = { id, need, timer: 0, abort: null, failures: 0 };
    active.set(key, a);
    ask(key, a);
  }
}

function stop(key, a) {
  clearTimeout(a.timer);
  a.abort?.abort();
  active.delete(key);
}

/** Asks for a need again at once, for example after a change. */
export function refresh(...keys) {
  for (const [key, a] of active) {
    if (keys.length && !keys.some((k) => key.startsWith(k))) continue;
    clearTimeout(a.timer);
    if (!a.abort) ask(key, a);
  }
}

async function ask(key, a) {
  a.abort = new AbortController();
  const old = state.data.get(key);
  try {
    const query = a.need.since && old?.doc ? { ...a.need.query, since: a.need.since(old.doc) } : a.need.query;
    const answer = await get(a.need.path, query, a.abort.signal);
    a.failures = 0;
    heard();
    take(key, a.need.merge && old?.doc ? a.need.merge(old.doc, answer) : answer);
  } catch (e) {
    if (e.name === "AbortError") return;
    fail(key, a, e);
  }
  a.abort = null;
  if (active.get(key) !== a) return;
  const wait = a.failures ? backoff(a.failures) : a.need.every;
  if (wait) a.timer = setTimeout(() => ask(key, a), wait);
}

function take(key, answer) {
  if (state.paused && state.data.has(key)) {
    state.missed++;
    touch();
    return;
  }
  state.data.set(key, { doc: answer, at: Date.now() });
  if (key === "host") hello(answer);
  touch();
}

function fail(key, a, e) {
  if (e instanceof Problem) {
    heard();
    if (e.status === 401) state.login = true;
    if (!state.paused) state.data.set(key, { doc: undefined, at: Date.now(), problem: e });
  } else {
    a.failures++;
    state.conn = Date.now() - state.heard > 4000 ? "lost" : "late";
    state.retry = Date.now() + backoff(a.failures);
  }
  if (e instanceof Problem && e.status >= 500) a.failures++;
  touch();
}

/** 1 s, 2 s, 4 s, … 15 s, by up to a quarter longer or shorter, so that not all pages come at once. */
const backoff = (failures) => Math.min(15000, 1000 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);

function heard() {
  state.heard = Date.now();
  if (state.conn !== "live") {
    state.conn = "live";
    setTimeout(() => refresh(), 0);
  }
}

/** Notes the host's clock, and whether it has started anew: then its counts begin again. */
function hello(host) {
  state.skew = new Date(host.now).getTime() - Date.now();
  if (state.host && state.host.epoch !== host.epoch) {
    state.restarts.push(new Date(host.now).getTime() / 1000);
    for (const key of state.data.keys()) if (key !== "host") state.data.delete(key);
    setTimeout(() => refresh(), 0);
  }
  state.host = host;
  state.login = false;
}

/** Freezes what is shown, or goes on. */
export function pause(on) {
  state.paused = on;
  state.missed = 0;
  if (!on) refresh();
  touch();
}

/** The viewer's right to the host as a whole, or to a function that the API has told about. */
export const may = (right, of) => (of?.rights ?? state.host?.viewer.rights ?? []).includes(right);

/** Whether the host takes changes at all. */
export const writes = () => Boolean(state.host?.writes);

/** Whether the host shows a part: recorder, ledger, budgets, ring, tail, drivers. */
export const has = (part) => Boolean(state.host?.parts.includes(part));

/** A need for series: each answer after the first brings only what is new. */
export function seriesNeed(range, query) {
  return {
    path: "series",
    query: { step: range.step, ...query },
    every: range.every,
    since: (old) => new Date((latest(old) - 2 * (n(old.stepNS) / 1e9)) * 1000).toISOString(),
    merge: (old, fresh) => mergeSeries(old, fresh, range.seconds),
  };
}

const latest = (d) => Math.max(new Date(d.since).getTime() / 1000, ...d.series.map((s) => s.points.at(-1)?.[0] ?? 0));

function mergeSeries(old, fresh, seconds) {
  const from = new Date(fresh.now).getTime() / 1000 - seconds;
  const all = new Map(old.series.map((s) => [s.function + "\0" + (s.version ?? ""), s]));
  for (const s of fresh.series) {
    const key = s.function + "\0" + (s.version ?? "");
    const before = all.get(key);
    all.set(key, before ? joined(before, s) : s);
  }
  for (const s of all.values()) {
    const cut = s.points.findIndex((p) => p[0] >= from);
    if (cut > 0) for (const part of ["points", "run", "wait"]) s[part]?.splice(0, cut);
  }
  return { ...fresh, since: old.since, series: [...all.values()] };
}

function joined(before, s) {
  const first = s.points[0]?.[0] ?? Infinity;
  const keep = before.points.findIndex((p) => p[0] >= first);
  const cut = keep < 0 ? before.points.length : keep;
  const out = { ...before, points: before.points.slice(0, cut).concat(s.points) };
  for (const part of ["run", "wait"]) if (s[part]) out[part] = (before[part] ?? []).slice(0, cut).concat(s[part]);
  return out;
}

/** The columns of a series as functions of a point. */
export function columns(answer) {
  const at = Object.fromEntries(answer.columns.map((c, i) => [c, i]));
  const of = (name) => (p) => n(p[at[name]]);
  const outcomes = answer.columns.slice(1, answer.columns.indexOf("cold"));
  return {
    outcomes,
    of,
    start: (p) => p[0],
    calls: (p) => outcomes.reduce((sum, o) => sum + n(p[at[o]]), 0),
    failures: (p) => outcomes.reduce((sum, o) => sum + (o === "ok" || o === "canceled" ? 0 : n(p[at[o]])), 0),
  };
}

/** A function's points on every step of the range, 0 where nothing ended: {x, of(f)}. */
export function grid(answer, points, seconds) {
  const step = n(answer.stepNS) / 1e9;
  const end = Math.floor(new Date(answer.now).getTime() / 1000 / step) * step - step;
  const began = state.restarts.length ? 0 : Math.min(new Date(state.host?.started ?? 0).getTime() / 1000, end - seconds / 10); // before it there was nothing to draw
  const start = Math.max(end - seconds + step, Math.ceil(new Date(answer.since).getTime() / 1000 / step) * step, Math.floor(began / step) * step);
  const byStart = new Map(points.map((p) => [p[0], p]));
  const x = [];
  for (let t = start; t <= end; t += step) x.push(t);
  return { x, step, of: (f, none = 0) => x.map((t) => (byStart.has(t) ? f(byStart.get(t)) : none)) };
}
