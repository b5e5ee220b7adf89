// The overview: whether something is wrong, where, since when, and what the host costs.

import { h, mark, word, stay, standing } from "../dom.js";
import { doc, problem, seriesNeed, columns, grid, has, now, may, state } from "../store.js";
import { range, link } from "../route.js";
import { digits, count, percent, span, money, amount, amounts, plural, minute, clock, duration, weight, n } from "../format.js";
import { says, section, table, number, share, time, a, fn, absent, denied, yours, bar, at, costs, turn } from "../parts.js";
import { chart, twin, spark, thin } from "../chart.js";
import { spending as spendSoFar, over } from "../spend.js";
import { troubles, byTrouble, tally, why, since, culprit } from "../judge.js";

/** The most functions for which the overview requests a series each. If there are more, it requests only
 * their sum. */
export const most = 60;

export function needs(route) {
  const r = range(route);
  const list = {
    functions: { path: "functions", every: 2000 },
    decisions: { path: "decisions", query: { limit: 500 }, every: 5000 },
    runaways: { path: "runaways", every: 5000 },
  };
  if (has("recorder")) {
    list["page:total"] = seriesNeed(r, { by: "total" });
    if ((doc("functions")?.functions.length ?? most + 1) <= most) list["page:series"] = seriesNeed(r, { by: "function" });
  }
  if (has("ledger") || has("recorder")) {
    list.tenants = { path: "tenants", every: 10000 };
    list.usage = { path: "usage", query: { by: "function" }, every: 10000 };
  }
  return list;
}

export function view(route) {
  const answer = doc("functions");
  if (!answer) return absent(problem("functions"));
  const list = answer.functions;
  if (!list.length) return may("see") ? empty() : says("none", "There is no function here that you may see", denied());
  if (!list.some((f) => f.numbers)) return unnumbered(list, route);
  const all = steady(troubles(list, doc("tenants")?.tenants), (t) => t.kind + (t.of?.name ?? t.tenant?.tenant));
  return [
    stay(standing("says"), [all.length, ...all.slice(0, 5).flatMap((t) => [t.kind, t.of ?? t.tenant]), JSON.stringify(tally(list)), doc("page:series"), doc("decisions"), may("see"), location.hash], () => sentence(all, list, route)),
    six(answer, route),
    h("div", { class: "two", "data-key": "two" },
      h("div", null, slots(answer, route), nowTable(list, route)),
      h("div", null, spending(), stay(standing("feed"), [doc("decisions"), doc("runaways"), doc("tenants"), location.hash], feed))),
  ];
}

let order = { at: 0, names: new Map() }; // when the troubles were ranked, and their names in that order

/** Returns the list in its earlier order, if the same list was ranked in the same turn. */
function steady(list, name) {
  const at = turn();
  if (at !== order.at || order.names.size !== list.length || !list.every((one) => order.names.has(name(one)))) {
    order = { at, names: new Map(list.map((one, i) => [name(one), i])) };
    return list;
  }
  return list.toSorted((x, y) => order.names.get(name(x)) - order.names.get(name(y)));
}

let first = { at: 0, length: 0, rows: [] }; // when the functions were ranked, and the places and names of the first ten

/** Returns the first ten functions. In a turn they are the same, while the list has the same functions. */
function ten(list) {
  const at = turn();
  if (at !== first.at || list.length !== first.length || first.rows.some(([i, name]) => list[i].name !== name)) {
    first = { at, length: list.length, rows: byTrouble(list).slice(0, 10).map((f) => [list.indexOf(f), f.name]) };
  }
  return first.rows.map(([i]) => list[i]);
}

function empty() {
  return h("div", { class: "empty", "data-key": "empty" }, says("idle", "No function is registered yet"),
    h("p", null, "A function is registered by name, and called by that name:"),
    h("pre", { tabindex: "0" }, 'faas.Register(r, "hello", func(ctx context.Context, name string) (string, error) {\n\treturn "Hello, " + name, nil\n})\n\n_, err := r.Invoke(ctx, "hello", []byte(`"Ana"`))'),
    h("p", { class: "muted" }, "This page shows it a moment later. Functions that you may not see are not listed."));
}

// For a viewer of one tenant, who may see no number that includes other tenants. All numbers here are of
// that tenant.
function unnumbered(list, route) {
  return [says("none", `${plural(list.length, "function", "functions")} that you may call or look at`, h("span", { class: "muted" }, "Their numbers are sums over all tenants, and not yours to see; failures and costs of your own tenant are.")),
    h("div", { class: "two", "data-key": "two" }, h("div", null, nameTable(list)), h("div", null, spending()))];
}

// The functions without numbers, and what the viewer's tenant has spent on each.
function nameTable(list) {
  const use = doc("usage");
  const { all: cost, paid } = costs(use);
  return section("now", "Functions", null, a(link("functions"), `All ${plural(list.length, "function", "functions")}`), table({
    id: "names", caption: "Functions", className: "now", rows: list.slice(0, 20), key: (f) => f.name,
    columns: [
      { name: "name", title: "Function", of: (f) => f.state, cell: (f) => h("span", { class: "fn" }, mark("none"), h("a", { href: link("functions", f.name), title: f.name }, word(f.name))) },
      { name: "in", title: "Input", class: "p2", of: (f) => f.versions.at(-1)?.in, cell: (f) => h("code", null, f.versions.at(-1)?.in ?? "") },
      use?.book && { name: "cost", title: `Today, ${use.book.currency}`, class: "n", of: (f) => paid(cost.get(f.name) ?? 0), cell: (f) => number(cost.get(f.name) ?? 0, { text: paid(cost.get(f.name) ?? 0) }) },
    ].filter(Boolean),
  }));
}

function sentence(all, list, route) {
  if (!all.length) {
    const idle = tally(list).idle;
    return says("well", allWell(list), idle ? h("span", { class: "muted" }, `${idle} of them idle`) : null);
  }
  const { well = 0, idle = 0 } = tally(list);
  return says(all[0].state, words(all[0], route, true),
    all.slice(1, 5).map((t) => h("span", null, mark(t.state), h("span", null, words(t, route)))),
    all.length > 5 ? h("span", { class: "muted" }, `and ${all.length - 5} more`) : null,
    well + idle ? h("span", { class: "muted" }, mark("well", true), h("span", null, [well && `${plural(well, "function", "functions")} well`, idle && `${idle} idle`].filter(Boolean).join(", "))) : null);
}

const allWell = (list) => (list.length === 1 ? `The one function${yours()} is well` : `All ${count(list.length)} functions${yours()} are well`);

function words(t, route, first) {
  const name = t.of && fn(t.of.name);
  switch (t.kind) {
    case "failing": {
      const { minute: m } = t.of.numbers;
      const from = since(doc("page:series"), t.of.name);
      const on = first && culprit(t.of);
      return [name, " fails ", h("a", { class: "link t-failing", href: link("failures", "", { function: t.of.name }) }, `${percent(n(m.failures), n(m.calls))}\u00a0%`), from ? ` since ${minute(from.at)}` : "", on ? [", nearly all of it on ", a(link("functions", t.of.name), `v${on}`), from ? "" : came(t.of.name, on)] : ""];
    }
    case "waiting": {
      const q = n(t.of.numbers.queued);
      const r = n(t.of.numbers.runaways);
      if (q) return [name, ` waits ${duration(t.of.numbers.minute?.wait.p99)} for a slot`];
      return [name, " has ", a(link("functions", t.of.name), plural(r, "runaway", "runaways"))];
    }
    case "dead": return [name, " has ", a(link("jobs"), plural(t.of.numbers.jobs.dead, "dead job", "dead jobs"))];
    case "refusing": return [name, ` refused ${plural(t.of.numbers.minute.refused, "call", "calls")} within the last minute`];
    case "budget": return [a(link("tenants"), word(t.tenant.tenant || "callers without a tenant")), " has spent its budget"];
    case "off": return [name, " is switched off"];
  }
  return "";
}

// Since when a version has had calls, for a fault that began before the range.
function came(name, version) {
  const d = (doc("decisions")?.decisions ?? []).find((one) => one.function === name && n(one.after?.[version]) && one.before && !n(one.before[version]));
  return d ? `, there since ${minute(d.time)}` : "";
}

function six(answer, route) {
  const t = answer.totals;
  const m = t.minute;
  const total = doc("page:total");
  const c = total?.series[0] && columns(total);
  const g = c && gridOf(total, range(route).seconds);
  const line = (id, f, st) => g && stay(standing("line:" + id), [total, st, location.hash], () => { const el = spark(thin(g.of(f), 60), st, 104, 24); el.setAttribute("data-key", "line:" + id); return el; });
  const calls = n(m.calls);
  const bad = calls && n(m.failures) / calls >= 0.01 ? "failing" : "";
  const waits = n(t.queued) > 0 ? "stuck" : "";
  const [wd, wu] = span(m.wait.p99);
  const [rd, ru] = span(m.run.p99);
  const use = doc("usage");
  const cell = (name, value, unit, below, pic) => h("div", null, h("dt", null, name), h("dd", { class: "v" }, value, unit ? h("span", null, "\u00a0" + unit) : null), h("dd", { class: "s" }, h("span", null, below), pic));
  return h("dl", { class: "six", "aria-label": "Now", "data-key": "six" },
    cell("Calls per second", digits(calls / 60), "", "last minute", c && line("calls", (p) => c.calls(p) / g.step)),
    cell("Errors", percent(n(m.failures), calls), "%", `${count(m.failures)} failed`, c && line("errors", (p) => c.failures(p) / Math.max(1, c.calls(p)), bad)),
    cell("Wait, p99", wd, wu, `p50 ${duration(m.wait.p50)}`, c && line("wait", c.of("waitP99NS"), waits)),
    cell("Run, p99", rd, ru, `p50 ${duration(m.run.p50)}`, c && line("run", c.of("runP99NS"))),
    cell("In flight", count(t.inFlight), t.capacity ? `of ${t.capacity}` : "", n(t.queued) ? plural(t.queued, "waits", "wait") : "none waits", c && line("busy", (p) => busy(c, p, g.step))),
    use?.book ? cell(use.source === "ledger" ? "Spent today" : "Spent since the start", ...amount(use.total.list, use.book.currency), projected(use), spendLine()) : cell("Capacity", t.capacity ?? "–", "calls", "of the whole router", null));
}

// How many calls were running, by Little's law: the time that calls have run in a step, divided by the
// step.
const busy = (c, p, step) => (c.runNS(p) || c.calls(p) * c.runP50NS(p)) / 1e9 / step;

let gridded = { answer: null, grid: null };

/** The grid of an answer with one series. */
function gridOf(answer, seconds) {
  if (gridded.answer !== answer || gridded.seconds !== seconds) gridded = { answer, seconds, grid: grid(answer, answer.series[0].points, seconds) };
  return gridded.grid;
}

let used = { answer: null, hash: "", rows: [] };

/** Slots in use of each series of an answer, and how many calls waited, at each step of the range. */
function uses(answer, r) {
  if (used.answer === answer && used.hash === location.hash) return used.rows;
  const c = columns(answer);
  const rows = answer.series.filter((one) => one.points.length).map((one) => {
    const g = answer.series.length === 1 ? gridOf(answer, r.seconds) : grid(answer, one.points, r.seconds);
    const width = Math.max(1, Math.round(60 / g.step / (r.seconds <= 300 ? 12 : 1)));
    const values = smooth(g.of((p) => busy(c, p, g.step)), width);
    const waits = smooth(g.of((p) => c.waitNS(p) / 1e9 / g.step), width);
    return { name: one.function || "all functions", values, waits, last: values.at(-1) ?? 0, g };
  });
  used = { answer, hash: location.hash, rows };
  return rows;
}

// What was spent since the window began, as far as the page knows.
function spendLine() {
  const d = doc("tenants");
  if (!d?.book) return null;
  return stay(standing("line:spend"), [d], () => {
    const { began, moments } = spendSoFar(d);
    const last = moments.at(-1)[0];
    const x = Array.from({ length: 40 }, (_, i) => began + (i * (last - began)) / 39);
    const el = spark(over(moments, x, (all) => Object.values(all).reduce((a, b) => a + b, 0)).map((v) => v ?? 0), "", 104, 24);
    el.setAttribute("data-key", "line:spend");
    return el;
  });
}

function projected(use) {
  if (!use.end) return "list price";
  const [start, end] = [new Date(use.start).getTime(), new Date(use.end).getTime()];
  const began = Math.max(start, new Date(state.host?.started ?? start).getTime());
  const passed = now() - began;
  if (passed < 60000) return "list price";
  return `${money((Number(use.total.list) * (end - began)) / passed)} by ${minute(end) === "00:00" ? "midnight" : minute(end)}`;
}

function slots(answer, route) {
  const all = doc(answer.functions.length > most ? "page:total" : "page:series");
  const r = range(route);
  if (!has("recorder")) return null;
  if (!all) return section("slots", "Slots", "in use by function", null, absent(problem("page:series") ?? problem("page:total")));
  const bad = new Set(troubles(answer.functions, []).map((t) => t.of.name));
  const rows = uses(all, r).toSorted((x, y) => Number(bad.has(x.name)) - Number(bad.has(y.name)) || x.last - y.last);
  if (!rows.length) return section("slots", "Slots", "in use by function, " + r.words, null, h("p", { class: "muted" }, "No call has ended within this range."));
  const kept = rows.slice(-12);
  const rest = rows.slice(0, -12);
  const well = kept.filter((one) => !bad.has(one.name));
  let p = 0;
  const series = kept.map((one) => ({ name: one.name, value: digits(one.last), values: one.values, kind: "stack", token: bad.has(one.name) ? `p${(p++ % 8) + 1}` : `g${(well.indexOf(one) % 4) + 1}` }));
  if (rest.length) series.unshift({ name: `${rest.length} more`, value: digits(rest.reduce((sum, one) => sum + one.last, 0)), values: rest[0].values.map((_, i) => rest.reduce((sum, one) => sum + (one.values[i] ?? 0), 0)), kind: "stack", token: "g4" });
  const x = kept[0].g.x;
  const queue = x.map((_, i) => rows.reduce((sum, one) => sum + (one.waits[i] ?? 0), 0));
  if (queue.some((v) => v >= 0.5) || n(answer.totals.queued)) series.push({ name: "waiting", value: count(answer.totals.queued), values: queue, kind: "hatch", token: "muted" });
  const capacity = n(answer.totals.capacity);
  if (capacity) series.push({ name: `capacity ${capacity}`, values: x.map(() => capacity), kind: "line", token: "text", strong: true });
  const moves = (doc("decisions")?.decisions ?? []).filter((d) => d.alias !== null && d.alias !== undefined && Object.keys(d.before ?? {}).length);
  return section("slots", "Slots", "in use by function, " + r.words,
    twin("Slots in use by function", ["Function", "Slots in use", "Waiting", "Limit"], () => busiest(answer.functions).map((f) => [word(f.name), String(n(f.numbers.inFlight)), String(n(f.numbers.queued)), f.limit === null ? "–" : String(f.limit)])),
    chart("slots", {
      label: `Slots in use by function, ${r.words}. ${n(answer.totals.inFlight)} of ${capacity || "unlimited"} slots are in use, ${n(answer.totals.queued)} calls wait.`,
      height: 320, x, series, max: capacity, format: (v) => String(v), value: (v) => digits(v),
      events: [...moves.map((d) => ({ t: new Date(d.time).getTime() / 1000, text: `${minute(d.time)} ${d.alias || "default"} of ${clip(d.function)}` })), ...state.restarts.map((t) => ({ t, text: "restart" }))],
    }));
}

// The rows of the table. In a large host these are only functions that have calls in flight or queued.
function busiest(functions) {
  const all = functions.filter((f) => f.numbers);
  return all.length > most ? all.filter((f) => n(f.numbers.inFlight) + n(f.numbers.queued)).slice(0, 200) : all;
}

const clip = (name) => (name.length > 20 ? name.slice(0, 19) + "…" : name);

function smooth(values, width) {
  if (width < 2) return values;
  let sum = values.slice(0, width).reduce((a, b) => a + b, 0); // the first values get the mean of the first width values
  return values.map((v, i) => {
    if (i >= width) sum += v - values[i - width];
    return sum / Math.min(width, values.length);
  });
}

function nowTable(list, route) {
  const all = doc("page:series");
  const r = range(route);
  const c = all && columns(all);
  const use = doc("usage");
  const { all: cost, paid } = costs(use);
  const line = (f) => {
    const s = all?.series.find((one) => one.function === f.name);
    if (!s) return "";
    const g = grid(all, s.points, r.seconds);
    return spark(thin(g.of((p) => c.calls(p) / g.step), 40));
  };
  const rows = ten(list);
  return section("now", "Now", "ranked by errors, then queue and runaways, refusals, dead jobs", a(link("functions"), `All ${plural(list.length, "function", "functions")}`),
    h("div", { class: "cq" }, table({
      id: "now", caption: "Functions, those that need looking at first", className: "now", rows, key: (f) => f.name, basis: [all, use],
      columns: [
        { name: "name", title: "Function", of: (f) => f.state, cell: (f) => h("span", { class: "fn" }, mark(f.state), h("a", { href: link("functions", f.name), title: f.name }, word(f.name))) },
        { name: "why", title: "Why it is here", class: "p2 why", of: why, cell: (f) => why(f) || h("span", { class: "zero" }, "") },
        { name: "since", title: "Since", class: "q4", of: (f) => (f.state === "failing" ? all : null), cell: (f) => { const from = since(all, f.name); return from && f.state === "failing" ? h("span", { class: "muted" }, clock(from.at)) : ""; } },
        { name: "rate", title: "Calls/s", class: "n", of: (f) => f.numbers?.minute?.calls ?? Boolean(f.numbers), cell: (f) => { if (!f.numbers) return number(); const v = n(f.numbers.minute?.calls) / 60; return number(v, { text: digits(v) }); } },
        { name: "line", title: h("span", { class: "vh" }, "Calls, " + r.words), class: "q3 spk", label: false, of: () => all, cell: line },
        { name: "errors", title: "Errors, %", class: "n", of: (f) => `${f.numbers?.minute?.failures} ${f.numbers?.minute?.calls}`, cell: (f) => share(f.numbers?.minute?.failures, f.numbers?.minute?.calls, n(f.numbers?.minute?.failures) / n(f.numbers?.minute?.calls) >= 0.01 && "failing") },
        { name: "wait", title: "Wait p99", class: "n", of: (f) => `${f.numbers?.minute?.wait.p99} ${Boolean(n(f.numbers?.queued))}`, cell: (f) => time(f.numbers?.minute?.wait.p99, n(f.numbers?.queued) ? "stuck" : "") },
        { name: "run", title: "Run p99", class: "n p2 p2x", of: (f) => f.numbers?.minute?.run.p99, cell: (f) => time(f.numbers?.minute?.run.p99) },
        { name: "flight", title: "In flight", class: "n q2", of: (f) => `${f.numbers?.inFlight} ${f.limit}`, cell: (f) => number(f.numbers?.inFlight, { of: f.limit }) },
        { name: "queued", title: "Queued", class: "n q4", of: (f) => f.numbers?.queued, cell: (f) => number(f.numbers?.queued, { bad: "stuck" }) },
        use?.book && { name: "cost", title: `Today, ${use.book.currency}`, class: "n q3", of: (f) => paid(cost.get(f.name) ?? 0), cell: (f) => number(cost.get(f.name) ?? 0, { text: paid(cost.get(f.name) ?? 0) }) },
      ].filter(Boolean),
    })));
}

function spending() {
  const d = doc("tenants");
  return d ? stay(standing("money"), [d, location.hash], () => spent(d)) : null;
}

function spent(d) {
  const rows = d.tenants.filter((t) => t.list || t.budgets).toSorted((x, y) => Number(y.list ?? 0) - Number(x.list ?? 0)).slice(0, 8);
  if (!rows.length) return h("section", { hidden: true, "data-key": "money" });
  const paid = amounts(rows.map((t) => (t.budgets?.[0] ? t.budgets[0].spent.split(" ")[0] : t.list)));
  return h("section", { class: "sec money", "aria-labelledby": "h-money", "data-key": "money" },
    h("header", null, h("h2", { id: "h-money" }, "Spent today"), h("span", { class: "aside" }, `${rows.some((t) => t.budgets?.length) ? "of each tenant’s budget" : "by tenant"}, ${d.book?.currency ?? ""}`)),
    h("table", null, h("caption", { class: "vh" }, "Spent by tenant"),
      h("thead", { class: "vh" }, h("tr", null, h("th", { scope: "col" }, "Tenant"), h("th", { scope: "col" }, "Share"), h("th", { scope: "col" }, "Spent and budget"))),
      h("tbody", null, rows.map((t) => {
        const b = t.budgets?.[0];
        const over = b && (b.part >= 1 || b.refused);
        const [limit] = (b?.limit ?? "").split(" ");
        return h("tr", { "data-key": t.tenant }, h("th", { scope: "row" }, h("span", { class: "fn" }, mark(over ? "refusing" : "well"), h("a", { href: link("tenants") }, t.tenant ? word(t.tenant) : h("span", { class: "muted" }, "no tenant")))),
          h("td", null, b ? bar(`${digits(100 * b.part)} % of the budget`, b.exhausted ? [1, "proj"] : [0, ""], [b.part, over ? "over" : ""]) : ""),
          h("td", { class: "n" }, h("span", { class: over ? "bad refusing" : "" }, paid(b ? b.spent.split(" ")[0] : (t.list ?? 0))), b ? h("span", { class: "of" }, ` / ${Number(limit) < 0.01 ? paid(limit) : money(limit)}`) : null));
      }))));
}

function feed() {
  const items = [];
  for (const d of doc("decisions")?.decisions ?? []) {
    if (d.alias !== null && d.alias !== undefined) {
      items.push({ t: d.time, key: `a${d.time}${d.function}`, text: [h("span", null, d.alias || "default", " of "), fn(d.function), ": ", Object.keys(d.before ?? {}).length ? [weights(d.before), " → "] : "", weights(d.after)], below: [d.by && "by ", d.by && word(d.by)] });
    } else scale(items, d);
  }
  for (const own of Map.groupBy(doc("runaways")?.runaways ?? [], (r) => r.function).values()) items.push(stuck(own));
  for (const t of doc("tenants")?.tenants ?? []) {
    for (const b of t.budgets ?? []) {
      if (b.part >= 1 || b.refused) items.push({ t: new Date(now()).toISOString(), soon: true, state: "refusing", key: "b" + t.tenant, text: [a(link("tenants"), word(t.tenant || "callers without a tenant")), n(t.refused?.budget) ? `: ${plural(t.refused.budget, "call", "calls")} refused` : ": its budget is spent"], below: [`budget spent, until ${minute(b.end)}`] });
      else if (b.exhausted && b.part > 0.5) items.push({ t: new Date(now()).toISOString(), soon: true, key: "b" + t.tenant, text: [a(link("tenants"), word(t.tenant)), `: ${digits(100 * b.part)} % of its budget`], below: [`spent about ${minute(b.exhausted)} at this rate`] });
    }
  }
  items.sort((x, y) => (x.t < y.t ? 1 : -1));
  return section("feed", "What happened", "newest first, UTC", null, items.length
    ? h("ol", { class: "feed" }, items.slice(0, 11).map((i) => h("li", { "data-key": i.key }, i.soon ? h("span", { class: "tag" }, "now") : at(i.t), mark(i.state), h("div", null, i.text, i.below.some(Boolean) ? h("span", { class: "d" }, i.below) : null))))
    : h("p", { class: "muted" }, "Nothing has changed yet: no scale, no alias, no runaway."));
}

// The runaways of one function are one item. The list has the oldest first.
function stuck(list) {
  const [oldest, newest] = [list[0], list.at(-1)];
  const tenants = [...new Set(list.map((r) => r.tenant ?? ""))].filter(Boolean);
  const whose = tenants.length > 2 ? plural(tenants.length, "tenant", "tenants") : tenants.map((t, i) => [i ? ", " : "", word(t)]);
  const held = list.filter((r) => !r.replaced).length;
  return { t: newest.started, key: "r" + oldest.function, state: "stuck",
    text: [fn(oldest.function), list.length === 1 ? `: runaway, ${duration(oldest.overNS)} over its deadline` : `: ${list.length} runaways, the first ${duration(oldest.overNS)} over its deadline`],
    below: [whose, tenants.length ? " · " : "", held ? (list.length === 1 ? "holds a slot" : plural(held, "slot is held", "slots are held")) : list.length === 1 ? "its slot was given on" : "their slots were given on"] };
}

// Changes of a function's scale within a minute of each other are one item.
function scale(items, d) {
  const later = items.findLast((i) => i.of === (d.function ?? ""));
  if (later && new Date(later.first) - new Date(d.time) < 60e3) {
    later.first = d.time;
    later.changes++;
    later.low = Math.min(later.low, n(d.from), n(d.to));
    later.high = Math.max(later.high, n(d.from), n(d.to));
    later.text = [d.function ? fn(d.function) : "capacity", ` ${later.to}, between ${later.low} and ${later.high}`];
    later.below = [`${later.changes} changes since ${clock(d.time)}`];
    return;
  }
  items.push({ t: d.time, first: d.time, of: d.function ?? "", changes: 1, to: d.to, low: Math.min(n(d.from), n(d.to)), high: Math.max(n(d.from), n(d.to)), key: `d${d.time}${d.function ?? ""}`, text: [d.function ? fn(d.function) : "capacity", ` ${d.from} → ${d.to}`], below: [d.rule, d.wanted !== d.to ? `: wish ${d.wanted}` : ""] });
}

function weights(w) {
  const all = Object.entries(w ?? {});
  const sum = all.reduce((t, [, v]) => t + n(v), 0);
  if (!all.length) return "nothing";
  return all.map(([v, x]) => `${v === "0" ? "$LATEST" : "v" + v}${all.length > 1 ? ` ${weight(n(x), sum)} %` : ""}`).join(", ");
}

