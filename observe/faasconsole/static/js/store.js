// The state of the page: for each request, the last answer of the API. Answers are kept up to date while a
// page needs them.

import { get, Problem } from "./api.js";
import { n } from "./format.js";
import { backoff, canShare, streamName, watch } from "./stream.js";
import { withFrame } from "./rows.js";

/** The state that all pages share. */
export const state = {
  host: null, // the answer of GET host
  skew: 0, // by how much the host's clock is ahead of the browser's, in milliseconds
  conn: "connecting", // connecting, live, late, lost
  heard: 0, // when the host last answered
  retry: 0, // when the host is asked again after a failure; 0: there was none
  login: false, // the host requires a login
  paused: false,
  missed: 0, // frames that came while paused; without a stream: answers
  framed: 0, // when the last frame came; 0: there is no stream
  restarts: [], // when restarts of the host were seen, by the host's clock
  data: new Map(), // key → {doc, at, problem}
};

let changed = () => {};
let missedOne = () => {};

/** Sets the function f, which is called after each change. missed is called if only the number of missed
 * frames has changed, on a paused page. */
export function onChange(f, missed) {
  changed = f;
  missedOne = missed;
}

export const touch = () => changed();

/** Returns the present time of the host's clock, in milliseconds. */
export const now = () => Date.now() + state.skew;

/** Returns the last answer to a need, or undefined. */
export const doc = (key) => state.data.get(key)?.doc;

/** Returns when the last answer to a need came, or undefined. Frames do not count. */
export const askedAt = (key) => state.data.get(key)?.at;

/** Returns the error in place of an answer, or undefined. */
export const problem = (key) => state.data.get(key)?.problem;

const active = new Map(); // key → {need, timer, abort, frames}; frames has the frames since a request for the functions began, while it is under way

/** Keeps the answers to these needs fresh, and drops all others. needs: {key: {path, query, of, every, since, merge}}. If path,
 * query or of has changed, the old answer is dropped. since(old) returns the parameter since of each request, and merge(old, fresh)
 * the answer that is kept; old is the last answer. */
export function want(needs) {
  for (const [key, a] of active) {
    if (!needs[key]) {
      stop(key, a);
      if (key.startsWith("page:")) state.data.delete(key);
    }
  }
  for (const [key, need] of Object.entries(needs)) {
    const old = active.get(key);
    const id = need.path + "?" + JSON.stringify([need.query, need.of]);
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

/** Requests needs again at once, for example after a change. Without keys, requests all. */
export function refresh(...keys) {
  for (const [key, a] of active) {
    if (keys.length && !keys.some((k) => key.startsWith(k))) continue;
    clearTimeout(a.timer);
    if (!a.abort) ask(key, a);
  }
}

// Requests again each need for whose key which returns true. It also drops answers under way, since they
// are for another session.
function askAnew(which) {
  for (const [key, a] of active) {
    if (!which(key)) continue;
    clearTimeout(a.timer);
    a.abort?.abort();
    a.abort = null;
    ask(key, a);
  }
}

// The need that the stream of frames keeps up to date, except for the settings of the functions.
const carried = "functions";

/** Returns whether frames are coming. */
const streaming = () => Date.now() - state.framed < 3500;

/** Returns how often a need is requested. In a large host, the list of all functions is a long answer, and
 * is requested less often. */
function pace({ path, every, whole }) {
  if (path !== carried || !every) return every;
  const many = doc(carried)?.functions.length ?? 0;
  return streaming() && !whole ? Math.max(10000, 40 * many) : Math.max(every, 5 * many);
}

// routine: the request is made because its time has come, and not because of the viewer.
async function ask(key, a, routine) {
  if ((state.paused || document.hidden) && streaming() && state.data.has(key)) return; // it is requested when the page is continued or shown again
  const { signal } = (a.abort = new AbortController());
  a.frames = [];
  const old = state.data.get(key);
  try {
    const query = a.need.since ? { ...a.need.query, since: a.need.since(old?.doc) } : a.need.query;
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

// The host may have made the list of functions before frames that have come since. Without the rows of
// these frames, the list would show old numbers until a row changes again.
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
  if (!routine || !known || !streaming()) touch(); // otherwise the next frame draws the page
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

// Notes that a request got no answer, and is repeated at the time retry.
function unheard(retry) {
  state.retry = retry;
  look();
}

/** Updates state.conn by how long the host has been silent. It is also called each second. */
export function look() {
  const silent = Date.now() - state.heard;
  if (state.retry && silent > 4000) state.conn = "lost";
  else if ((state.retry || state.framed) && silent > 2500) state.conn = "late";
  if (!state.framed || streaming()) return;
  state.framed = 0;
  refresh(carried); // polls until frames come again
}

function heard() {
  state.heard = Date.now();
  state.retry = 0;
  if (state.conn !== "live") {
    state.conn = "live";
    setTimeout(() => refresh(), 0);
  }
}

/** Takes an answer of GET host: the host's clock, its epoch and its viewer. */
function hello(host) {
  state.skew = new Date(host.now).getTime() - Date.now();
  const another = isAnother(host);
  if (state.host && state.host.epoch !== host.epoch) restarted(host);
  state.host = host;
  state.login = false;
  if (another) forget();
  follow(canShare() && has("recorder") ? streamName(host.viewer) : "");
}

/** Returns whether the host's viewer is another one than the page's. */
const isAnother = (host) => Boolean(state.host) && streamName(host.viewer) !== streamName(state.host.viewer);

// Drops all answers, since they were for another viewer.
function forget() {
  for (const key of state.data.keys()) if (key !== "host") state.data.delete(key);
  askAnew((key) => key !== "host");
}

// Handles a restart of the host, after which its counts begin at zero. Charts over time stay, with a mark
// at the restart; everything else is requested again.
function restarted({ epoch, now: at }) {
  state.host = { ...state.host, epoch };
  state.restarts.push(new Date(at).getTime() / 1000);
  for (const key of state.data.keys()) if (!active.has(key)) state.data.delete(key);
  setTimeout(() => refresh(), 0);
}

let leave = null;
let followed = "";

// Joins the stream that all tabs of a viewer share by this name. An empty name leaves the stream.
function follow(name) {
  if (name === followed) return;
  leave?.();
  followed = name;
  leave = name ? watch(name, { onFrame: framed, onLost: (retry) => { unheard(retry); touch(); }, onSession: askWho }) : null;
}

// Handles a new session of the browser: asks the host which viewer it has. A page that is paused or hidden
// asks too, since it has no stream until then.
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
  const said = JSON.parse(frame.text);
  if (said.epoch !== state.host.epoch) restarted(said);
  const old = state.data.get(carried);
  if (old?.doc) state.data.set(carried, { ...old, doc: withRows(old.doc, frame, said) });
  touch();
}

// Returns the list with the rows of a frame. If the list lacks a function of the frame, the list is
// requested again soon.
function withRows(list, { columns, states }, said) {
  const { answer, stale } = withFrame(list, said, columns, states);
  if (stale) refreshSoon();
  return answer;
}

let soon = 0;

// One request is enough for many functions that are registered at the same time.
function refreshSoon() {
  soon ||= setTimeout(() => {
    soon = 0;
    refresh(carried);
  }, 2000);
}

/** Pauses or continues the page. */
export function pause(on) {
  state.paused = on;
  state.missed = 0;
  if (!on) refresh();
  touch();
}

/** Returns whether the viewer has a right: to the function of, if that is given with its rights, or else to
 * the whole host. */
export const may = (right, of) => (of?.rights ?? state.host?.viewer.rights ?? []).includes(right);

/** Returns whether the host takes changes. */
export const writes = () => Boolean(state.host?.writes);

/** Returns whether the host has a part: recorder, ledger, budgets, ring, tail, drivers. */
export const has = (part) => Boolean(state.host?.parts.includes(part));

/** Returns a need for series. Each answer after the first has only the newer points. */
export function seriesNeed(range, query) {
  return {
    path: "series",
    query: { step: range.step, ...query },
    every: range.every,
    since: (old) => old && new Date((latest(old) - 2 * (n(old.stepNS) / 1e9)) * 1000).toISOString(),
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

/** Returns functions that read the columns of a point. */
export function columns(answer) {
  const at = Object.fromEntries(answer.columns.map((c, i) => [c, i]));
  const of = (name) => {
    const i = at[name];
    return (p) => n(p[i]);
  };
  const outcomes = answer.columns.slice(1, answer.columns.indexOf("cold"));
  const bad = outcomes.filter((o) => o !== "ok" && o !== "canceled").map((o) => at[o]);
  const sum = (p, places) => {
    let all = 0;
    for (const i of places) if (p[i]) all += Number(p[i]);
    return all;
  };
  const ended = outcomes.map((o) => at[o]);
  return { outcomes, of, runNS: of("runNS"), runP50NS: of("runP50NS"), waitNS: of("waitNS"), start: (p) => p[0], calls: (p) => sum(p, ended), failures: (p) => sum(p, bad) };
}

/** Returns a function's points for every step of the range, with 0 where nothing ended: {x, of(f)}. */
export function grid(answer, points, seconds) {
  const step = n(answer.stepNS) / 1e9;
  const end = Math.floor(new Date(answer.now).getTime() / 1000 / step) * step - step;
  const began = state.restarts.length ? 0 : Math.min(new Date(state.host?.started ?? 0).getTime() / 1000, end - seconds / 10); // there are no points before that
  const start = Math.max(end - seconds + step, Math.ceil(new Date(answer.since).getTime() / 1000 / step) * step, Math.floor(began / step) * step);
  const byStart = new Map(points.map((p) => [p[0], p]));
  const x = [];
  for (let t = start; t <= end; t += step) x.push(t);
  const rows = x.map((t) => byStart.get(t));
  return { x, step, of: (f, none = 0) => rows.map((p) => (p ? f(p) : none)) };
}
