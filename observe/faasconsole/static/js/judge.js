// Decides what needs attention, and in which order. It only reads answers of the API.

import { n, percent, plural, digits } from "./format.js";
import { columns } from "./store.js";

/** The share of failed calls from which on a function is failing, as in the API. */
const failing = 0.01;

let judged = { functions: undefined, all: [] };

/** Returns the troubles of functions and tenants, the worst first: {rank, state, function, tenant, …}. The
 * result for the same list of functions is cached, since several parts of a page call this. */
export function troubles(functions, tenants) {
  if (judged.functions !== functions) judged = { functions, all: troublesOf(functions ?? []) };
  const all = [...judged.all];
  for (const t of tenants ?? []) {
    const spent = (t.budgets ?? []).find((b) => b.part >= 1 || b.refused);
    if (spent) all.push({ state: "refusing", kind: "budget", tenant: t, budget: spent, size: spent.part, rank: 5 });
  }
  return all.sort((a, b) => a.rank - b.rank || b.size - a.size);
}

function troublesOf(functions) {
  const all = [];
  for (const f of functions) if (f.numbers) addTroubles(all, f);
  return all;
}

function addTroubles(all, f) {
  const { minute, jobs } = f.numbers;
  const calls = n(minute?.calls);
  const rate = calls ? n(minute.failures) / calls : 0;
  if (f.state === "off") all.push({ state: "off", kind: "off", of: f, size: 0, rank: 6 });
  if (rate >= failing) all.push({ state: "failing", kind: "failing", of: f, size: rate, rank: 1 });
  if (n(f.numbers.runaways) > 0 || n(f.numbers.queued) > 0) all.push({ state: "stuck", kind: "waiting", of: f, size: n(f.numbers.queued) + n(f.numbers.runaways), rank: 2 });
  if (n(jobs?.dead) > 0) all.push({ state: "failing", kind: "dead", of: f, size: n(jobs.dead), rank: 4 });
  if (n(minute?.refused) * 10 >= Math.max(1, calls + n(minute?.refused))) all.push({ state: "refusing", kind: "refusing", of: f, size: n(minute.refused), rank: 3 });
}

let tallied = { functions: undefined, all: {} };

/** Returns how many functions are in each state. */
export function tally(functions) {
  if (tallied.functions === functions) return tallied.all;
  const all = {};
  for (const f of functions) all[f.state] = (all[f.state] ?? 0) + 1;
  tallied = { functions, all };
  return all;
}

/** Describes the worst troubles of a function in a few words, for the table. */
export function why(f) {
  if (!f.numbers) return "";
  const { minute, jobs, queued, runaways } = f.numbers;
  if (f.state === "off") return "switched off";
  const calls = n(minute?.calls);
  const parts = [];
  if (calls && n(minute.failures) / calls >= failing) parts.push(`${percent(n(minute.failures), calls)} % fail`);
  if (n(queued)) parts.push(`${plural(queued, "waits", "wait")}`);
  if (n(runaways)) parts.push(plural(runaways, "runaway", "runaways"));
  if (n(minute?.refused) * 10 >= Math.max(1, calls + n(minute?.refused))) parts.push(`${plural(minute.refused, "call", "calls")} refused`);
  if (n(jobs?.dead)) parts.push(`${plural(jobs.dead, "job", "jobs")} dead`);
  return parts.slice(0, 2).join(", ");
}

/** Returns the functions in the order of the table "Now". */
export function byTrouble(functions) {
  if (ranked.functions !== functions) ranked = { functions, all: rankedByTrouble(functions) };
  return ranked.all;
}

let ranked = { functions: undefined, all: [] };

// First the functions with troubles, in their order; then those with calls, those that are idle, and those without numbers. The
// list is sorted by name, and equal functions stay in that order. Most functions have no trouble, and few
// different numbers of calls, so these are put together by number instead of being compared with each other.
function rankedByTrouble(functions) {
  const bad = new Set(troubles(functions, []).map((t) => t.of));
  const [busy, idle, unseen] = [new Map(), new Map(), new Map()]; // number of calls → functions
  for (const f of functions) {
    if (bad.has(f)) continue;
    const calm = !f.numbers ? unseen : f.state === "idle" ? idle : busy;
    const calls = n(f.numbers?.minute?.calls);
    const alike = calm.get(calls);
    if (alike) alike.push(f);
    else calm.set(calls, [f]);
  }
  const sorted = (calm) => [...calm].sort((a, b) => b[0] - a[0]).flatMap(([, alike]) => alike);
  return [...bad, ...sorted(busy), ...sorted(idle), ...sorted(unseen)];
}

/** Returns since when calls have failed: {at, before}. at is the first point of the last period in which the
 * share of failures stays over the limit; before is the share of failures until then. null: it is not
 * known. */
export function since(answer, name) {
  const s = answer?.series.find((one) => one.function === name);
  if (!s || s.points.length < 4) return null;
  const c = columns(answer);
  let at = s.points.length;
  let calm = 0; // calls since the last point with enough failures, counted backwards in time
  let first = null;
  for (at--; at >= 0; at--) {
    const p = s.points[at];
    if (c.failures(p) / Math.max(1, c.calls(p)) >= failing) {
      first = p[0];
      calm = 0;
    } else if ((calm += c.calls(p)) > 60 || p[0] < (first ?? p[0]) - 120) break;
  }
  if (first === null || first <= s.points[0][0] + 60) return null; // it began before the first known point
  const before = s.points.filter((p) => p[0] < first);
  const calls = before.reduce((sum, p) => sum + c.calls(p), 0);
  return { at: first * 1000, before: calls ? before.reduce((sum, p) => sum + c.failures(p), 0) / calls : 0 };
}

/** Returns the version that has nearly all failures of the last minute, if the function has several
 * versions. */
export function culprit(f) {
  const own = f.versions.filter((v) => v.numbers?.minute);
  if (own.length < 2) return null;
  const all = own.reduce((sum, v) => sum + n(v.numbers.minute.failures), 0);
  const worst = own.toSorted((a, b) => n(b.numbers.minute.failures) - n(a.numbers.minute.failures))[0];
  return all && n(worst.numbers.minute.failures) / all > 0.9 ? worst.version : null;
}

/** Returns the 95 % confidence interval of a share, in per cent (Wilson, JASA 22, 1927). */
export function interval(part, whole) {
  if (!whole) return "–";
  const z = 1.96;
  const p = part / whole;
  const mid = (p + (z * z) / (2 * whole)) / (1 + (z * z) / whole);
  const half = (z * Math.sqrt((p * (1 - p)) / whole + (z * z) / (4 * whole * whole))) / (1 + (z * z) / whole);
  return `${digits(100 * Math.max(0, mid - half))}–${digits(100 * Math.min(1, mid + half))}`;
}

/** Returns what helps against refusals with this reason. */
export function cure(reason, f) {
  const limit = f?.limit === null || f?.limit === undefined ? "" : ` (${f.limit} now)`;
  const known = {
    queue_timeout: `A higher limit${limit}, or a longer WithQueueTimeout`,
    overloaded: `A higher limit${limit}, or a longer queue by WithQueue`,
    budget: "A larger budget, or the next window",
    runaways: "Handlers that heed their context: see Runaways",
    off: "Switch it on: it has the limit 0",
    denied: "A rule that lets the caller in",
    depth: "Fewer calls inside calls, or WithMaxDepth",
    cycle: "Calls that do not lead back to their caller",
    queue_canceled: "Callers that wait longer",
    too_large: "Smaller inputs, or WithLimits",
    input: "Callers that send what the function takes",
    init: "Its init fails: see the log",
    meter_full: "A faster sink behind the buffered meter",
    not_found: "Callers that know the name, or a function of that name",
    closed: "Nothing: the host was closing",
  };
  return known[reason] ?? "";
}

