// Failed calls, in groups.

import { h, mark, word, icon, stay, standing } from "../dom.js";
import { doc, problem, has, now, state } from "../store.js";
import { part } from "../api.js";
import { link, here, go, range } from "../route.js";
import { plural, count, clock, minute, ago } from "../format.js";
import { says, table, section, absent, since, at, number, yours } from "../parts.js";
import { chart, still, spark, twin } from "../chart.js";
import { drawer, normal, stateOf } from "./failure.js";
import { bulk, report, box, can, isChosen } from "./again.js";

export function needs(route) {
  if (!has("ring")) return { functions: { path: "functions", every: 5000 } };
  const { id } = route.params;
  const from = selected(route)?.[0];
  const list = {
    functions: { path: "functions", every: 5000 },
    "page:failures": { path: "failures", query: { limit: 1000, function: route.params.function, tenant: route.params.tenant }, of: route.params.range, since: () => sinceOf(range(route).seconds, from), merge: merged, every: 3000 },
  };
  if (id) {
    list["page:one"] = { path: "failures/" + part(id), every: 0 };
    list["page:input"] = { path: "failures/" + part(id) + "/input", every: 0 };
    if (doc("page:one")?.hasStack) list["page:stack"] = { path: "failures/" + part(id) + "/stack", every: 0 };
  }
  return list;
}

// A selection may begin before the range.
function sinceOf(seconds, from = Infinity) {
  const start = Math.floor((now() - seconds * 1000) / 60000) * 60;
  return new Date(1000 * Math.min(start, from)).toISOString();
}

/** Returns the new answer, in which calls that were in the old one are the same objects, since this page caches what it derives
 * from them. If no call has come or gone, it is the old answer. */
function merged(old, fresh) {
  const known = new Map(old.failures.map((f) => [f.id, f]));
  const failures = fresh.failures.map((f) => known.get(f.id) ?? f);
  return failures.length === old.failures.length && failures.every((f, i) => f === old.failures[i]) ? old : { ...fresh, failures };
}

export function view(route) {
  const answer = doc("page:failures");
  const trouble = has("ring") ? problem("page:failures") : { option: "WithRing" };
  const chosen = answer ? chosenOf(answer.failures, route) : [];
  const list = groups(chosen);
  const left = h("div", { class: "list", "data-key": "list" }, heading(answer, chosen, list, route), report(), stay(standing("filters"), [answer, location.hash], () => filters(answer, route)),
    trouble ? captures(trouble) : answer && (answer.failures.length ? [still(standing("when"), [answer, binOf(route), state.host?.started, location.hash], () => timeline(answer.failures, route)), list.length ? [groupTable(list, route), bulk(list)] : h("p", { class: "muted", "data-key": "none" }, "No call failed within what is selected.")] : nothing(route)));
  if (!route.params.id) return left;
  return h("div", { class: "withdrawer", "data-key": "drawer" }, left, drawer(route, list));
}

/** Returns the span of time that the viewer has selected, in seconds: [from, to], where a null to means now.
 * null: the whole range. */
function selected(route) {
  const [from, to] = [Date.parse(route.params.from) / 1000, Date.parse(route.params.to) / 1000];
  return Number.isFinite(from) ? [from, Number.isFinite(to) ? to : null] : null;
}

let chosenLast = { all: null, hash: "", chosen: [] };

/** Returns the failures that the viewer has selected. It is the same array while they are the same. */
function chosenOf(all, route) {
  if (chosenLast.all === all && chosenLast.hash === location.hash) return chosenLast.chosen;
  const span = selected(route);
  const chosen = span || route.params.outcome ? all.filter((f) => within(f, route, span)) : all;
  chosenLast = { all, hash: location.hash, chosen };
  return chosen;
}

function within(f, route, span) {
  const t = startOf(f);
  return (!span || (t >= span[0] && t < (span[1] ?? Infinity))) && (!route.params.outcome || f.outcome === route.params.outcome);
}

const spanWords = ([from, to], clockOf = minute) => `${clockOf(from * 1000)} – ${to === null ? "now" : clockOf(to * 1000)}`;

function heading(answer, chosen, list, route) {
  if (!answer) return says("none", "Failures");
  const span = selected(route);
  const moment = (t) => (range(route).seconds > 300 ? minute : clock)(t * 1000);
  const when = !span ? `in the ${range(route).words}` : span[1] === null ? `since ${moment(span[0])}` : `between ${moment(span[0])} and ${moment(span[1])}`;
  const calls = chosen.length;
  if (!calls) return says("well", `No call${yours()} has failed ${when}`);
  const [name, of] = worst(list);
  return says(list.some((g) => loud(g, route)) ? "failing" : "none", [`${count(calls)}${answer.failures.length === 1000 ? " or more" : ""} ${calls === 1 ? "call" : "calls"} failed ${when}`, list.length > 1 ? [`, ${count(of)} of them `, h("a", { class: "link", href: link("functions", name) }, word(name))] : [": ", h("a", { class: "link", href: link("functions", name) }, word(name))]],
    h("span", { class: "muted" }, plural(list.length, "group", "groups")));
}

/** Returns the function that has failed most: [name, number of failures]. */
function worst(list) {
  const all = new Map();
  for (const g of list) all.set(g.function, (all.get(g.function) ?? 0) + g.calls.length);
  return [...all].sort((x, y) => y[1] - x[1])[0];
}

function filters(answer, route) {
  const chip = (drop, ...words) => h("span", { class: "chip on" }, words, h("button", { class: "chipx", type: "button", "aria-label": "Remove the filter " + drop[0], onclick: () => go(here(Object.fromEntries(drop.map((k) => [k, ""])))) }, icon("x")));
  const span = selected(route);
  const outcomes = new Map();
  for (const g of answer ? groups(answer.failures) : []) outcomes.set(g.outcome, (outcomes.get(g.outcome) ?? 0) + g.calls.length);
  const chips = [
    span && chip(["from", "to"], spanWords(span, range(route).seconds > 300 ? minute : clock)),
    ...["function", "tenant"].filter((k) => route.params[k]).map((k) => chip([k], k, " ", word(route.params[k]))),
    ...(outcomes.size > 1 || route.params.outcome ? [...outcomes].sort().map(([o, n_]) => h("button", { class: "chip", type: "button", "aria-pressed": String(route.params.outcome === o), onclick: () => go(here({ outcome: route.params.outcome === o ? "" : o })) }, mark(stateOf(o), true), `${o} ${count(n_)}`)) : []),
  ].filter(Boolean);
  return chips.length ? h("div", { class: "chips", role: "group", "aria-label": "Filters", "data-key": "filters" }, chips) : null;
}

function captures(p) {
  if (p.option) return h("div", { class: "empty", "data-key": "none" }, h("p", null, "This host keeps no failures to show. Two lines would:"), h("pre", { tabindex: "0" }, "ring := faas.NewRing(2000, 8<<20, isSecret)\nr := faas.New(faas.WithCapture(ring))\napi := admin.Handler(r, admin.WithRing(ring))"));
  return absent(p);
}

function nothing(route) {
  const wider = { "5m": "1h", "1h": "24h" }[route.params.range ?? "1h"];
  return h("p", { class: "muted", "data-key": "none" }, "Nothing in this range. ", wider ? h("a", { class: "link", href: here({ range: wider }) }, "Look at a wider one") : null);
}

// Caches, by call, since the same answer is drawn each second.
const [messages, starts, grouped] = [new WeakMap(), new WeakMap(), new WeakMap()];

/** Returns when a call began, in seconds since 1970. */
function startOf(f) {
  let t = starts.get(f);
  if (t === undefined) starts.set(f, (t = Date.parse(f.start) / 1000));
  return t;
}

function messageOf(f) {
  if (!messages.has(f)) messages.set(f, f.error ? normal(f.error) : f.errorType || f.outcome);
  return messages.get(f);
}

/** Returns the groups of a list of failures, the largest first. They are the same for the same list. */
function groups(list) {
  if (!grouped.has(list)) grouped.set(list, groupsOf(list));
  return grouped.get(list);
}

function groupsOf(list) {
  const all = new Map();
  for (const f of list) {
    const message = messageOf(f);
    const key = `${f.function}\0${f.outcome}\0${message}`;
    let g = all.get(key);
    if (!g) all.set(key, (g = { key, function: f.function, outcome: f.outcome, message, calls: [], versions: new Set(), tenants: new Set() }));
    g.calls.push(f);
    g.versions.add(f.version);
    g.tenants.add(f.tenant ?? "");
  }
  for (const g of all.values()) {
    g.last = g.calls[0];
    g.first = g.calls.at(-1);
  }
  const sorted = [...all.values()].sort((x, y) => y.calls.length - x.calls.length);
  const seen = new Set();
  for (const g of sorted) g.most = !seen.has(g.function) && Boolean(seen.add(g.function)); // the largest group of its function
  return sorted;
}

/** Returns whether a group needs attention. A panic or a timeout always does. An error does if it is most of
 * the failures of a failing function, or if it first occurred in the second half of the range. */
function loud(g, route) {
  if (g.outcome !== "Failed") return stateOf(g.outcome) !== "none";
  if (g.most && isFailing(g.function)) return true;
  const [end, began] = [now(), new Date(state.host?.started ?? 0).getTime()];
  const start = Math.max(end - range(route).seconds * 1000, began);
  return g.calls.length > 2 && end - start > 60e3 && new Date(g.first.start) > start + (end - start) / 2;
}

let failing = { functions: undefined, names: new Set() };

function isFailing(name) {
  const functions = doc("functions")?.functions;
  if (failing.functions !== functions) failing = { functions, names: new Set((functions ?? []).filter((f) => f.state === "failing").map((f) => f.name)) };
  return failing.names.has(name);
}

/** Returns the start of the last column of the chart, in seconds. It has 60 columns. */
function binOf(route) {
  const width = range(route).seconds / 60;
  return Math.floor(now() / 1000 / width) * width;
}

function timeline(list, route) {
  const r = range(route);
  const width = r.seconds / 60;
  const end = binOf(route);
  const began = Math.min(new Date(state.host?.started ?? 0) / 1000, end - 6 * width);
  const x = Array.from({ length: 60 }, (_, i) => end - (59 - i) * width).filter((t) => t + width > began);
  const [name] = worst(groups(list));
  const [own, all] = [x.map(() => 0), x.map(() => 0)];
  for (const f of list) {
    const i = Math.floor((startOf(f) - x[0]) / width);
    if (i < 0 || i >= x.length) continue;
    all[i]++;
    if (f.function === name) own[i]++;
  }
  const sum = (v) => v.reduce((a, b) => a + b, 0);
  const rest = sum(all) - sum(own);
  const span = selected(route);
  const late = list.filter((f) => f.function === name && f.outcome === "TimedOut").length * 2 > sum(own);
  return section("when", `Per ${{ 5: "5 seconds", 60: "minute", 1440: "24 minutes" }[width]}`, "drag to select, or shift and the arrow keys", twin("Failures over time", ["Time, UTC", name, "Others"], () => x.map((t, i) => [clock(t * 1000), String(own[i]), String(all[i] - own[i])])),
    chart("when", { label: `Failed calls, ${r.words}: ${sum(own)} of ${name}, ${rest} of others.${span ? ` Selected: ${spanWords(span)}.` : ""}`, height: 120, x, span: [x[0], end + width], rest: span && h("span", null, "selected ", h("b", null, spanWords(span, clock))), value: (v) => count(v),
      brush: { from: span && span[0], to: span && span[1], step: width, set: (from, to) => go(here({ from: iso(from), to: to >= end + width ? "" : iso(to) }), true) },
      readout: (t) => { const i = x.indexOf(t); return [h("span", null, word(name), " ", h("b", null, String(own[i]))), h("span", null, "others ", h("b", null, String(all[i] - own[i])))]; },
      series: [
        rest ? { name: "others", value: count(rest), values: all, kind: "bars", token: "g1" } : null,
        { name: clip(name), value: count(sum(own)), values: own, kind: "bars", token: late ? "stuck" : "failing", strong: true },
      ].filter(Boolean) }));
}

const iso = (t) => (t === null ? "" : new Date(t * 1000).toISOString().replace(".000", ""));
const clip = (name) => (name.length > 14 ? name.slice(0, 13) + "…" : name);

function groupTable(list, route) {
  const open = (g) => go(here({ id: g.last.id }));
  const end = now();
  const r = range(route);
  const line = (g) => {
    const bins = new Array(30).fill(0);
    for (const f of g.calls) bins[Math.max(0, Math.min(29, Math.floor(30 - (end - 1000 * startOf(f)) / (r.seconds * 1000 / 30))))]++;
    return spark(bins);
  };
  return section("groups", "Groups", "by function, outcome and message; a mark: a panic, out of time, new, or most of what fails in a failing function", null, table({
    id: "failures", caption: "Failures grouped by function, outcome and message", className: "fails", rows: list.slice(0, 200), key: (g) => g.key, selected: list.find((g) => g.calls.some((f) => f.id === route.params.id))?.key, open, order: "-calls",
    columns: [
      { name: "name", title: "Function and message", first: "", sort: (g) => g.function, of: (g) => `${loud(g, route)} ${g.last.id} ${can()} ${isChosen(g)}`, cell: (g) => h("span", { class: can() ? "boxed" : "" }, h("span", { class: "fn" }, can() && box(g), mark(loud(g, route) ? stateOf(g.outcome) : "none"), h("a", { href: here({ id: g.last.id }) }, word(g.function))), h("span", { class: "msg", title: g.message }, word(g.message))) },
      { name: "outcome", title: "Outcome", class: "p2", of: (g) => g.outcome, cell: (g) => g.outcome },
      { name: "version", title: "Version", class: "p4", of: versionWords, cell: (g) => versionWords(g) },
      { name: "tenants", title: "Tenants", class: "p3", of: (g) => `${g.tenants.size} ${[...g.tenants].slice(0, 2)}`, cell: (g) => (g.tenants.size > 2 ? plural(g.tenants.size, "tenant", "tenants") : [...g.tenants].map((t, i) => [i ? ", " : "", word(t || "none")])) },
      { name: "calls", title: "Calls", class: "n", sort: (g) => g.calls.length, of: (g) => g.calls.length, cell: (g) => number(g.calls.length) },
      { name: "line", title: h("span", { class: "vh" }, "Over time"), class: "p3 spk", label: false, of: (g) => `${g.calls.length} ${g.last.id} ${Math.floor(end / (r.seconds * 1000 / 60))}`, cell: line },
      { name: "first", title: "First", class: "n muted p4", sort: (g) => g.first.start, of: (g) => g.first.start, cell: (g) => at(g.first.start) },
      { name: "last", title: "Last", class: "n muted", sort: (g) => g.last.start, of: (g) => `${g.last.start} ${ago(g.last.start, end)}`, cell: (g) => since(g.last.start) },
    ],
  }), list.length > 200 ? h("p", { class: "small muted" }, `and ${count(list.length - 200)} more, folded`) : null);
}

const versionWords = (g) => [...g.versions].map((v) => (v === "$LATEST" ? "" : "v" + v)).join(", ");
