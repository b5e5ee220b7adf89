// Runs failed calls again: all calls of the groups that the viewer has selected, a few at a time, since each is a real call.

import { h, mark, word, icon } from "../dom.js";
import { may, writes, refresh, touch } from "../store.js";
import { post, part } from "../api.js";
import { plural, count } from "../format.js";
import { ask } from "../parts.js";

const chosen = new Set(); // keys of groups
let run = null; // the last order: {calls, names, next, ended, well, error, done}. next is the call to make next
const atOnce = 4;

/** Returns whether the viewer can select groups. */
export const can = () => writes() && may("replay");

/** Returns whether a group is selected. */
export const isChosen = (g) => chosen.has(g.key);

/** Returns the checkbox that selects a group. */
export const box = (g) => h("input", { type: "checkbox", checked: chosen.has(g.key), title: "Select (x)", "aria-label": `Select ${g.function}: ${g.message}`, onchange: (e) => { e.target.checked ? chosen.add(g.key) : chosen.delete(g.key); touch(); } });

/** Returns what is selected and what can be done with it, or null if nothing is selected. */
export function bulk(list) {
  const groups = list.filter(isChosen);
  if (!groups.length || !can()) return null;
  const calls = groups.flatMap((g) => g.calls);
  return h("div", { class: "bulk", "data-key": "bulk" }, h("div", { class: "acts", role: "group", "aria-label": "What is selected" },
    h("b", null, `${plural(calls.length, "call", "calls")} selected`),
    h("button", { class: "btn main", type: "button", disabled: Boolean(run && !run.done), onclick: () => order(groups) }, `Run ${count(calls.length)} again…`),
    h("button", { class: "btn", type: "button", onclick: () => { chosen.clear(); touch(); } }, "Select none")));
}

const kept = (f) => f.input.kept && !f.input.truncated;

// Shows the count, asks for the name of the function, and then begins.
function order(groups) {
  const calls = groups.flatMap((g) => g.calls);
  const ready = calls.filter(kept).toReversed(); // the oldest first
  const out = calls.length - ready.length;
  const names = [...new Set(groups.map((g) => g.function))];
  const name = names.length === 1 ? names[0] : String(ready.length);
  ask({ title: `Run failed calls of ${names.length === 1 ? name : plural(names.length, "function", "functions")} again`, label: `Run ${count(ready.length)} again`,
    body: [h("p", { role: "status" }, `${plural(ready.length, "call", "calls")} would be made again, each as it was and for its own tenant.`, out ? ` ${plural(out, "is", "are")} left out: the input was not kept whole.` : "", " They have effects: these are real calls."),
      h("label", { class: "stack" }, h("span", null, "Type ", h("b", null, word(name)), " to confirm"), h("input", { type: "text", name: "name", autocomplete: "off", autofocus: true }))],
    done: (form) => {
      if (form.get("name") !== name) throw new Error(names.length === 1 ? "That is not the function’s name." : "That is not their number.");
      if (!ready.length) throw new Error("There is nothing to run: no input was kept whole.");
      chosen.clear();
      go(ready, names);
    } });
}

async function go(calls, names) {
  const own = (run = { calls, names, next: 0, ended: 0, well: 0, error: "", done: false });
  const one = async () => {
    while (own.next < calls.length) {
      const f = calls[own.next++];
      try {
        if ((await post(`failures/${part(f.id)}/replay`, {})).outcome === "OK") own.well++;
        own.ended++;
      } catch (e) {
        own.error = e.message;
        own.next = calls.length;
      }
      touch();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  own.done = true;
  refresh("page:failures", "functions");
  touch();
}

/** Returns what the last order has done so far, or null if there was none. */
export function report() {
  if (!run) return null;
  const of = run.names.length === 1 ? [" of ", word(run.names[0])] : "";
  const rest = run.calls.length - run.ended;
  const bad = run.ended - run.well;
  const words = [`${plural(run.ended, "call", "calls")}`, of, ` ${run.ended === 1 ? "was" : "were"} made again: ${count(run.well)} ended well${bad ? `, ${count(bad)} failed` : ""}.`];
  if (!run.done) return h("p", { class: "note", role: "status", "data-key": "report" }, mark("none", true), h("span", null, words, ` ${count(rest)} to go.`), h("button", { class: "btn small", type: "button", onclick: () => { run.next = run.calls.length; touch(); } }, "Stop"));
  return h("p", { class: "note", role: "status", "data-key": "report" }, mark(rest || bad ? "refusing" : "well", true), h("span", null, words, rest ? ` ${count(rest)} ${rest === 1 ? "was" : "were"} not${run.error ? `: ${run.error}` : ""}.` : ""),
    h("button", { class: "chipx", type: "button", "aria-label": "Close the note", onclick: () => { run = null; touch(); } }, icon("x")));
}
