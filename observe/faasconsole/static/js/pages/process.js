// The process: its memory and goroutines, its log, and the audit trail.

import { h, word, mark } from "../dom.js";
import { doc, problem, has, may, now } from "../store.js";
import { n, count, bytes, digits, duration, long, instant, clock } from "../format.js";
import { says, section, table, absent, denied, at } from "../parts.js";

export function needs(route) {
  const list = { functions: { path: "functions", every: 5000 } };
  if (may("see")) list["page:process"] = { path: "process", every: 2000 };
  if (has("tail")) list["page:log"] = { path: "log", query: { limit: 200, level: route.params.level }, every: 2000 };
  if (may("manage")) list["page:audit"] = { path: "audit", query: { limit: 100 }, every: 5000 };
  return list;
}

export function view(route) {
  const p = doc("page:process");
  if (!may("see")) return says("none", "The process is not yours to see", denied());
  if (!p) return [says("none", "Process"), absent(problem("page:process"))];
  const six = [["Goroutines", count(p.goroutines), "", `${p.processors} processors`], ["Live heap", ...bytes(p.heapLive).split("\u00a0"), `${bytes(p.obtained)} in all`], ["GC", digits(100 * p.gcShare), "%", `${count(p.gcs)} cycles`], ["In flight", count(p.inFlight), `of ${p.capacity}`, `${count(p.queued)} wait`], ["Admitted", count(p.admitted), "", "since the start"], ["Up", long((now() - new Date(p.started)) / 1000), "", `since ${clock(p.started)}`]];
  return [
    says(n(p.hookPanics) ? "failing" : "well", p.closing ? "The host is shutting down" : n(p.hookPanics) ? `${count(p.hookPanics)} hooks have panicked` : "The process is well", h("span", { class: "muted" }, `up ${long((now() - new Date(p.started)) / 1000)}, since ${instant(p.started)}`)),
    h("dl", { class: "six", "aria-label": "Now", "data-key": "six" }, six.map(([name, v, unit, below]) => h("div", null, h("dt", null, name), h("dd", { class: "v" }, v, unit ? h("span", null, "\u00a0" + unit) : null), h("dd", { class: "s" }, h("span", null, below))))),
    h("div", { class: "cols2", "data-key": "cols" },
      section("router", "Router", null, null, h("dl", { class: "kv" }, [["Capacity", String(p.capacity)], ["Runaways", count(p.runaways)], ["Hooks that panicked", count(p.hookPanics)], ["Streams of this API", count(p.streams)], ["GC pauses, in all", duration(p.gcPauseNS)], ...Object.entries(p.refused ?? {}).map(([r, v]) => [`Refused: ${r}`, count(v)])].flatMap(([k, v]) => [h("dt", null, k), h("dd", null, v)]))),
      section("modules", "Modules", "that the program was built with", null, table({ id: "modules", caption: "Modules", cards: false, rows: p.modules.slice(0, 12), key: (m) => m.path, columns: [{ name: "p", title: "Module", class: "wrapok", cell: (m) => word(m.path) }, { name: "v", title: "Version", class: "n", cell: (m) => h("td", { class: "n" }, m.version ?? "") }] }), p.modules.length > 12 ? h("p", { class: "small muted" }, `and ${p.modules.length - 12} more, folded`) : null)),
    log(), audit(),
  ];
}

function log() {
  const d = doc("page:log");
  if (!has("tail")) return null;
  return section("log", "Log", "the last lines, newest first, UTC", null, d ? d.lines.length ? h("div", { class: "log", tabindex: "0", role: "region", "aria-label": "Log" }, h("ol", { class: "feed" }, d.lines.slice(-60).toReversed().map((l) => h("li", { "data-key": String(l.seq) }, at(l.time), mark({ ERROR: "failing", WARN: "refusing" }[l.level], true), h("div", null, h("span", { class: "vh" }, l.level + " "), word(l.message), h("span", { class: "d mono" }, word(attributes(l.json)))))))) : h("p", { class: "muted" }, "No line yet.") : absent(problem("page:log")));
}

/** Returns the attributes of a log line as key=value, without those that have their own columns. It cuts the
 * text of the line, so that no number changes. */
export function attributes(json) {
  const rest = json.replace(/^\{("(time|level|msg)":("(?:[^"\\]|\\.)*"|[^,}]*),?)*/, "").replace(/\}$/, "");
  const text = rest.replace(/("(?:[^"\\]|\\.)*"):/g, (_, key) => key.slice(1, -1) + "=").replace(/=("[^\s"\\=,{}[\]]*")/g, (_, v) => "=" + v.slice(1, -1)).replace(/,(?=[\w.]+=)/g, " ");
  return text.length > 400 ? text.slice(0, 400) + "…" : text;
}

function audit() {
  const d = doc("page:audit");
  if (!may("manage")) return null;
  return section("audit", "Audit", "who has changed, read or been denied what, newest first, UTC", null, d ? d.entries.length ? table({
    id: "audit", caption: "Audit", rows: d.entries.slice(0, 60), key: (e) => e.time + e.verb,
    columns: [{ name: "w", title: "Who", cell: (e) => word(e.who.id || e.who.kind) }, { name: "t", title: "Time", cell: (e) => at(e.time) }, { name: "v", title: "What", cell: (e) => e.verb }, { name: "f", title: "Function", class: "p2", cell: (e) => (e.function ? word(e.function) : "") }, { name: "o", title: "Object", class: "p3", cell: (e) => (e.object ? h("code", null, word(e.object.slice(0, 40))) : "") }, { name: "d", title: "Change", class: "p3", cell: (e) => (e.detail ? word(e.detail) : "") }, { name: "a", title: "From", class: "p4", cell: (e) => word(e.from) }, { name: "r", title: "Result", cell: (e) => h("span", { class: e.result === "denied" ? "t-refusing" : e.result === "failed" ? "t-failing" : "" }, e.result) }],
  }) : h("p", { class: "muted" }, "Nothing was changed or denied since the start.") : absent(problem("page:audit")));
}

