// What the page knows: for each request its last answer from the API, kept up to date while a
// page needs it.

import { get, Problem } from "./api.js";
import { n } from "./format.js";
import { backoff, canShare, streamName, watch } from "./stream.js";
import { withFrame } from "./rows.js";

/** What all pages share. */
export const state = {
  host: null, // GET host
  skew: 0, // by how much the host's clock is ahead of the browser's, in milliseconds
  conn: "connecting", // connecting, live, late, lost
  heard: 0, // when the host was heard last
  retry: 0, // when it is asked again; 0: it has answered
  login: false, // the host wants a login
  paused: false,
  missed: 0, // frames that came while paused, or answers where there is no stream
  framed: 0, // when the last frame came
  restarts: [], // when another start of the host was seen, in its own time
  data: new Map(), // key → {doc, at, problem}
};

let changed = () => {};
let missedOne = () => {};

/** Has f called after each change, and missed when all that has changed is how much a paused page has missed. */
export function onChange(f, missed) {
  changed = f;
  missedOne = missed;
}

export const touch = () => changed();

/** The host's time, in milliseconds. */
export const now = () => Date.now() + state.skew;

/** The last answer to a need, or undefined. */
export const doc = (key) => state.data.get(key)?.doc;

/** Why there is none. */
export const problem = (key) => state.data.get(key)?.problem;

const active = new Map(); // key → {need, timer, abort, frames}; frames are those since the request for functions began, if one is under way

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
    if (old?.id === id) {
      const sooner = pace(need) < pace(old.need);
      old.need = need;
      if (sooner) refresh(key);
      continue;
    }
    if (old) {
      stop(key, old);
      state.data.delete(key);
    }
    const a = { id, need, timer: 0, abort: null, frames: [], failures: 0 };
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

// Asks again for the needs that which names, also where an answer is under way: that is another session's.
function askAnew(which) {
  for (const [key, a] of active) {
    if (!which(key)) continue;
    clearTimeout(a.timer);
    a.abort?.abort();
    a.abort = null;
    ask(key, a);
  }
}

// What the stream of frames carries, but for how functions are set up.
const carried = "functions";

/** Whether frames come. */
const streaming = () => Date.now() - state.framed < 3500;

/** When a need is asked for again. The list of all functions is a long answer in a large host. */
function pace({ path, every, whole }) {
  if (path !== carried || !every) return every;
  const many = doc(carried)?.functions.length ?? 0;
  return streaming() && !whole ? Math.max(10000, 40 * many) : Math.max(every, 5 * many);
}

// routine: its time has come, and nothing the viewer has done.
async function ask(key, a, routine) {
  if ((state.paused || document.hidden) && streaming() && state.data.has(key)) return; // it is asked for when the page goes on
  const { signal } = (a.abort = new AbortController());
  a.frames = [];
  const old = state.data.get(key);
  try {
    const query = a.need.since && old?.doc ? { ...a.need.query, since: a.need.since(old.doc) } : a.need.query;
    const answer = await get(a.need.path, query, signal);
    if (signal.aborted) return;
    a.failures = 0;
    heard();
    take(key, a.need.merge && old?.doc ? a.need.merge(old.doc, answer) : caughtUp(key, a, answer), routine);
  } catch (e) {
    if (signal.aborted) return;
    fail(key, a, e);
  }
  a.abort = null;
  if (active.get(key) !== a) return;
  const wait = a.failures ? backoff(a.failures) : pace(a.need);
  if (wait) a.timer = setTimeout(() => ask(key, a, true), wait);
}

// The list of functions may have been put together before frames that have come since: without their rows it
// would show what was, until a row changes again.
function caughtUp(key, a, answer) {
  return key === carried ? a.frames.reduce((list, frame) => withRows(list, frame, JSON.parse(frame.text)), answer) : answer;
}

function take(key, answer, routine) {
  if (state.paused && state.data.has(key) && !(key === "host" && isAnother(answer))) {
    state.missed++;
    missedOne();
    return;
  }
  const known = state.data.has(key);
  state.data.set(key, { doc: answer, at: Date.now() });
  if (key === "host") hello(answer);
  if (!routine || !known || !streaming()) touch(); // else the next frame draws it
}

function fail(key, a, e) {
  if (e instanceof Problem) {
    heard();
    if (e.status === 401) {
      state.login = true;
      follow("");
    }
    if (!state.paused) state.data.set(key, { doc: undefined, at: Date.now(), problem: e });
  } else {
    a.failures++;
    unheard(Date.now() + backoff(a.failures));
  }
  if (e instanceof Problem && e.status >= 500) a.failures++;
  touch();
}

// Something was asked and not answered; it is asked again at retry.
function unheard(retry) {
  state.retry = retry;
  look();
}

/** Finds out for how long the host was silent; called each second, too. */
export function look() {
  const silent = Date.now() - state.heard;
  if (state.retry && silent > 4000) state.conn = "lost";
  else if ((state.retry || state.framed) && silent > 2500) state.conn = "late";
  if (!state.framed || streaming()) return;
  state.framed = 0;
  refresh(carried); // by polling, until frames come again
}

function heard() {
  state.heard = Date.now();
  state.retry = 0;
  if (state.conn !== "live") {
    state.conn = "live";
    setTimeout(() => refresh(), 0);
  }
}

/** Notes the host's clock, and whether it has started anew. */
function hello(host) {
  state.skew = new Date(host.now).getTime() - Date.now();
  const another = isAnother(host);
  if (state.host && state.host.epoch !== host.epoch) restarted(host);
  state.host = host;
  state.login = false;
  if (another) forget();
  follow(canShare() && has("recorder") ? streamName(host.viewer) : "");
}

/** Whether the host has another viewer than the one that the page is of. */
const isAnother = (host) => Boolean(state.host) && streamName(host.viewer) !== streamName(state.host.viewer);

// What another viewer was told is not for this one.
function forget() {
  for (const key of state.data.keys()) if (key !== "host") state.data.delete(key);
  askAnew((key) => key !== "host");
}

// The host's counts begin anew. What was drawn over time stays, with a line at its end; all else is
// asked for again.
function restarted({ epoch, now: at }) {
  state.host = { ...state.host, epoch };
  state.restarts.push(new Date(at).getTime() / 1000);
  for (const key of state.data.keys()) if (!active.has(key)) state.data.delete(key);
  setTimeout(() => refresh(), 0);
}

let leave = null;
let followed = "";

// Follows the stream that all tabs of one viewer share under this name; an empty name leaves it.
function follow(name) {
  if (name === followed) return;
  leave?.();
  followed = name;
  leave = name ? watch(name, { onFrame: framed, onLost: (retry) => { unheard(retry); touch(); }, onSession: askWho }) : null;
}

// The browser has another session: the host says which viewer that is. A page that is paused or not looked at
// asks, too, since it has no stream until then.
function askWho() {
  follow("");
  state.framed = 0;
  askAnew((key) => key === "host");
}

addEventListener("pagehide", () => follow(""));
addEventListener("pageshow", (e) => e.persisted && refresh());

function framed(frame) {
  state.framed = Date.now();
  heard();
  const list = active.get(carried);
  if (list?.abort) list.frames.push(frame);
  if (state.paused) {
    state.missed++;
    missedOne();
    return;
  }
  const began = performance.now();
  const said = JSON.parse(frame.text);
  if (said.epoch !== state.host.epoch) restarted(said);
  const old = state.data.get(carried);
  if (old?.doc) state.data.set(carried, { ...old, doc: withRows(old.doc, frame, said) });
  measure("frame", began);
  touch();
}

// The list with a frame's rows. What the frame knows of and the list lacks is asked for.
function withRows(list, { columns, states }, said) {
  const { answer, stale } = withFrame(list, said, columns, states);
  if (stale) refreshSoon();
  return answer;
}

/** Notes how long the script has taken, for those who observe it; the browser would keep it for ever. */
export function measure(name, began) {
  performance.measure(name, { start: began });
  performance.clearMeasures(name);
}

let soon = 0;

// A host that registers many functions is not asked for each of them.
function refreshSoon() {
  soon ||= setTimeout(() => {
    soon = 0;
    refresh(carried);
  }, 2000);
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
