// Releases: the versions of each alias, and when and by whom they were changed.

import { h, mark, word } from "../dom.js";
import { doc, problem, may, writes, refresh } from "../store.js";
import { put, part } from "../api.js";
import { n, digits, percent, plural } from "../format.js";
import { says, section, table, number, share, time, fn, absent, at, ask, split, yours } from "../parts.js";
import { interval } from "../judge.js";

export function needs() {
  return { functions: { path: "functions", every: 2000, whole: true }, decisions: { path: "decisions", query: { limit: 1000 }, every: 5000 } };
}

export function view() {
  const answer = doc("functions");
  if (!answer) return [says("none", "Releases"), absent(problem("functions"))];
  const aliases = answer.functions.flatMap((f) => f.aliases.map((al) => ({ ...al, of: f })));
  const shared = aliases.filter((al) => Object.values(al.weights).filter((w) => n(w)).length > 1);
  const moves = (doc("decisions")?.decisions ?? []).filter((d) => d.alias !== undefined && d.alias !== null);
  const worst = shared.find((al) => rate(al) >= 0.01);
  return [
    worst ? says("failing", [fn(worst.of.name), `’s ${worst.name || "default alias"} is divided, and ${percent(...failed(worst))} % of its calls fail`])
      : says(aliases.length ? "well" : "none", !aliases.length ? `There is no alias${yours()}` : shared.length ? `${plural(shared.length, "alias is", "aliases are")} divided among versions` : "Every alias stands for one version", aliases.length ? h("span", { class: "muted" }, `${plural(aliases.length, "alias", "aliases")} in all`) : null),
    section("aliases", "Aliases", "and the versions that they stand for", null, aliases.length ? table({
      id: "aliases", caption: "Aliases", rows: aliases, key: (al) => al.function + ":" + al.name,
      columns: [
        { name: "a", title: "Alias", cell: (al) => h("span", { class: "fn" }, mark(rate(al) >= 0.01 && shared.includes(al) ? "failing" : "well"), h("span", null, fn(al.function), al.name ? [":", word(al.name)] : h("span", { class: "muted" }, " by its name alone"))) },
        { name: "w", title: "Stands for", class: "span2", cell: (al) => split(al.weights) },
        { name: "k", title: "Sticky", class: "p3", cell: (al) => (al.sticky ? "by key" : h("span", { class: "zero" }, "no")) },
        { name: "r", title: "Revision", class: "n p3", cell: (al) => number(al.revision) },
        { name: "c", title: "Changed", class: "p2", cell: (al) => at(al.changed) },
        { name: "b", title: "By", class: "p2", cell: (al) => (al.by ? word(al.by) : "") },
        { name: "d", title: "Why", class: "p4 wrapok", cell: (al) => (al.description ? word(al.description) : "") },
        { name: "x", title: "", class: "n", label: false, cell: (al) => (writes() && may("manage") ? h("button", { class: "btn small", type: "button", onclick: () => move(al) }, "Move…") : "") },
      ],
    }) : h("p", { class: "muted" }, "There are no aliases. ", h("code", null, 'r.SetAlias("resize", "live", faas.Weights{1: 90, 2: 10})'), " lets a name stand for versions.")),
    h("div", { class: shared.length ? "cols2" : "", "data-key": "cols" }, shared.length ? h("div", null, shared.map((al) => compare(al))) : null, section("moves", "Moves", "newest first, UTC", null, moves.length ? table({
      id: "moves", caption: "Moves of aliases", rows: moves.slice(0, 100), key: (d) => d.time + d.function + d.alias,
      columns: [{ name: "a", title: "Alias", cell: (d) => h("span", null, fn(d.function), d.alias ? [":", word(d.alias)] : "") }, { name: "t", title: "Time", cell: (d) => at(d.time) }, { name: "b", title: "From", class: "p2", cell: (d) => (d.before ? split(d.before) : h("span", { class: "zero" }, "nothing")) }, { name: "c", title: "To", class: "span2", cell: (d) => (d.after ? split(d.after) : h("span", { class: "zero" }, "removed")) }, { name: "w", title: "By", cell: (d) => (d.by ? word(d.by) : "") }],
    }) : h("p", { class: "muted" }, "No alias has moved since the start."))),
  ];
}

const own = (al) => al.of.versions.filter((v) => n(al.weights[v.version === "$LATEST" ? "0" : v.version]));
const failed = (al) => [own(al).reduce((t, v) => t + n(v.numbers?.minute?.failures), 0), own(al).reduce((t, v) => t + n(v.numbers?.minute?.calls), 0)];
const rate = (al) => { const [bad, all] = failed(al); return all ? bad / all : 0; };

function compare(al) {
  return section("cmp-" + al.function + al.name, [word(al.function), al.name ? ":" + al.name : ""], "its versions in the last minute", null, table({
    id: "cmp-" + al.function + al.name, caption: `Versions of ${al.function}`, cards: false, rows: own(al), key: (v) => v.version,
    columns: [
      { name: "v", title: "Version", cell: (v) => (v.version === "$LATEST" ? v.version : "v" + v.version) },
      { name: "w", title: "Weight, %", class: "n", cell: (v) => digits((100 * n(al.weights[v.version === "$LATEST" ? "0" : v.version])) / Object.values(al.weights).reduce((t, x) => t + n(x), 0)) },
      { name: "c", title: "Calls", class: "n", cell: (v) => number(v.numbers?.minute?.calls) },
      { name: "e", title: "Errors, %", class: "n", cell: (v) => share(v.numbers?.minute?.failures, v.numbers?.minute?.calls, n(v.numbers?.minute?.failures) / n(v.numbers?.minute?.calls) >= 0.01 && "failing") },
      { name: "i", title: "95 % interval", class: "n p2", cell: (v) => h("td", { class: "n muted" }, interval(n(v.numbers?.minute?.failures), n(v.numbers?.minute?.calls))) },
      { name: "r", title: "Run p99", class: "n", cell: (v) => time(v.numbers?.minute?.run.p99) },
    ],
  }));
}

/** Opens the dialog for new weights. The change is refused if the alias was changed meanwhile. */
function move(al) {
  const fields = al.of.versions.map((v) => {
    const key = v.version === "$LATEST" ? "0" : v.version;
    return h("label", { class: "stack" }, `${v.version === "$LATEST" ? v.version : "Version " + v.version}`, h("input", { type: "text", inputmode: "numeric", pattern: "[0-9]*", name: "w" + key, value: String(n(al.weights[key])) }));
  });
  ask({ title: `Move ${al.function}${al.name ? ":" + al.name : ""}`, label: "Move it", body: [h("p", { class: "muted" }, "Weights of any sum: 90 and 10 give a tenth of the calls to the second. Calls that run now end where they are."), h("div", { class: "run2" }, fields), h("label", { class: "stack" }, "Why", h("input", { type: "text", name: "why", value: al.description ?? "" }))],
    done: async (form) => {
      const weights = {};
      for (const [k, v] of form) if (k.startsWith("w") && k !== "why" && Number(v) > 0) weights[k.slice(1)] = Number(v);
      if (!Object.keys(weights).length) throw new Error("One version at least has to have a weight.");
      await put(`functions/${part(al.function)}/aliases/${part(al.name || "$default")}`, { weights, sticky: al.sticky ?? false, description: form.get("why"), ifRevision: al.revision });
      refresh();
    } });
}
