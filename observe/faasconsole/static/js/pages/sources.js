// Sources, which start functions for events from outside.

import { h, mark, word } from "../dom.js";
import { doc, problem, has, may, writes, refresh } from "../store.js";
import { post, part } from "../api.js";
import { plural } from "../format.js";
import { says, yours, section, table, number, time, fn, absent, at } from "../parts.js";

export function needs() {
  return { functions: { path: "functions", every: 5000 }, ...(has("drivers") ? { "page:sources": { path: "sources", every: 2000 } } : {}) };
}

const stateOf = { running: "well", paused: "idle", restarting: "failing", stopping: "stuck", stopped: "idle" };

export function view() {
  const d = has("drivers") ? doc("page:sources") : { sources: [] };
  if (!d) return [says("none", "Sources"), absent(problem("page:sources"))];
  const list = d.sources;
  const bad = list.filter((s) => s.state === "restarting");
  const held = list.filter((s) => s.state === "paused");
  return [
    bad.length ? says("failing", [word(bad[0].name), ` restarts, ${plural(bad[0].restarts, "time", "times")} so far`]) : says(list.length ? "well" : "none", list.length ? list.length - held.length === 1 ? "The one source runs" : held.length ? `${list.length - held.length} of ${list.length} sources run` : `All ${list.length} sources run` : `There is no source${yours()}`, held.length ? h("span", { class: "muted" }, `${held.length} paused`) : null),
    list.length ? section("sources", "Sources", "and how far behind they are", null, table({
      id: "sources", caption: "Sources", rows: list, key: (s) => s.name,
      columns: [
        { name: "s", title: "Source", cell: (s) => h("span", { class: "fn" }, mark(stateOf[s.state] ?? "none"), h("b", null, word(s.name))) },
        { name: "f", title: "Function", cell: (s) => fn(s.function) }, { name: "st", title: "State", cell: (s) => h("span", null, s.state, " ", h("span", { class: "tag wide" }, "since ", at(s.since))) },
        { name: "lag", title: "Waiting", class: "n", cell: (s) => (s.lag === null ? h("span", { class: "zero" }, "not known") : number(s.lag)) }, { name: "age", title: "Oldest", class: "n p2", cell: (s) => time(s.lagNS) },
        { name: "r", title: "Received", class: "n", cell: (s) => number(s.received) }, { name: "a", title: "Accepted", class: "n p2", cell: (s) => number(s.accepted) }, { name: "x", title: "Filtered", class: "n p4", cell: (s) => number(s.filtered) }, { name: "d", title: "Duplicates", class: "n p4", cell: (s) => number(s.duplicates) }, { name: "j", title: "Rejected", class: "n p3", cell: (s) => number(s.rejected, { bad: "failing" }) }, { name: "u", title: "Under way", class: "n p3", cell: (s) => number(s.underWay) }, { name: "n", title: "Restarts", class: "n p3", cell: (s) => number(s.restarts, { bad: "failing" }) },
        { name: "e", title: "Last error", class: "p4 wrapok", cell: (s) => (s.lastError ? word(s.lastError) : "") },
        { name: "go", title: "", class: "n", label: false, cell: (s) => (writes() && may("manage") && (s.state === "running" || s.state === "paused" || s.state === "restarting") ? h("button", { class: "btn small", type: "button", onclick: async () => { await post(`sources/${part(s.name)}/${s.state === "paused" ? "resume" : "pause"}`, {}); refresh("page:sources"); } }, s.state === "paused" ? "Resume" : "Pause") : "") },
      ],
    })) : h("p", { class: "muted" }, "A timer, a table of Postgres or another source starts functions by source.Drive; admin.WithDrivers shows it here."),
  ];
}

