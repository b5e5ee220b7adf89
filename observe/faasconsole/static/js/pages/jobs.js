// Jobs: which wait and why, which run, and which were given up.

import { h, mark, word, icon } from "../dom.js";
import { doc, problem, may, writes, refresh, touch } from "../store.js";
import { post, part } from "../api.js";
import { link, here, go } from "../route.js";
import { n, count, plural, duration, clock, minute, instant, pretty, bytes } from "../format.js";
import { says, section, table, number, fn, absent, at, since, ask, a, yours } from "../parts.js";

const states = ["scheduled", "ready", "running", "parked", "dead", "succeeded", "canceled"];

export function needs(route) {
  const list = {
    functions: { path: "functions", every: 3000, whole: true },
    "page:dead": { path: "dead-letters", every: 5000 },
    "page:jobs": { path: "jobs", query: { limit: 200, state: route.params.state || ["running", "ready", "parked", "scheduled"], function: route.params.function }, every: 3000 },
  };
  if (route.name) {
    list["page:job"] = { path: "jobs/" + part(route.name), every: 2000 };
    list["page:input"] = { path: `jobs/${part(route.name)}/input`, every: 0 };
  }
  return list;
}

export function view(route) {
  const totals = doc("functions")?.totals.jobs;
  const main = h("div", { class: "list", "data-key": "list" }, heading(totals), report && h("p", { class: "note", role: "status", "data-key": "report" }, report, h("button", { class: "chipx", type: "button", "aria-label": "Close the note", onclick: () => { report = null; touch(); } }, icon("x"))), numbers(totals), dead(), why(route), counts(totals, route), list(route));
  return route.name ? h("div", { class: "withdrawer", "data-key": "drawer" }, main, drawer(route)) : main;
}

function heading(t) {
  if (!t) return says("none", "Jobs");
  const waits = n(t.ready) + n(t.scheduled) + n(t.parked);
  const rest = h("span", { class: "muted" }, waits + n(t.running) ? `${plural(waits, "waits", "wait")}, ${plural(t.running, "runs", "run")}, ${bytes(t.bytes)} of inputs` : "none waits or runs");
  if (!n(t.dead)) return says("well", waits + n(t.running) ? `No job${yours()} is dead` : `No job${yours()} waits, and none is dead`, rest);
  const groups = (doc("page:dead")?.groups ?? []).toSorted((x, y) => n(y.count) - n(x.count));
  const [g] = groups;
  if (!g) return says("failing", plural(t.dead, "job is dead", "jobs are dead"), rest);
  const others = groups.slice(1).reduce((sum, one) => sum + n(one.count), 0);
  return says("failing", [`${plural(g.count, "job", "jobs")} of `, fn(g.function), ` ${n(g.count) === 1 ? "is" : "are"} dead since ${minute(g.first)}: ${conditions[g.condition] ?? g.condition}`],
    others ? h("span", null, `${plural(others, "more is", "more are")} dead for ${plural(groups.length - 1, "other reason", "other reasons")}`) : null, rest);
}

const conditions = { RetriesExhausted: "retries used up", Permanent: "trying again is of no use", EventAgeExceeded: "too old when their turn came", Invalid: "not what the function takes" };

function numbers(t) {
  if (!t) return null;
  const kept = n(t.ready) + n(t.scheduled) + n(t.parked) + n(t.running) + n(t.dead) + n(t.succeeded) + n(t.canceled);
  const [size, unit] = bytes(t.bytes).split("\u00a0");
  const cells = [["Ready", t.ready, "wait for a slot"], ["Running", t.running, "now"], ["Scheduled", t.scheduled, "due later"], ["Parked", t.parked, "held back"], ["Dead", t.dead, "kept to be replayed"]];
  return h("dl", { class: "six", "aria-label": "Now", "data-key": "six" }, cells.map(([name, v, below]) => h("div", null, h("dt", null, name), h("dd", { class: "v" }, count(v ?? 0)), h("dd", { class: "s" }, h("span", null, below)))),
    h("div", null, h("dt", null, "Inputs"), h("dd", { class: "v" }, size, h("span", null, "\u00a0" + unit)), h("dd", { class: "s" }, h("span", null, `of ${plural(kept, "job", "jobs")} kept`))));
}

// What the jobs in the list wait for, if the list has all waiting jobs.
function why(route) {
  const d = doc("page:jobs");
  const waits = (d?.jobs ?? []).filter((j) => j.waiting);
  if (!d || d.next || route.params.state || route.params.function || !waits.length) return null;
  const reasons = new Map();
  for (const j of waits) {
    const w = j.waiting;
    const name = w.for === "budget" ? `the budget of ${j.tenant || "callers without a tenant"}` : (reason[w.for] ?? w.for);
    const until = w.until && !w.until.startsWith("0001") ? w.until : null;
    const r = reasons.get(name) ?? { name, jobs: 0, until };
    r.jobs++;
    if (until && (!r.until || until < r.until)) r.until = until;
    reasons.set(name, r);
  }
  return section("why", "Why jobs wait", `${plural(waits.length, "job", "jobs")}`, null, table({
    id: "why", caption: "Why jobs wait", cards: false, rows: [...reasons.values()].sort((x, y) => y.jobs - x.jobs), key: (r) => r.name,
    columns: [{ name: "r", title: "Reason", class: "wrapok", cell: (r) => word(r.name) }, { name: "n", title: "Jobs", class: "n", cell: (r) => number(r.jobs) }, { name: "u", title: "Next", class: "n muted", cell: (r) => (r.until ? at(r.until) : h("span", { class: "zero" }, "–")) }],
  }));
}

function counts(t, route) {
  if (!t) return null;
  return h("div", { class: "chips", role: "group", "aria-label": "Filter by state", "data-key": "chips" }, states.filter((one) => n(t[one]) || route.params.state === one).map((one) => h("button", { class: "chip", type: "button", "aria-pressed": String(route.params.state === one), onclick: () => go(here({ state: route.params.state === one ? "" : one })) }, `${one} ${count(t[one] ?? 0)}`)),
    route.params.function && h("span", { class: "chip on" }, "function ", word(route.params.function), h("button", { class: "chipx", type: "button", "aria-label": "Remove the filter", onclick: () => go(here({ function: "" })) }, icon("x"))));
}

function dead() {
  const d = doc("page:dead");
  if (!d) return null;
  return section("dead", "Dead letters", "grouped by function and reason", null, d.groups.length ? table({
    id: "dead", caption: "Dead letters, grouped", rows: d.groups, key: (g) => [g.function, g.condition, g.outcome, g.reason, g.errorType].join("\0"),
    columns: [
      { name: "f", title: "Function", cell: (g) => h("span", { class: "fn" }, mark("failing"), h("a", { href: link("jobs", g.example) }, word(g.function))) },
      { name: "c", title: "Condition", class: "wrapok", cell: (g) => g.condition },
      { name: "w", title: "How the last delivery ended", class: "p2 p2x", cell: (g) => word(g.outcome || g.reason || g.errorType || "–") },
      { name: "t", title: "Tenants", class: "p3", cell: (g) => (g.tenants.length > 2 ? plural(g.tenants.length, "tenant", "tenants") : g.tenants.map((t, i) => [i ? ", " : "", word(t || "none")])) },
      { name: "n", title: "Jobs", class: "n", cell: (g) => number(g.count, { bad: "failing" }) },
      { name: "1", title: "First", class: "n muted p4", cell: (g) => at(g.first) }, { name: "2", title: "Last", class: "n muted p2", cell: (g) => since(g.last) },
      { name: "x", title: "", class: "n act", label: false, cell: (g) => h("span", { class: "acts" }, writes() && may("replay") && h("button", { class: "btn small", type: "button", onclick: () => bulk("replay", g) }, `Replay ${n(g.count)}…`), writes() && may("manage") && h("button", { class: "btn small", type: "button", onclick: () => bulk("purge", g) }, `Purge ${n(g.count)}…`)) },
    ],
  }) : h("p", { class: "muted" }, "None."));
}

let report = null; // the result of the last change of many jobs

/** A change of many jobs: it counts them, asks for the function's name, and then makes the change. */
function bulk(verb, g) {
  const words = verb === "replay" ? "would be sent again" : "would be forgotten";
  const filter = { function: g.function, condition: g.condition, states: ["dead"] };
  let expect = null; // the count that the viewer was shown; the host changes no other number of jobs
  const counted = h("p", { role: "status" }, "Counting…");
  post(`jobs/${verb}`, { filter }).then((d) => { expect = d.matched; counted.textContent = `${plural(d.matched, "job", "jobs")} of this function and condition ${words}.`; }, (e) => (counted.textContent = e.message));
  ask({ title: `${verb === "replay" ? "Replay" : "Purge"} dead jobs of ${g.function}`, label: verb === "replay" ? "Replay" : "Purge", danger: verb === "purge", body: [counted, h("label", { class: "stack" }, h("span", null, "Type ", h("b", null, word(g.function)), " to confirm"), h("input", { type: "text", name: "name", autocomplete: "off", autofocus: true }))],
    done: async (form) => {
      if (form.get("name") !== g.function) throw new Error("That is not the function’s name.");
      if (expect === null) throw new Error("The jobs are not counted yet.");
      const d = await post(`jobs/${verb}`, { filter, expect });
      report = [mark(n(d.done) === n(d.matched) ? "well" : "refusing", true), h("span", null, `${plural(d.done, "job", "jobs")} of `, word(g.function), ` ${n(d.done) === 1 ? "was" : "were"} ${verb === "replay" ? "sent again" : "forgotten"}.${n(d.done) < n(d.matched) ? ` ${count(n(d.matched) - n(d.done))} ${n(d.matched) - n(d.done) === 1 ? "was" : "were"} not${d.reason ? `: ${d.reason}` : ""}.` : ""}`)];
      refresh();
      touch();
    } });
}

function waiting(j) {
  const w = j.waiting;
  if (!w) return j.state === "running" ? (j.progress ? `${n(j.progress.done)} of ${n(j.progress.total)}` : "") : (j.condition ?? "");
  const until = w.until && !w.until.startsWith("0001") ? ` until ${clock(w.until)}` : "";
  return (reason[w.for] ?? w.for) + until;
}

const reason = { due: "due later", backoff: "backoff after an attempt", key: "its order key", turn: "its tenant’s turn", budget: "its tenant’s budget", handler: "its own runaway", function: "a host that has the function", off: "the function is off" };

function list(route) {
  const d = doc("page:jobs");
  if (!d) return absent(problem("page:jobs"));
  return section("jobs", "Jobs", `${route.params.state ? "" : "that wait or run, "}in the order of acceptance${d.next ? ", the first 200" : ""}`, null, d.jobs.length ? table({
    id: "jobs", caption: "Jobs", rows: d.jobs, key: (j) => j.id, selected: route.name, open: (j) => go(link("jobs", j.id, { state: route.params.state })),
    columns: [
      { name: "i", title: "Job", cell: (j) => h("a", { class: "mono", href: link("jobs", j.id, { state: route.params.state }), title: j.id }, j.id.slice(0, 13) + "…") },
      { name: "f", title: "Function", cell: (j) => fn(j.function) }, { name: "s", title: "State", cell: (j) => h("span", { class: j.state === "dead" ? "t-failing" : "" }, mark(j.state === "dead" ? "failing" : j.state === "parked" ? "stuck" : j.state === "succeeded" ? "well" : "idle", true), " ", j.state) },
      { name: "w", title: "Why", class: "p2 wrapok", cell: waiting }, { name: "t", title: "Tenant", class: "p3", cell: (j) => (j.tenant ? word(j.tenant) : "") },
      { name: "a", title: "Attempts", class: "n p2", cell: (j) => number(j.attempts) }, { name: "d", title: "Deliveries", class: "n p4", cell: (j) => number(j.deliveries) },
      { name: "c", title: "Accepted", class: "n muted", cell: (j) => at(j.accepted) },
    ],
  }) : h("p", { class: "muted" }, route.params.state ? "None." : "None waits or runs. A function’s Send makes a call that is made later."));
}

function drawer(route) {
  const j = doc("page:job");
  const head = (title, st) => h("header", null, h("a", { class: "btn back", href: link("jobs") }, "‹ Jobs"), h("h2", { tabindex: "-1", id: "drawer-title" }, mark(st), title), h("div", { class: "end" }, h("a", { class: "btn icon", href: link("jobs", "", { state: route.params.state }), "aria-label": "Close", title: "Close" }, icon("x"))));
  if (!j) return h("aside", { class: "drawer", "aria-label": "A job", "data-key": route.name }, head("A job", "none"), problem("page:job") ? h("p", { class: "muted" }, "The host keeps this job no longer, or you may not see it.") : absent());
  const d = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, ...value));
  const settled = ["succeeded", "dead", "canceled"].includes(j.state);
  const input = doc("page:input");
  return h("aside", { class: "drawer", "aria-label": "A job", "data-key": route.name },
    head(h("span", null, word(j.function), `, ${j.state}`), j.state === "dead" ? "failing" : j.state === "succeeded" ? "well" : "idle"),
    h("dl", { class: "facts" }, d("function", fn(j.function.split(":")[0])), j.tenant && d("tenant", word(j.tenant)), j.condition && d("condition", j.condition), j.waiting && d("waits for", waiting(j)), d("accepted", h("time", { datetime: j.accepted, title: instant(j.accepted) }, clock(j.accepted) + " UTC")), d("due", clock(j.due)), settled && d("settled", clock(j.settled)), d("attempts", String(n(j.attempts))), d("deliveries", String(n(j.deliveries))), d("time used", duration(j.usedNS)), j.orderKey && d("order key", word(j.orderKey)), j.uniqueKey && d("unique key", word(j.uniqueKey)), j.replayOf && d("replay of", a(link("jobs", j.replayOf), h("code", null, j.replayOf.slice(0, 13) + "…"))), d("id", h("code", null, j.id))),
    j.progress && h("p", null, `${n(j.progress.done)} of ${n(j.progress.total)} `, word(j.progress.note ?? "")),
    j.last && section("last", "Last delivery", clock(j.last.at) + " UTC", null, h("p", { class: j.last.outcome === "OK" ? "" : "t-failing" }, j.last.outcome || j.last.reason || j.last.kind, j.last.error ? [": ", word(j.last.error)] : "")),
    section("input", "Input", bytes(j.bytes), null, input ? h("pre", { class: "code", tabindex: "0" }, input.text !== undefined && input.text !== null ? pretty(input.text) : (input.base64 ?? "")) : h("p", { class: "muted" }, problem("page:input") ? "Inputs are not yours to see here: that needs the right see inputs." : "Asking the host…")),
    h("div", { class: "acts" },
      settled && writes() && may("replay") && h("button", { class: "btn main", type: "button", onclick: () => replay(j, input) }, "Replay…"),
      !settled && writes() && may("manage") && h("button", { class: "btn", type: "button", onclick: () => cancel(j) }, "Cancel…")));
}

function replay(j, input) {
  const text = input?.text !== undefined && input?.text !== null ? pretty(input.text) : null;
  ask({ title: `Replay this job of ${j.function}`, label: "Replay", body: [h("p", { class: "muted" }, "A new job is made; this one stays as it is."), text !== null ? h("label", { class: "stack" }, "Input, JSON", h("textarea", { class: "code", name: "input", rows: Math.min(20, text.split("\n").length + 1), spellcheck: "false", autofocus: true }, text)) : null],
    done: async (form) => {
      const edited = form.get("input");
      const made = await post(`jobs/${part(j.id)}/replay`, edited !== null && edited !== text ? { text: edited } : {});
      go(link("jobs", made.id));
    } });
}

function cancel(j) {
  ask({ title: `Cancel this job of ${j.function}`, label: "Cancel the job", danger: true, body: h("p", null, j.state === "running" ? "It runs: its context ends at once." : "It will not run."), done: async () => { await post(`jobs/${part(j.id)}/cancel`, {}); refresh(); } });
}
