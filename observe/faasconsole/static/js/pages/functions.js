// All functions, as a table.

import { h, mark, word, stay, standing } from "../dom.js";
import { doc, askedAt, problem, seriesNeed, columns, grid, has, may } from "../store.js";
import { range, link, here, go } from "../route.js";
import { digits, amount, plural, count, n } from "../format.js";
import { says, table, number, share, time, absent, denied, yours, split, costs, steadily } from "../parts.js";
import { spark, thin } from "../chart.js";
import { troubles, byTrouble, tally } from "../judge.js";
import { most } from "./overview.js";

export function needs(route) {
  const list = { functions: { path: "functions", every: 2000 } };
  if (has("recorder") && (doc("functions")?.functions.length ?? most + 1) <= most) list["page:series"] = seriesNeed(range(route), { by: "function" });
  if (has("ledger") || has("recorder")) list.usage = { path: "usage", query: { by: "function" }, every: 10000 };
  return list;
}

const states = ["failing", "stuck", "refusing", "well", "idle", "off"];

export function view(route) {
  const answer = doc("functions");
  if (!answer) return absent(problem("functions"));
  const { state, label, q } = route.params;
  const all = answer.functions;
  if (!all.length && !may("see")) return says("none", "There is no function here that you may see", denied());
  const ranked = ["name", "-name", undefined].includes(route.params["functions-sort"]);
  const ordered = ranked ? steadily("trouble", all, (f) => f.name, byTrouble) : all;
  const list = !state && !label && !q ? ordered : ordered.filter((f) => (!state || f.state === state) && (!label || labels(f).includes(label)) && (!q || f.name.toLowerCase().includes(q.toLowerCase())));
  const bad = new Set(troubles(all, []).map((t) => t.of.name)).size;
  const of = tally(all);
  const use = doc("usage");
  const seen = all.some((f) => f.numbers);
  const facts = [`${count(all.length)} in all`, seen && `${digits(n(answer.totals.minute.calls) / 60)} calls per second`, use?.book && `${amount(use.total.list, use.book.currency).join("\u00a0")} ${use.source === "ledger" ? "today" : "since the start"}`];
  const own = columnsOf(route);
  const off = hidden(route);
  return [
    h("div", { class: "head", "data-key": "head" }, says(!seen && all.length ? "none" : bad ? (of.failing ? "failing" : "refusing") : "well", !all.length ? "No function is registered yet" : !seen ? `${plural(all.length, "function", "functions")} that you may call or look at` : bad ? `${plural(bad, "function needs", "functions need")} looking at` : all.length === 1 ? `The one function${yours()} is well` : `All ${count(all.length)} functions${yours()} are well`,
      h("span", { class: "muted" }, facts.filter(Boolean).join(" · "))), all.length ? stay(standing("choose"), [own.map((c) => c.name).join(), location.hash], () => chooser(own, route)) : null),
    stay(standing("chips"), [JSON.stringify(of), askedAt("functions"), all.length, location.hash], () => h("div", { class: "chips", role: "group", "aria-label": "Filters", "data-key": "chips" },
      states.filter((one) => of[one]).map((one) => chip(`${one} ${of[one]}`, state === one, here({ state: state === one ? "" : one }), mark(one, true))),
      [...new Set(all.flatMap(labels))].sort().slice(0, 12).map((one) => chip(word(one), label === one, here({ label: label === one ? "" : one }))),
      h("label", { class: "field" }, h("span", { class: "vh" }, "Name contains"), h("input", { type: "text", value: q ?? "", placeholder: "Name contains…", oninput: (e) => go(here({ q: e.target.value }), true) })))),
    list.length ? functionTable(list, own.filter((c) => !off.has(c.name))) : all.length ? h("p", { class: "muted" }, "No function matches these filters.") : null,
    h("p", { class: "tag", "data-key": "hint" }, h("kbd", null, "j"), " ", h("kbd", null, "k"), " move · ", h("kbd", null, "enter"), " open · ", h("kbd", null, "?"), " all keys"),
  ];
}

const labelsOf = (f) => f.labels ?? f.versions[0]?.labels ?? {};
const labels = (f) => Object.entries(labelsOf(f)).map(([k, v]) => `${k}=${v}`);
const chip = (text, on, to, pic) => h("button", { class: "chip", type: "button", "aria-pressed": String(on), onclick: () => go(to) }, pic, text);

const hidden = (route) => new Set((route.params.hide ?? "").split(",").filter(Boolean));

// A menu of the columns. The first column can't be hidden.
function chooser(own, route) {
  const off = hidden(route);
  const others = own.filter((c) => c.name !== "name" && c.name !== "line");
  const flip = (name) => here({ hide: [...(off.has(name) ? [...off].filter((one) => one !== name) : [...off, name])].join(",") });
  return h("details", { class: "choose", "data-key": "choose" }, h("summary", { class: "btn" }, "Columns", h("span", { class: "muted" }, ` ${others.filter((c) => !off.has(c.name)).length} of ${others.length}`)),
    h("ul", { class: "pop" }, others.map((c) => h("li", null, h("label", null, h("input", { type: "checkbox", checked: !off.has(c.name), onchange: () => go(flip(c.name), true) }), c.title)))));
}

const functionTable = (list, columns_) => table({ id: "functions", caption: "Functions", rows: list, key: (f) => f.name, order: "name", ranked: "name", open: (f) => go(link("functions", f.name)), columns: columns_, basis: [doc("page:series"), doc("usage")] });

function columnsOf(route) {
  const answer = doc("page:series");
  const c = answer && columns(answer);
  const r = range(route);
  const use = doc("usage");
  const { all: cost, paid } = costs(use);
  const m = (f) => f.numbers?.minute;
  const rate = (f) => n(m(f)?.calls) / 60;
  const line = (f) => {
    const s = answer?.series.find((one) => one.function === f.name);
    if (!s) return "";
    const g = grid(answer, s.points, r.seconds);
    return spark(thin(g.of((p) => c.calls(p) / g.step), 40));
  };
  const q = (name, title, of, cls) => ({ name, title, class: "n " + cls, sort: (f) => n(of(f)), of, cell: (f) => time(of(f)) });
  return [
    { name: "name", title: "State and function", first: "", sort: true, of: (f) => `${f.state} ${labels(f)[0]}`, cell: (f) => h("span", { class: "fn" }, mark(f.state), h("a", { href: link("functions", f.name), title: f.name }, word(f.name)), h("span", { class: "tag p3" }, word(Object.values(labelsOf(f))[0] ?? ""))) },
    { name: "version", title: "Version", class: "p3", of: (f) => f.aliases, cell: version },
    { name: "rate", title: "Calls/s", class: "n", sort: rate, of: (f) => m(f)?.calls ?? Boolean(f.numbers), cell: (f) => (f.numbers ? number(rate(f), { text: digits(rate(f)) }) : number()) },
    { name: "line", title: h("span", { class: "vh" }, "Calls, " + r.words), class: "p3 spk", label: false, of: () => answer, cell: line },
    { name: "errors", title: "Errors, %", class: "n", sort: (f) => n(m(f)?.failures) / Math.max(1, n(m(f)?.calls)), of: (f) => `${m(f)?.failures} ${m(f)?.calls}`, cell: (f) => share(m(f)?.failures, m(f)?.calls, n(m(f)?.failures) / n(m(f)?.calls) >= 0.01 && "failing") },
    q("w50", "Wait p50", (f) => m(f)?.wait.p50, "p5"), q("w95", "Wait p95", (f) => m(f)?.wait.p95, "p5"), q("w99", "Wait p99", (f) => m(f)?.wait.p99, "p2"),
    q("r50", "Run p50", (f) => m(f)?.run.p50, "p5"), q("r95", "Run p95", (f) => m(f)?.run.p95, "p4"), { ...q("r99", "Run p99", (f) => m(f)?.run.p99, ""), label: "run p99" },
    { name: "flight", title: "In flight", class: "n p2", sort: (f) => n(f.numbers?.inFlight), of: (f) => `${f.numbers?.inFlight} ${f.limit}`, cell: (f) => number(f.numbers?.inFlight, { of: f.limit }) },
    { name: "queued", title: "Queued", class: "n p3", sort: (f) => n(f.numbers?.queued), of: (f) => f.numbers?.queued, cell: (f) => number(f.numbers?.queued, { bad: "stuck" }) },
    { name: "cold", title: "Cold, %", class: "n p5", sort: (f) => n(m(f)?.cold) / Math.max(1, n(m(f)?.calls)), of: (f) => `${m(f)?.cold} ${m(f)?.calls}`, cell: (f) => share(m(f)?.cold, m(f)?.calls) },
    { name: "runaways", title: "Runaways", class: "n p4", sort: (f) => n(f.numbers?.runaways), of: (f) => f.numbers?.runaways, cell: (f) => number(f.numbers?.runaways, { bad: "stuck" }) },
    use?.book && { name: "cost", title: `Today, ${use.book.currency}`, class: "n p3", sort: (f) => cost.get(f.name) ?? 0, of: (f) => paid(cost.get(f.name) ?? 0), cell: (f) => number(cost.get(f.name) ?? 0, { text: paid(cost.get(f.name) ?? 0) }) },
  ].filter(Boolean);
}

function version(f) {
  const live = f.aliases.find((al) => al.name === "live") ?? f.aliases[0];
  if (live) return split(live.weights);
  return f.versions.length > 1 ? plural(f.versions.length, "version", "versions") : f.versions[0]?.version === "$LATEST" ? "" : "v" + f.versions[0]?.version;
}
