// One function: its load, its calls, and its cost.

import { h, mark, word, stay, standing } from "../dom.js";
import { doc, problem, seriesNeed, columns, grid, has, may, writes, refresh, state } from "../store.js";
import { put, post, get, part } from "../api.js";
import { range, link } from "../route.js";
import { n, digits, count, percent, duration, minute, clock, long, money, amounts, bytes, plural, pretty, fault } from "../format.js";
import { says, section, table, number, share, time, a, absent, since as ago, ask, split, yours } from "../parts.js";
import { chart, still, twin } from "../chart.js";
import { since, culprit, interval, cure } from "../judge.js";
import { normal } from "./failure.js";

export function needs(route) {
  const name = route.name;
  const r = range(route);
  const list = {
    functions: { path: "functions", every: 5000 },
    "page:function": { path: "functions/" + part(name), every: 2000 },
    "page:decisions": { path: "decisions", query: { function: name, limit: 200 }, every: 5000 },
    "page:runaways": { path: "runaways", every: 3000 },
  };
  if (has("recorder")) list["page:series"] = seriesNeed(r, { function: name, by: "version", histograms: true });
  if (has("ring")) list["page:failures"] = { path: "failures", query: { function: name, limit: 500 }, every: 5000 };
  if (has("ledger") || has("recorder")) list["page:usage"] = { path: "usage", query: { by: "function,tenant,outcome", function: name }, every: 10000 };
  return list;
}

export function view(route) {
  const f = doc("page:function");
  if (!f) return problem("page:function") ? says("none", ["There is no function ", word(route.name), yours()], h("span", { class: "muted" }, a(link("functions"), "All functions"))) : [says("none", word(route.name)), absent()];
  const merged = together(doc("page:series"), f);
  const joint = [merged, problem("page:series"), doc("page:decisions"), state.restarts.length];
  const fixed = settings(f);
  const times = JSON.stringify(f.numbers?.minute);
  return [
    keep("head", [f, ...joint, state.host], () => head(f, route)),
    keep("facts", [fixed], () => facts(f)),
    keep("jump", [fixed], () => h("nav", { class: "jump", "aria-label": "On this page", "data-key": "jump" }, jumps(f).map(([id, name]) => h("a", { href: location.hash, onclick: (e) => { e.preventDefault(); document.getElementById(id)?.scrollIntoView({ behavior: "smooth" }); } }, name)))),
    h("div", { class: "fnpage", "data-key": "fnpage" },
      h("div", { class: "charts" }, drawn("demand", [fixed, f.numbers?.instances, f.numbers?.queued, f.versions.map((v) => v.numbers?.instances).join(), ...joint], () => demand(f, merged, route)), drawn("latency", [f.name, times, merged, state.restarts.length], () => latency(f, merged, route)), drawn("outcomes", joint, () => outcomes(merged, route))),
      h("div", { class: "tables" }, versions(f), failures(f, route), f.numbers && keep("refusals", [fixed, JSON.stringify(f.numbers.refused)], () => refusals(f)), keep("tenants", [doc("page:usage"), f.name], () => tenants(f)), f.numbers && runaways(f), keep("cost", [doc("page:usage"), f.name], () => cost(f)), keep("config", [fixed], () => config(f)))),
  ];
}

let settled = { of: null, text: "" };

/** Returns a text with all that is known of a function but its numbers. */
function settings(f) {
  if (settled.of !== f) settled = { of: f, text: JSON.stringify({ ...f, numbers: null, versions: f.versions.map((v) => ({ ...v, numbers: null })) }) };
  return settled.text;
}

// A section that is made anew only when what it shows is.
const keep = (id, of, make) => stay(standing(id), [...of, location.hash], make);

// The same for a section with charts.
const drawn = (id, of, make) => still(standing(id), [...of, location.hash], make);

const jumps = (f) => [["demand", "Demand"], f.numbers && ["latency", "Latency"], f.numbers && ["outcomes", "Outcomes"], f.versions.length > 1 && ["versions", "Versions"], ["failures", "Failures"], f.numbers && ["refusals", "Refusals"], ["tenants", "Tenants"], f.numbers && ["runaways", "Runaways"], ["cost", "Cost"], ["config", "Configuration"]].filter(Boolean);

function head(f, route) {
  const m = f.numbers?.minute;
  const calls = n(m?.calls);
  const rate = calls ? n(m.failures) / calls : 0;
  const from = since(together(doc("page:series"), f), f.name);
  const on = culprit(f);
  let sentence = [word(f.name), " is well"];
  if (!f.numbers) sentence = [word(f.name), " is here; its numbers are not yours to see"];
  else if (f.state === "off") sentence = [word(f.name), " is switched off"];
  else if (rate >= 0.01) sentence = [word(f.name), " fails ", h("a", { class: "link t-failing", href: link("failures", "", { function: f.name }) }, `${percent(n(m.failures), calls)}\u00a0%`), from ? ` since ${minute(from.at)}` : "", on ? `, nearly all of it on v${on}` : ""];
  else if (n(f.numbers.runaways)) sentence = [word(f.name), " has ", plural(f.numbers.runaways, "runaway", "runaways")];
  else if (n(f.numbers.queued)) sentence = [word(f.name), ` has ${plural(f.numbers.queued, "call", "calls")} waiting for a slot`];
  else if (f.state === "idle") sentence = [word(f.name), " is idle"];
  const before = lastMove(f);
  return h("div", { class: "head", "data-key": "head" },
    says(f.numbers ? f.state : "none", sentence,
      from && before && from.at - new Date(before.time) < 600e3 && from.at >= new Date(before.time) - 15e3 ? h("span", null, `The errors began ${from.at - new Date(before.time) < 1000 ? "when" : `${long((from.at - new Date(before.time)) / 1000)} after`} ${before.alias || "the default alias"} moved`) : null,
      calls ? h("span", { class: "muted" }, `${digits(calls / 60)} calls per second, ${plural(m.failures, "failed", "failed")} in the last minute`) : null),
    actions(f, before, rate));
}

const lastMove = (f) => (doc("page:decisions")?.decisions ?? []).find((d) => d.function === f.name && d.alias !== undefined && d.alias !== null && d.before && Object.keys(d.before).length);

function actions(f, before, rate) {
  const manage = writes() && may("manage", f);
  const acts = [];
  const alias = before && f.aliases.find((al) => al.name === before.alias);
  if (manage && alias && rate >= 0.01 && JSON.stringify(alias.weights) === JSON.stringify(before.after)) {
    acts.push(h("button", { class: "btn main", type: "button", onclick: () => moveBack(f, alias, before) }, `Move ${alias.name || "default"} back${Object.keys(before.before).length === 1 ? ` to ${words(before.before)}` : ""}…`));
  }
  if (writes() && may("invoke", f)) acts.push(h("button", { class: "btn", type: "button", onclick: () => invoke(f) }, "Invoke…"));
  if (manage) acts.push(h("button", { class: "btn", type: "button", onclick: () => limit(f) }, "Limit…"), h("button", { class: "btn", type: "button", onclick: () => off(f) }, f.state === "off" ? "Switch on…" : "Switch off…"));
  return acts.length ? h("div", { class: "acts" }, acts) : h("p", { class: "tag acts" }, writes() ? "You may look, and change nothing here." : "This host takes no changes here.");
}

const words = (w) => Object.entries(w).map(([v, x]) => `${v === "0" ? "$LATEST" : "v" + v}${Object.keys(w).length > 1 ? ` (${x})` : ""}`).join(", ");

function moveBack(f, alias, before) {
  ask({ title: `Move ${alias.name || "the default alias"} of ${f.name} back`, label: "Move it back", body: h("p", null, `From ${words(alias.weights)} to ${words(before.before)}. Calls that run now end where they are.`),
    done: async () => { await put(`functions/${part(f.name)}/aliases/${part(alias.name || "$default")}`, { weights: before.before, sticky: alias.sticky ?? false, description: alias.description ?? "", ifRevision: alias.revision }); refresh(); } });
}

function limit(f) {
  ask({ title: `Limit of ${f.name}`, label: "Set the limit", body: h("label", { class: "stack" }, "How many calls may run at once; empty for no limit but the router’s capacity", h("input", { type: "text", inputmode: "numeric", name: "limit", autofocus: true, pattern: "[0-9]*", value: f.limit === null ? "" : String(f.limit) })),
    done: async (form) => { const text = form.get("limit").trim(); await put(`functions/${part(f.name)}/limit`, { limit: text === "" ? null : Number(text) }); refresh(); } });
}

function off(f) {
  const on = f.state === "off";
  ask({ title: `${on ? "Switch on" : "Switch off"} ${f.name}`, label: on ? "Switch on" : "Switch off", danger: !on, body: on ? h("label", { class: "stack" }, "With which limit? Empty: none", h("input", { type: "text", inputmode: "numeric", name: "limit", pattern: "[1-9][0-9]*", autofocus: true })) : h("p", null, "Its calls are refused until it is switched on again. Those that run now go on."),
    done: async (form) => { const text = form.get("limit") ?? ""; await put(`functions/${part(f.name)}/limit`, { limit: on ? (text === "" ? null : Number(text)) : 0 }); refresh(); } });
}

function invoke(f) {
  const out = h("div", { role: "status" });
  ask({ title: `Invoke ${f.name}`, label: "Invoke", body: [h("p", { class: "muted" }, "It has effects: this is a real call."), h("label", { class: "stack" }, "Input, JSON", h("textarea", { name: "input", class: "code", rows: 8, spellcheck: "false", autofocus: true }, example(f.schema))), out],
    done: async (form) => {
      const text = form.get("input");
      const bad = text.trim() && fault(text);
      if (bad) throw new Error(`line ${bad.line}: ${bad.message}`);
      const r = await post(`functions/${part(f.name)}/invoke`, text.trim() ? { text } : {});
      out.replaceChildren(h("p", { class: r.outcome === "OK" ? "t-well" : "t-failing" }, mark(r.outcome === "OK" ? "well" : "failing", true), " ", `${r.outcome || r.reason || r.kind}, ${duration(r.tookNS)}`), r.error ? h("p", null, word(r.error)) : "", h("pre", { class: "code", tabindex: "0" }, r.output?.text ? pretty(r.output.text) : ""));
      refresh();
      throw new Error("");
    } });
}

// Returns an input that fits a schema. Types that a schema refers to stand in its $defs; types within types end at the fourth.
function example(schema, depth = 0, defs = schema?.$defs) {
  const pad = "  ".repeat(depth + 1);
  if (!schema) return "";
  const referred = depth < 4 && defs?.[schema.$ref?.split("/").pop()];
  if (referred) return example(referred, depth, defs);
  if (schema.properties) return `{\n${Object.entries(schema.properties).map(([k, v]) => `${pad}${JSON.stringify(k)}: ${example(v, depth + 1, defs)}`).join(",\n")}\n${"  ".repeat(depth)}}`;
  return { string: '""', integer: "0", number: "0", boolean: "false", array: "[]", object: "{}" }[Array.isArray(schema.type) ? schema.type[0] : schema.type] ?? "null";
}

function facts(f) {
  const d = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, ...value));
  const v = f.versions.at(-1) ?? {};
  return h("dl", { class: "facts", "data-key": "facts" }, f.aliases.map((al) => d(al.name || "default", split(al.weights))), d("limit", f.limit === null ? "none" : String(f.limit)), n(f.numbers?.instances) ? d("instances", `${count(f.numbers.ready)} of ${count(f.numbers.instances)} ready`) : null, d("timeout", duration(v.timeoutNS)), n(v.memory) ? d("memory", bytes(v.memory) + " declared") : null,
    d("input", h("code", null, v.in ?? "")), d("output", h("code", null, v.out ?? "")), Object.entries(f.labels ?? v.labels ?? {}).slice(0, 6).map(([k, x]) => d(word(k), word(x))));
}

let joined = { answer: null, name: "", all: null };

/** Returns the series of all versions in an answer, added up. */
function together(answer, f) {
  if (!answer) return null;
  if (joined.answer !== answer || joined.name !== f.name) joined = { answer, name: f.name, all: sumOf(answer, f) };
  return joined.all;
}

function sumOf(answer, f) {
  const at = Object.fromEntries(answer.columns.map((c, i) => [c, i]));
  const sums = new Map();
  for (const s of answer.series) {
    s.points.forEach((p, i) => {
      const old = sums.get(p[0]);
      if (!old) {
        sums.set(p[0], { p: [...p], run: new Map(s.run?.[i] ?? []), wait: new Map(s.wait?.[i] ?? []) });
        return;
      }
      for (let c = 1; c < p.length; c++) old.p[c] = answer.columns[c].endsWith("NS") && /P\d\d/.test(answer.columns[c]) ? Math.max(n(old.p[c]), n(p[c])) : n(old.p[c]) + n(p[c]);
      for (const part of ["run", "wait"]) for (const [from, x] of s[part]?.[i] ?? []) old[part].set(from, n(old[part].get(from)) + n(x));
    });
  }
  const rows = [...sums.values()].sort((x, y) => x.p[0] - y.p[0]);
  return { ...answer, at, series: [{ function: f.name, points: rows.map((r) => r.p), run: rows.map((r) => r.run), wait: rows.map((r) => r.wait) }] };
}

function moves(f) {
  return [...(doc("page:decisions")?.decisions ?? []).filter((d) => d.alias !== undefined && d.alias !== null && d.before && Object.keys(d.before).length).map((d) => ({ t: new Date(d.time).getTime() / 1000, text: `${minute(d.time)} ${d.alias || "default"} → ${words(d.after ?? {})}` })), ...state.restarts.map((t) => ({ t, text: "restart" }))];
}

// All charts of this page have the same time axis.
const spanOf = (g) => [g.x[0], g.x.at(-1) + g.step];

function demand(f, all, route) {
  const r = range(route);
  if (!all) return section("demand", "Demand and capacity", null, null, has("recorder") ? absent(problem("page:series")) : h("p", { class: "muted" }, "The host has no recorder."));
  const c = columns(all);
  const g = grid(all, all.series[0].points, r.seconds);
  const wanted = g.of((p) => (c.runNS(p) || c.calls(p) * c.runP50NS(p)) / 1e9 / g.step);
  const scale = (doc("page:decisions")?.decisions ?? []).filter((d) => d.load).toReversed();
  const series = [{ name: "demand", value: digits(wanted.at(-1) ?? 0), values: wanted, kind: "area", token: "p1" }];
  const now_ = n(f.numbers?.instances);
  const { before, after } = scaled(scale, f);
  if (scale.length || now_) {
    let at = before;
    let i = 0;
    const steps = g.x.map((t) => {
      while (i < scale.length && new Date(scale[i].time).getTime() / 1000 <= t + g.step) at = after[i++];
      return at;
    });
    series.push({ name: "instances", value: String(steps.at(-1) ?? now_), values: steps, kind: "line", step: true, token: "text", strong: true });
  }
  const limit = f.limit === null ? null : n(f.limit);
  if (limit) series.push({ name: `limit ${limit}`, values: g.x.map(() => limit), kind: "line", token: "muted", dash: [2, 3], width: 1 });
  const readout = (t) => {
    const d = scale.findLast((one) => Math.abs(new Date(one.time).getTime() / 1000 - t) <= g.step);
    return d ? [h("b", null, `${d.from} → ${d.to}`), h("span", null, d.rule), h("span", null, "wish ", h("b", null, String(d.wanted))), h("span", null, "stable ", h("b", null, digits(d.load.stable))), h("span", null, "burst ", h("b", null, digits(d.load.burst))), h("span", null, "queue ", h("b", null, String(d.load.queued)))] : null;
  };
  const queue = waiting(f, c, g, r);
  return section("demand", "Demand, capacity, queue", `slots, ${r.words}${scale.length ? "; ▲ ▼ where the scale changed" : ""}`,
    twin("Changes of scale", ["Time, UTC", "Change", "Rule", "Wish", "Stable", "Burst"], () => scale.slice(-60).toReversed().map((d) => [clock(d.time), `${d.from} → ${d.to}`, d.rule, String(d.wanted), digits(d.load.stable), digits(d.load.burst)])),
    chart("demand", { label: `Demand of ${f.name} in slots, ${r.words}: ${digits(wanted.at(-1) ?? 0)} now${limit ? `, limit ${limit}` : ""}.`, height: queue ? 202 : 220, bare: Boolean(queue), left: 56, span: spanOf(g), x: g.x, series, max: limit && limit <= 4 * Math.max(...wanted, now_, 1) ? limit : 1, value: (v) => digits(v), events: moves(f), readout,
      marks: scale.map((d, i) => ({ t: new Date(d.time).getTime() / 1000, y: after[i], up: n(d.to) > n(d.from), text: `${d.from} → ${d.to}` })) }),
    queue);
}

/** Returns how many instances all versions together had before the decisions, and after each of them. Versions without a
 * decision have as many as at present. */
function scaled(scale, f) {
  const own = new Map(); // version → instances
  for (const d of scale) if (!own.has(d.version)) own.set(d.version, n(d.from));
  for (const v of f.versions) if (!own.has(v.version)) own.set(v.version, n(v.numbers?.instances));
  const before = [...own.values()].reduce((a, b) => a + b, 0);
  let total = before;
  const after = scale.map((d) => {
    total += n(d.to) - own.get(d.version);
    own.set(d.version, n(d.to));
    return total;
  });
  return { before, after };
}

// How many calls were waiting, by Little's law: the time that calls have waited in a step, divided by the
// step.
function waiting(f, c, g, r) {
  const width = Math.max(1, Math.round(g.x.length / 60));
  const all = g.of((p) => c.waitNS(p) / 1e9 / g.step);
  const x = g.x.filter((_, i) => i % width === 0);
  const values = x.map((_, i) => { const part_ = all.slice(i * width, (i + 1) * width); return part_.reduce((sum, v) => sum + v, 0) / part_.length; });
  const queued = n(f.numbers?.queued);
  if (!queued && Math.max(0, ...values) < 0.05) return null;
  return chart("waiting", { label: `Calls of ${f.name} that waited for a slot or an instance, ${r.words}: ${queued} now.`, height: 84, left: 56, span: spanOf(g), x, max: 1, value: (v) => digits(v), series: [{ name: "waiting", value: String(queued), values, kind: "bars", token: "stuck" }] });
}

// The rows of the heat map: four in each power of ten, from 1 µs to 100 s.
const rows = Array.from({ length: 33 }, (_, i) => 10 ** (3 + i / 4));

const maps = { wait: { all: null, map: null }, run: { all: null, map: null } };

/** The heat map of an answer. It stays one object while the answer does. */
function cells(all, g, part) {
  if (maps[part].all !== all) maps[part] = { all, map: cellsOf(all, g, part) };
  return maps[part].map;
}

function cellsOf(all, g, part) {
  const byStart = new Map(all.series[0].points.map((p, i) => [p[0], all.series[0][part]?.[i]]));
  const width = Math.max(g.step, Math.round(g.x.length / 60) * g.step);
  const [out, x, p50, p99] = [[], [], [], []];
  for (let t = g.x[0]; t <= g.x.at(-1); t += width) {
    const [bins, exact] = [new Map(), new Map()];
    let sum = 0;
    for (let u = t; u < t + width; u += g.step) {
      for (const [from, calls] of byStart.get(u) ?? []) {
        const row = Math.max(0, rows.findIndex((lo, i) => n(from) < (rows[i + 1] ?? Infinity)));
        bins.set(row, (bins.get(row) ?? 0) + n(calls));
        exact.set(n(from), (exact.get(n(from)) ?? 0) + n(calls));
        sum += n(calls);
      }
    }
    for (const [row, calls] of bins) out.push([t, rows[row], rows[row + 1] ?? rows[row] * 1.78, calls / sum]);
    x.push(t + width / 2);
    for (const [q, list] of [[0.5, p50], [0.99, p99]]) list.push(sum ? quantile(exact, sum, q) : null);
  }
  return { step: width, cells: out, x, p50, p99 };
}

function quantile(buckets, sum, q) {
  let left = q * sum;
  for (const [from, x] of [...buckets].sort((x, y) => x[0] - y[0])) if ((left -= x) <= 0) return from || 1;
  return null;
}

function latency(f, all, route) {
  if (!all) return null;
  const r = range(route);
  const g = grid(all, all.series[0].points, r.seconds);
  const m = f.numbers?.minute;
  const one = (part, title, times) => {
    const map = cells(all, g, part);
    const low = Math.max(1e3, 10 ** Math.floor(Math.log10(Math.min(...map.cells.map((x) => x[1]), 1e9))));
    const high = 10 ** Math.ceil(Math.log10(Math.max(...map.cells.map((x) => x[2]), low * 100)));
    const last = (values) => duration(values.findLast((v) => v !== null));
    return chart("latency-" + part, { label: `${title} of ${f.name}: p50 ${duration(times?.p50)}, p99 ${duration(times?.p99)}.`, height: part === "wait" ? 132 : 150, bare: part === "wait", left: 56, span: spanOf(g), x: map.x, log: [low, high], heat: map, format: (v) => (Math.log10(v) % 1 < 1e-9 ? duration(v).replace(/\.0+/, "") : ""), value: duration, events: state.restarts.map((t) => ({ t, text: "" })),
      series: [{ name: `${title} p99`, value: last(map.p99), values: map.p99, kind: "line", token: "text", dash: [3, 2] }, { name: `${title} p50`, value: last(map.p50), values: map.p50, kind: "line", token: "text" }] });
  };
  return section("latency", "Latency", "share of the calls of each moment, light to dark; lines p50 and p99",
    twin("Latency of the last minute", ["Time", "p50", "p95", "p99"], [["Wait", duration(m?.wait.p50), duration(m?.wait.p95), duration(m?.wait.p99)], ["Run", duration(m?.run.p50), duration(m?.run.p95), duration(m?.run.p99)]]),
    one("wait", "Wait", m?.wait), one("run", "Run", m?.run));
}

const tokens = { failed: "failing", panicked: "p6", timedOut: "stuck", exited: "p2", outputInvalid: "p7", initFailed: "p4", canceled: "idle" };

const sumBy = (points, of) => points.reduce((sum, p) => sum + of(p), 0);

function outcomes(all, route) {
  if (!all) return null;
  const r = range(route);
  const c = columns(all);
  const g = grid(all, all.series[0].points, r.seconds);
  const width = Math.max(1, Math.round(g.x.length / 60));
  const x = g.x.filter((_, i) => i % width === 0);
  const bin = (f) => { const v = g.of(f); return x.map((_, i) => v.slice(i * width, (i + 1) * width).reduce((sum, one) => sum + one, 0) / width / g.step); };
  const sums = c.outcomes.map((o) => [o, sumBy(all.series[0].points, c.of(o))]).filter(([, v]) => v);
  const total = sums.reduce((t, [, v]) => t + v, 0);
  const bad = sums.filter(([o]) => o !== "ok").sort((x1, y1) => y1[1] - x1[1]);
  let below = x.map(() => 0);
  const bars = bad.map(([o, v]) => {
    below = bin(c.of(o)).map((y, i) => y + below[i]);
    return { name: o, value: `${percent(v, total)} %`, values: below, kind: "bars", token: tokens[o] ?? "p5", strong: v === bad[0][1] };
  }).toReversed();
  const ok = sums.find(([o]) => o === "ok");
  const whole = ok ? bin(c.of("ok")).map((v, i) => v + below[i]) : below;
  return section("outcomes", "Outcomes", `calls per second, ${r.words}`,
    twin("Outcomes", ["Outcome", "Calls", "Share, %"], () => sums.map(([o, v]) => [o, count(v), percent(v, total)])),
    total ? chart("outcomes", { label: `Outcomes, ${r.words}: ${sums.map(([o, v]) => `${o} ${percent(v, total)} %`).join(", ")}.`, height: 160, left: 56, span: spanOf(g), x, value: (v) => digits(v), events: [], series: [{ name: "ok", value: `${percent(ok?.[1] ?? 0, total)} %`, values: whole, kind: "bars", token: "g3" }, ...bars] }) : h("p", { class: "muted" }, "No call has ended within this range."));
}

function versions(f) {
  if (f.versions.length < 2) return null;
  return section("versions", "Versions", "last minute", null, table({
    id: "versions", caption: "Versions compared", cards: false, rows: f.versions, key: (v) => v.version,
    columns: [
      { name: "v", title: "Version", cell: (v) => (v.version === "$LATEST" ? v.version : "v" + v.version) },
      { name: "calls", title: "Calls", class: "n", cell: (v) => number(v.numbers?.minute?.calls) },
      { name: "errors", title: "Errors, %", class: "n", cell: (v) => share(v.numbers?.minute?.failures, v.numbers?.minute?.calls, n(v.numbers?.minute?.failures) / n(v.numbers?.minute?.calls) >= 0.01 && "failing") },
      { name: "interval", title: "95 % interval", class: "n p2", cell: (v) => h("td", { class: "n muted" }, interval(n(v.numbers?.minute?.failures), n(v.numbers?.minute?.calls))) },
      { name: "run", title: "Run p99", class: "n", cell: (v) => time(v.numbers?.minute?.run.p99) },
    ],
  }));
}

function failures(f, route) {
  const list = doc("page:failures")?.failures;
  if (!list) return null;
  const groups = new Map();
  for (const one of list) {
    const key = one.outcome + "\0" + (one.error ? normal(one.error) : one.errorType || one.outcome);
    const g = groups.get(key) ?? { message: one.error ? normal(one.error) : one.errorType || one.outcome, outcome: one.outcome, calls: 0, last: one, versions: new Set() };
    g.calls++;
    g.versions.add(one.version);
    groups.set(key, g);
  }
  const sorted = [...groups.values()].sort((x, y) => y.calls - x.calls).slice(0, 8);
  return section("failures", "Failures", "of those kept", a(link("failures", "", { function: f.name }), "All failures"), sorted.length ? table({
    id: "fnfailures", caption: "Failures by message", className: "msgs", cards: false, rows: sorted, key: (g) => g.outcome + g.message,
    columns: [
      { name: "m", title: "Message", cell: (g) => h("span", { class: "fn" }, mark(g.outcome === "TimedOut" ? "stuck" : "failing"), h("a", { href: link("failures", "", { function: f.name, id: g.last.id }), title: g.message }, word(g.message))) },
      { name: "v", title: "Version", class: "p2", cell: (g) => [...g.versions].map((v) => (v === "$LATEST" ? "" : "v" + v)).join(", ") },
      { name: "n", title: "Calls", class: "n", cell: (g) => number(g.calls) }, { name: "l", title: "Last", class: "n", cell: (g) => h("td", { class: "n" }, ago(g.last.start)) },
    ],
  }) : h("p", { class: "muted" }, "None is kept."));
}

function refusals(f) {
  const all = Object.entries(f.numbers?.refused ?? {}).filter(([, v]) => n(v)).sort((x, y) => n(y[1]) - n(x[1]));
  return section("refusals", "Refusals", "by reason, since the start", null, all.length ? table({
    id: "refusals", caption: "Refusals by reason", cards: false, rows: all, key: ([reason]) => reason,
    columns: [{ name: "r", title: "Reason", cell: ([reason]) => reason }, { name: "n", title: "Calls", class: "n", cell: ([, v]) => number(v) }, { name: "c", title: "What helps", class: "wrapok", cell: ([reason]) => cure(reason, f) }],
  }) : h("p", { class: "muted" }, "No call was refused."));
}

function tenants(f) {
  const use = doc("page:usage");
  if (!use) return null;
  const rows = new Map();
  for (const u of use.rows) {
    if (u.function !== f.name) continue;
    const t = rows.get(u.tenant ?? "") ?? { tenant: u.tenant ?? "", calls: 0, failures: 0, list: 0 };
    t.calls += n(u.calls);
    if (u.outcome !== "OK" && u.outcome !== "Canceled" && u.outcome !== "overrun") t.failures += n(u.calls);
    t.list += Number(u.list ?? 0);
    rows.set(t.tenant, t);
  }
  const sorted = [...rows.values()].sort((x, y) => y.calls - x.calls);
  const paid = amounts(sorted.map((t) => t.list));
  return section("tenants", "Tenants", use.source === "ledger" ? "today" : "since the start", null, sorted.length ? table({
    id: "fntenants", caption: `Tenants of ${f.name}`, cards: false, rows: sorted.slice(0, 10), key: (t) => "t:" + t.tenant,
    columns: [
      { name: "t", title: "Tenant", cell: (t) => a(link("failures", "", { function: f.name, tenant: t.tenant }), t.tenant ? word(t.tenant) : "none") },
      { name: "n", title: "Calls", class: "n", cell: (t) => number(t.calls) }, { name: "e", title: "Errors, %", class: "n", cell: (t) => share(t.failures, t.calls, t.failures / t.calls >= 0.01 && "failing") },
      use.book && { name: "c", title: use.book.currency, class: "n", cell: (t) => number(t.list, { text: paid(t.list) }) },
    ].filter(Boolean),
  }) : h("p", { class: "muted" }, "No call has ended yet."), sorted.length > 10 ? h("p", { class: "small muted" }, `and ${sorted.length - 10} more, folded`) : null);
}

const stacks = new Map(); // of runaways, once the viewer has requested them

function runaways(f) {
  const list = (doc("page:runaways")?.runaways ?? []).filter((r) => r.function === f.name);
  return section("runaways", "Runaways", "handlers that run on although their call has ended", null, list.length ? table({
    id: "runaways", caption: "Runaways", cards: false, rows: list, key: (r) => r.id,
    columns: [
      { name: "i", title: "Call", cell: (r) => h("span", { class: "fn" }, mark("stuck"), h("code", { title: r.id }, r.id.slice(0, 13) + "…")) },
      { name: "t", title: "Tenant", cell: (r) => (r.tenant ? word(r.tenant) : "") }, { name: "o", title: "Over by", class: "n", cell: (r) => time(r.overNS) },
      { name: "s", title: "Slot", class: "p2", cell: (r) => (r.replaced ? "given on" : "held") },
      { name: "k", title: "", cell: (r) => h("button", { class: "btn small", type: "button", onclick: async () => { stacks.set(r.id, await get(`runaways/${part(r.id)}/stack`).then((d) => d.stack, (e) => e.message)); refresh("page:runaways"); } }, "Stack") },
    ],
  }) : h("p", { class: "muted" }, "None now."), list.filter((r) => stacks.has(r.id)).map((r) => h("pre", { class: "code", tabindex: "0", "data-key": "stack" + r.id }, stacks.get(r.id))));
}

function cost(f) {
  const use = doc("page:usage");
  if (!use?.book) return null;
  const own = use.rows.filter((u) => u.function === f.name);
  const sum = own.reduce((t, u) => t + Number(u.list ?? 0), 0);
  const calls = own.reduce((t, u) => t + n(u.calls), 0);
  const failed = own.filter((u) => u.outcome !== "OK").reduce((t, u) => t + Number(u.list ?? 0), 0);
  return section("cost", "Cost", `${use.book.currency}, by the list prices of ${use.book.name}`, null, h("dl", { class: "kv" },
    h("dt", null, use.source === "ledger" ? "Today" : "Since the start"), h("dd", null, money(sum)), h("dt", null, "Per million calls"), h("dd", null, calls ? money((sum * 1e6) / calls) : "–"), h("dt", null, "Of it for calls that failed"), h("dd", null, money(failed))));
}

function config(f) {
  const rows_ = f.versions.flatMap((v) => [[f.versions.length > 1 ? `v${v.version} timeout` : "WithTimeout", duration(v.timeoutNS)], [f.versions.length > 1 ? `v${v.version} limits` : "WithLimits", `${bytes(v.maxIn)} in, ${bytes(v.maxOut)} out`]]);
  return section("config", "Configuration", "effective", null, h("dl", { class: "kv" }, [["WithConcurrency", f.limit === null ? "none: the router’s capacity" : String(f.limit)], ["WithWeight", String(f.weight)], n(f.reserved) && ["WithReserved", String(f.reserved)], ...rows_, f.jobPolicy && ["WithRetry", `${f.jobPolicy.retries} retries, first after ${duration(f.jobPolicy.firstNS)}`], f.jobPolicy && ["WithMaxAge", duration(f.jobPolicy.maxAgeNS)]].filter(Boolean).flatMap(([k, v]) => [h("dt", null, k), h("dd", null, v)])));
}

