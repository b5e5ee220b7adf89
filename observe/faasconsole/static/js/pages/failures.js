// Calls that failed, grouped; one of them, with its input, to be run again.

import { h, mark, word, icon } from "../dom.js";
import { doc, problem, has, may, writes, refresh, touch, now } from "../store.js";
import { post, part } from "../api.js";
import { link, here, go, range } from "../route.js";
import { n, plural, count, duration, clock, instant, pretty, fault, diff, bytes } from "../format.js";
import { says, table, section, absent, since, at, fn, number } from "../parts.js";
import { chart, spark, twin } from "../chart.js";
import { s } from "../dom.js";

export function needs(route) {
  if (!has("ring")) return { functions: { path: "functions", every: 5000 } };
  const { id } = route.params;
  const from = new Date(Math.floor((now() - range(route).seconds * 1000) / 60000) * 60000).toISOString();
  const list = { functions: { path: "functions", every: 5000 }, "page:failures": { path: "failures", query: { limit: 1000, function: route.params.function, tenant: route.params.tenant, since: from }, every: 3000 } };
  if (id) {
    list["page:one"] = { path: "failures/" + part(id), every: 0 };
    list["page:input"] = { path: "failures/" + part(id) + "/input", every: 0 };
    if (doc("page:one")?.hasStack) list["page:stack"] = { path: "failures/" + part(id) + "/stack", every: 0 };
  }
  return list;
}

export function view(route) {
  const answer = doc("page:failures");
  const trouble = has("ring") ? problem("page:failures") : { option: "WithRing" };
  const list = answer ? groups(answer.failures) : [];
  const left = h("div", { class: "list", "data-key": "list" }, heading(answer, list, route, trouble), filters(route),
    trouble ? captures(trouble) : answer && (list.length ? [timeline(answer.failures, route), groupTable(list, route)] : nothing(route)));
  if (!route.params.id) return left;
  return h("div", { class: "withdrawer", "data-key": "drawer" }, left, drawer(route));
}

function heading(answer, list, route) {
  const r = range(route);
  if (!answer) return says("none", "Failures");
  const calls = answer.failures.length;
  if (!calls) return says("well", `No call has failed in the ${r.words}`);
  const worst = list[0];
  return says(worst.platform ? "none" : "failing", [`${count(calls)}${calls === 1000 ? " or more" : ""} ${calls === 1 ? "call" : "calls"} failed in the ${r.words}, most of them `, h("a", { class: "link", href: link("functions", worst.function) }, word(worst.function))],
    h("span", { class: "muted" }, plural(list.length, "group", "groups")));
}

function filters(route) {
  const chips = ["function", "tenant"].filter((k) => route.params[k]).map((k) => h("span", { class: "chip on" }, k, " ", word(route.params[k]), h("button", { class: "chipx", type: "button", "aria-label": "Remove the filter " + k, onclick: () => go(here({ [k]: "" })) }, icon("x"))));
  return chips.length ? h("div", { class: "chips", "data-key": "filters" }, chips) : null;
}

function captures(p) {
  if (p.option) return h("div", { class: "empty", "data-key": "none" }, h("p", null, "This host keeps no failures to show. Two lines would:"), h("pre", { tabindex: "0" }, "ring := faas.NewRing(2000, 8<<20, isSecret)\nr := faas.New(faas.WithCapture(ring))\napi := admin.Handler(r, admin.WithRing(ring))"));
  return absent(p);
}

function nothing(route) {
  const wider = { "5m": "1h", "1h": "24h" }[route.params.range ?? "1h"];
  return h("p", { class: "muted", "data-key": "none" }, "Nothing in this range. ", wider ? h("a", { class: "link", href: here({ range: wider }) }, "Look at a wider one") : null);
}

/** The message without what differs from call to call, so that like failures are one group. */
export function normal(text) {
  return (text ?? "").split("\n")[0].replace(/"[^"]*"|'[^']*'/g, "‹s›").replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/gi, "‹id›").replace(/\b\d{4}-\d\d-\d\d\b/g, "‹date›").replace(/\d+(\.\d+)?/g, "‹n›").slice(0, 160);
}

function groups(list) {
  const all = new Map();
  for (const f of list) {
    const message = f.error ? normal(f.error) : f.errorType || f.outcome;
    const key = [f.function, f.outcome, message].join("\0");
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
  return [...all.values()].sort((a, b) => b.calls.length - a.calls.length);
}

const stateOf = (outcome) => ({ TimedOut: "stuck", Panicked: "failing", Exited: "failing", Failed: "failing", OutputInvalid: "failing", InitFailed: "failing" })[outcome] ?? "none";

function timeline(list, route) {
  const r = range(route);
  const width = r.seconds / 60;
  const end = Math.floor(now() / 1000 / width) * width;
  const x = Array.from({ length: 60 }, (_, i) => end - (59 - i) * width);
  const of = (test) => x.map((t) => list.filter((f) => test(f) && new Date(f.start) / 1000 >= t && new Date(f.start) / 1000 < t + width).length);
  const failed = of((f) => f.outcome !== "TimedOut");
  const late = of((f) => f.outcome === "TimedOut");
  return section("when", "When", `calls that failed, each bar ${r.seconds / 60} s`, twin("Failures over time", ["Time", "Failed", "Timed out"], x.map((t, i) => [clock(t * 1000), String(failed[i]), String(late[i])])),
    chart("when", { label: `Failed calls, ${r.words}.`, height: 110, x, format: String, series: [
      { name: "failed", value: String(failed.reduce((a, b) => a + b, 0)), values: failed.map((v, i) => v + late[i]), kind: "bars", token: "failing" },
      { name: "timed out", value: String(late.reduce((a, b) => a + b, 0)), values: late, kind: "bars", token: "stuck" },
    ] }));
}

function groupTable(list, route) {
  const open = (g) => go(here({ id: g.last.id }));
  const end = now();
  const r = range(route);
  const line = (g) => {
    const bins = new Array(30).fill(0);
    for (const f of g.calls) bins[Math.max(0, Math.min(29, Math.floor(30 - (end - new Date(f.start)) / (r.seconds * 1000 / 30))))]++;
    return spark(bins);
  };
  return table({
    id: "failures", caption: "Failures grouped by function, outcome and message", className: "fails", rows: list.slice(0, 200), key: (g) => g.key, selected: list.find((g) => g.calls.some((f) => f.id === route.params.id))?.key, open,
    columns: [
      { name: "name", title: "Function and message", cell: (g) => h("span", null, h("span", { class: "fn" }, mark(stateOf(g.outcome)), h("a", { href: here({ id: g.last.id }) }, word(g.function))), h("span", { class: "msg", title: g.message }, word(g.message))) },
      { name: "outcome", title: "Outcome", class: "p2", cell: (g) => g.outcome },
      { name: "version", title: "Version", class: "p4", cell: (g) => [...g.versions].map((v) => (v === "$LATEST" ? "" : "v" + v)).join(", ") },
      { name: "tenants", title: "Tenants", class: "p3", cell: (g) => (g.tenants.size > 2 ? plural(g.tenants.size, "tenant", "tenants") : [...g.tenants].map((t, i) => [i ? ", " : "", word(t || "none")])) },
      { name: "calls", title: "Calls", class: "n", cell: (g) => number(g.calls.length) },
      { name: "line", title: h("span", { class: "vh" }, "Over time"), class: "p3 spk", label: false, cell: line },
      { name: "first", title: "First", class: "p4", cell: (g) => at(g.first.start) },
      { name: "last", title: "Last", class: "", cell: (g) => since(g.last.start) },
    ],
  });
}

// What the viewer does in the drawer: by the call's ID.
let work = { id: "" };

function drawer(route) {
  const id = route.params.id;
  const f = doc("page:one");
  const close = () => go(here({ id: "" }));
  const head = (title, state) => h("header", null, h("a", { class: "btn back", href: here({ id: "" }) }, "‹ Failures"), h("h2", { tabindex: "-1", id: "drawer-title" }, mark(state), title),
    h("div", { class: "end" }, h("button", { class: "btn icon", type: "button", "aria-label": "Close (Esc)", title: "Close (Esc)", onclick: close }, icon("x"))));
  if (!f) return h("aside", { class: "drawer", "aria-label": "A call that failed", "data-key": id }, head("A call that failed", "none"), problem("page:one") ? h("p", { class: "muted" }, "The host keeps this call no longer, or you may not see it.") : absent());
  if (work.id !== id) work = { id, text: null, target: "", result: null, error: "", busy: false };
  return h("aside", { class: "drawer", "aria-label": "A call that failed", "data-key": id },
    head(f.error ? word(f.error.split("\n")[0].slice(0, 300)) : f.outcome, stateOf(f.outcome)),
    facts(f), phases(f), again(f), work.result ? results(f) : null, stack(f), log(f));
}

function facts(f) {
  const d = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, ...value));
  return h("dl", { class: "facts" }, d("function", fn(f.function)), f.version !== "$LATEST" && d("version", "v" + f.version), d("outcome", f.outcome), f.tenant && d("tenant", h("a", { class: "link", href: here({ tenant: f.tenant }) }, word(f.tenant))),
    d("at", h("time", { datetime: f.start, title: instant(f.start) }, clock(f.start) + " UTC"), ", ", since(f.start)), f.origin.trigger && d("from", word(f.origin.door || f.origin.trigger)), d("attempt", String(f.attempt)),
    f.job && d("job", h("a", { class: "link mono", href: link("jobs", f.job) }, f.job.slice(0, 13) + "…")), d("id", h("code", { title: f.id }, f.id)), f.origin.requestId && d("request", h("code", null, word(f.origin.requestId))), f.replayOf && d("replay of", h("code", null, f.replayOf)));
}

function phases(f) {
  const [wait, run] = [n(f.queuedNS), n(f.durationNS)];
  const all = wait + run || 1;
  return h("div", { "data-key": "phases" }, s("svg", { class: "phase", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { class: "rest", width: 100, height: 4 }), s("rect", { class: "w", width: (100 * wait) / all, height: 4 }), s("rect", { class: "r", x: (100 * wait) / all, width: (100 * run) / all, height: 4 })),
    h("p", { class: "small muted" }, `wait ${duration(wait - n(f.initNS))} · init ${duration(f.initNS)} · run ${duration(run)}${f.cold ? " · cold" : ""}`));
}

function again(f) {
  const input = doc("page:input");
  const of = doc("functions")?.functions.find((one) => one.name === f.function);
  if (!input) {
    const p = problem("page:input");
    return section("again", "Input", null, null, p ? h("p", { class: "muted" }, f.input.kept ? "Inputs are not yours to see here: that needs the right see inputs." : why(f)) : absent());
  }
  const original = input.text === undefined || input.text === null ? null : pretty(input.text);
  if (original === null) return section("again", "Input", null, null, h("p", { class: "muted" }, input.base64 ? `${bytes(f.bytesIn)} that are no text, as base64:` : why(f)), input.base64 ? h("pre", { class: "code", tabindex: "0" }, input.base64.slice(0, 4000)) : null);
  work.text ??= original;
  const bad = fault(work.text);
  const can = may("replay") && writes();
  const lines = work.text.split("\n");
  const before = original.split("\n");
  const send = async (e) => {
    e.preventDefault();
    if (bad || work.busy) return;
    Object.assign(work, { busy: true, error: "" });
    touch();
    try {
      work.result = await post(`failures/${part(f.id)}/replay`, { text: work.text === original ? input.text : work.text, ...(work.target ? { target: work.target } : {}) });
      work.sent = work.text;
    } catch (x) {
      work.error = x.message;
    }
    work.busy = false;
    refresh("page:failures", "functions");
  };
  const targets = of ? [...of.versions.map((v) => (v.version === "$LATEST" ? f.function : `${f.function}:${v.version}`)), ...of.aliases.filter((al) => al.name).map((al) => `${f.function}:${al.name}`)] : [];
  return h("form", { class: "sec", "data-key": "again", onsubmit: send, "aria-labelledby": "h-again" },
    h("header", null, h("h3", { id: "h-again" }, can ? "Run again" : "Input"), h("span", { class: "aside" }, can ? `it has effects: this is a real call${f.tenant ? ", for " : ""}` : "as it was kept", can && f.tenant ? word(f.tenant) : ""),
      work.text !== original && h("span", { class: "end" }, h("button", { class: "btn small", type: "button", onclick: () => { work.text = original; touch(); } }, "Reset input"))),
    h("div", { class: "edit" }, h("ol", { "aria-hidden": "true" }, lines.map((line, i) => h("li", { class: line === before[i] ? "" : "ch" }, String(i + 1)))),
      h("textarea", { "aria-label": "Input, JSON", "aria-describedby": "edit-ok", spellcheck: "false", rows: lines.length, readonly: !can, value: work.text, oninput: (e) => { work.text = e.target.value; touch(); } })),
    h("p", { class: "small ed-ok" + (bad ? " t-failing" : " muted"), id: "edit-ok", role: bad ? "alert" : null }, bad ? `line ${bad.line}: ${bad.message}` : `valid JSON${lines.length !== before.length || work.text !== original ? " · changed" : ""}${input.truncated ? " · cut when it was kept" : ""}${/\[redacted\]/.test(work.text) ? " · redacted values are sent as they stand here" : ""}`),
    can ? h("div", { class: "acts" }, targets.length > 1 && h("label", { class: "field" }, "Version", h("select", { onchange: (e) => { work.target = e.target.value; } }, h("option", { value: "" }, "as it was"), targets.map((t) => h("option", { value: t, selected: work.target === t }, t)))),
      h("button", { class: "btn main", type: "submit", disabled: Boolean(bad) || work.busy }, work.busy ? "Running…" : "Run again")) : h("p", { class: "muted small" }, writes() ? "To run it again needs the right replay." : "This host takes no changes through its API."),
    work.error ? h("p", { class: "t-failing", role: "alert" }, work.error) : null);
}

const why = (f) => (f.input.state ? `The input was not kept: ${f.input.state}.` : "Inputs are not captured; faas.WithCapture would.");

function results(f) {
  const r = work.result;
  const ok = r.outcome === "OK";
  const row = (name, x, y) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, x), h("td", null, y));
  const original = pretty(doc("page:input")?.text ?? "");
  const output = r.output?.text !== undefined && r.output?.text !== null ? pretty(r.output.text) : r.output?.base64 ? "(bytes)" : "";
  return h("section", { class: "sec", "data-key": "result", "aria-label": "The result", role: "status" },
    h("header", null, h("h3", null, "First call and the one run again"), h("span", { class: "aside" }, "marked replay_of ", h("code", null, r.replayOf?.slice(0, 13) ?? ""), "…")),
    h("table", { class: "cmp" }, h("thead", null, h("tr", null, h("td"), h("th", { scope: "col" }, "First"), h("th", { scope: "col" }, "Again"))),
      h("tbody", null, row("outcome", h("span", { class: "t-failing" }, mark(stateOf(f.outcome), true), " ", f.outcome), h("span", { class: ok ? "t-well" : "t-failing" }, mark(ok ? "well" : "failing", true), " ", r.outcome || r.reason || r.kind)),
        row("version", f.version, r.version ?? "–"), row("run", duration(f.durationNS), duration(r.tookNS)), row("error", word(f.error ?? "–"), word(r.error ?? "–")), row("id", h("code", null, f.id.slice(0, 13) + "…"), h("code", null, (r.requestId ?? "").slice(0, 13) + "…")))),
    h("div", { class: "run2" },
      work.sent !== original ? h("div", null, h("p", { class: "small muted" }, "Input, first → again"), differences(original, work.sent)) : null,
      output ? h("div", null, h("p", { class: "small muted" }, "Output"), h("pre", { class: "code", tabindex: "0" }, output)) : null));
}

const differences = (x, y) => h("div", { class: "code diff" }, diff(x, y).map(([sign, line]) => (sign === " " ? h("span", null, line || " ") : h(sign === "-" ? "del" : "ins", null, h("span", { class: "vh" }, sign === "-" ? "removed: " : "added: "), `${sign === "-" ? "−" : "+"} ${line}`))));

function stack(f) {
  if (!f.hasStack) return null;
  const d = doc("page:stack");
  return section("stack", "Stack", null, null, d ? h("pre", { class: "code", tabindex: "0" }, d.stack) : h("p", { class: "muted" }, problem("page:stack") ? "Stacks are not yours to see here: that needs the right see stacks." : "Asking the host…"));
}

function log(f) {
  return f.log ? section("log", "Log", "the last lines of this call", null, h("pre", { class: "code", tabindex: "0" }, f.log)) : null;
}
