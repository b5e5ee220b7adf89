// A failed call: its error, its input and its stack. It can be run again with another input.

import { h, s, mark, word, icon } from "../dom.js";
import { doc, problem, may, writes, refresh, touch } from "../store.js";
import { post, part } from "../api.js";
import { link, here, go } from "../route.js";
import { n, duration, clock, instant, pretty, fault, diff, bytes, plural } from "../format.js";
import { section, absent, denied, since, fn } from "../parts.js";

/** Returns the state by which an outcome is marked. */
export const stateOf = (outcome) => ({ TimedOut: "stuck", Panicked: "failing", Exited: "failing", Failed: "failing", OutputInvalid: "failing", InitFailed: "failing" })[outcome] ?? "none";

/** Returns the message as the handler wrote it, without the words that faas has put before it. */
export const plain = (text) => (text ?? "").replace(/^faas: invoke "[^"]*": (panic: (runtime error: )?)?/, "");

const normals = new Map(); // a cache: text → normal(text). Most failures have one of a few texts

/** Returns the message without the parts that differ from call to call, so that similar failures are in one
 * group. */
export function normal(text) {
  const known = normals.get(text);
  if (known !== undefined) return known;
  const made = normalOf(text);
  if (normals.size >= 2000) normals.clear();
  if (text.length < 500) normals.set(text, made);
  return made;
}

function normalOf(text) {
  return plain(text).split("\n")[0].replace(/"[^"]*"|'[^']*'/g, "‹s›").replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/gi, "‹id›").replace(/\b\d{4}-\d\d-\d\d\b/g, "‹date›").replace(/\d+(\.\d+)?/g, "‹n›").slice(0, 160);
}

// What the viewer has entered in the drawer, for the call with this ID.
let work = { id: "" };

/** The drawer with the call that the route names. list has the groups next to it. */
export function drawer(route, list) {
  const id = route.params.id;
  const f = doc("page:one");
  const close = () => go(here({ id: "" }));
  const head = (title, state) => h("header", null, h("a", { class: "btn back", href: here({ id: "" }) }, "‹ Failures"), h("h2", { tabindex: "-1", id: "drawer-title" }, mark(state), title),
    h("div", { class: "end" }, beside(list, id), navigator.clipboard && h("button", { class: "btn icon", type: "button", "aria-label": "Copy the link", title: "Copy the link", onclick: () => navigator.clipboard.writeText(location.href) }, icon("link")), h("button", { class: "btn icon", type: "button", "aria-label": "Close (Esc)", title: "Close (Esc)", onclick: close }, icon("x"))));
  if (!f) return h("aside", { class: "drawer", "aria-label": "A call that failed", "data-key": id }, head("A call that failed", "none"), problem("page:one") ? h("p", { class: "muted" }, "The host keeps this call no longer, or you may not see it.") : absent());
  if (work.id !== id) work = { id, text: null, target: "", result: null, error: "", busy: false };
  return h("aside", { class: "drawer", "aria-label": "A call that failed", "data-key": id },
    head(f.error ? word(plain(f.error).split("\n")[0].slice(0, 300)) : f.outcome, stateOf(f.outcome)),
    facts(f), phases(f), h("div", { class: "run2", "data-key": "run" }, again(f), work.result ? compared(f) : null), work.result ? differences(f) : null, stack(f), log(f));
}

// Links to the groups before and after this call's group.
function beside(list, id) {
  const i = list.findIndex((g) => g.calls.some((f) => f.id === id));
  if (i < 0 || list.length < 2) return null;
  const step = (g, name, pic) => h("a", { class: "btn icon", role: "link", "aria-label": name, title: name, href: g ? here({ id: g.last.id }) : null, "aria-disabled": g ? null : "true" }, icon(pic));
  return [step(list[i - 1], "The group before", "up"), step(list[i + 1], "The next group", "down")];
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
    return section("again", "Input", null, null, p ? f.input.kept ? denied("see_inputs") : h("p", { class: "muted" }, why(f)) : absent());
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
    h("header", null, h("h3", { id: "h-again" }, can ? "Run again" : "Input"), h("span", { class: "aside" }, can ? `it has effects: a real call${f.tenant ? ", for " : ""}` : "as it was kept", can && f.tenant ? word(f.tenant) : ""),
      work.text !== original && h("span", { class: "end" }, h("button", { class: "btn small", type: "button", onclick: () => { work.text = original; touch(); } }, "Reset input"))),
    h("div", { class: "edit" }, h("ol", { "aria-hidden": "true" }, lines.map((line, i) => h("li", { class: line === before[i] ? "" : "ch" }, String(i + 1)))),
      h("textarea", { "aria-label": "Input, JSON", "aria-describedby": "edit-ok", spellcheck: "false", rows: lines.length, readonly: !can, value: work.text, oninput: (e) => { work.text = e.target.value; touch(); } })),
    h("p", { class: "small ed-ok" + (bad ? " t-failing" : " muted"), id: "edit-ok", role: bad ? "alert" : null }, bad ? `line ${bad.line}: ${bad.message}` : `valid JSON${lines.length !== before.length || work.text !== original ? " · changed" : ""}${input.truncated ? " · cut when it was kept" : ""}${/\[redacted\]/.test(work.text) ? " · redacted values are sent as they stand here" : ""}`),
    can ? h("div", { class: "acts" }, targets.length > 1 && h("label", { class: "field" }, "Version", h("select", { onchange: (e) => { work.target = e.target.value; } }, h("option", { value: "" }, "as it was"), targets.map((t) => h("option", { value: t, selected: work.target === t }, t)))),
      h("button", { class: "btn main", type: "submit", disabled: Boolean(bad) || work.busy }, work.busy ? "Running…" : "Run again")) : writes() ? denied("replay") : h("p", { class: "muted small" }, "This host takes no changes through its API."),
    work.error ? h("p", { class: "t-failing", role: "alert" }, work.error) : null);
}

const why = (f) => (f.input.state ? `The input was not kept: ${f.input.state}.` : "Inputs are not captured; faas.WithCapture would.");

// The failed call next to the one that was run again.
function compared(f) {
  const r = work.result;
  const ok = r.outcome === "OK";
  const row = (name, x, y) => h("tr", null, h("th", { scope: "row" }, name), h("td", { class: "n" }, x), h("td", { class: "n" }, y));
  const version = (v) => (/^\d+$/.test(v ?? "") ? "v" + v : (v ?? "–"));
  const short = (id) => h("code", { title: id }, id ? id.slice(0, 13) + "…" : "–");
  return h("section", { class: "sec", "data-key": "result", "aria-label": "The result", role: "status" },
    h("table", { class: "cmp" }, h("caption", { class: "vh" }, "The first call and the one run again"), h("thead", null, h("tr", null, h("td"), h("th", { scope: "col", class: "n" }, "First"), h("th", { scope: "col", class: "n" }, "Again"))),
      h("tbody", null, row("outcome", h("span", { class: "t-failing" }, mark(stateOf(f.outcome), true), " ", f.outcome), h("span", { class: ok ? "t-well" : "t-failing" }, mark(ok ? "well" : "failing", true), " ", r.outcome || r.reason || r.kind)),
        row("version", version(f.version), version(r.version)), row("run", duration(f.durationNS), duration(r.tookNS)), row("output", "–", outputOf(r) ? bytes(new TextEncoder().encode(r.output.text ?? "").length) : "–"), row("id", short(f.id), short(r.requestId)))),
    h("p", { class: "small muted" }, "marked replay_of ", h("code", null, (r.replayOf ?? "").slice(0, 13)), "…"));
}

const outputOf = (r) => (r.output?.text !== undefined && r.output?.text !== null ? pretty(r.output.text) : r.output?.base64 ? "(bytes)" : "");

// The differences between the failed call and the one that was run again.
function differences(f) {
  const r = work.result;
  const original = pretty(doc("page:input")?.text ?? "");
  const line = ([sign, text], i, all) => (sign === " " ? h("span", null, text || " ") : h(sign === "-" ? "del" : "ins", null, h("span", { class: "vh" }, sign === "-" ? "removed: " : "added: "), sign === "-" ? "− " : "+ ", marked(text, twinOf(i, all))));
  const lines = (x, y) => h("div", { class: "code diff" }, diff(x, y).map(line));
  const part_ = (title, body) => h("section", { class: "sec" }, h("header", null, h("h3", null, title), h("span", { class: "aside" }, "first → again")), body);
  return h("div", { class: "run2", "data-key": "differences" },
    work.sent !== original ? part_("Input", lines(original, work.sent)) : null,
    part_("Output", lines(f.error ? plain(f.error).slice(0, 400) : f.outcome, r.error ? plain(r.error).slice(0, 400) : outputOf(r) || (r.outcome ?? ""))));
}

// Returns the text of the line that a line of a diff replaces or is replaced by, if one line has become one other line; else null.
function twinOf(i, all) {
  const at = all[i][0] === "-" ? i : i - 1; // where the line that was removed stands
  const signs = [at - 1, at, at + 1, at + 2].map((k) => all[k]?.[0] ?? " ");
  if (signs[0] === "-" || signs[1] !== "-" || signs[2] !== "+" || signs[3] === "+") return null;
  return all[i === at ? at + 1 : at][1];
}

// Returns the text of a line. If the other text has the same beginning and the same end, what is between them is emphasised.
function marked(text, other) {
  if (other === null) return text;
  const short = Math.min(text.length, other.length);
  let [from, end] = [0, 0];
  while (from < short && text[from] === other[from]) from++;
  while (end < short - from && text.at(-1 - end) === other.at(-1 - end)) end++;
  if (from + end < 3 || from + end === text.length) return text;
  return [text.slice(0, from), h("b", null, text.slice(from, text.length - end)), text.slice(text.length - end)];
}

/** Returns the frames of a goroutine's stack: [function, file and line, whether it is the program's own
 * code]. */
export function frames(text) {
  const lines = text.split("\n").slice(1);
  const out = [];
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const name = lines[i].replace(/\([^()]*(\([^()]*\)[^()]*)*\)$/, "(…)").replace(/^created by (\S+).*/, "$1");
    const place = lines[i + 1].trim().replace(/ \+0x[0-9a-f]+$/, "");
    out.push([name, place.split("/").slice(-2).join("/"), !/^(panic|runtime|github\.com\/inproc\/faas)[.(]/.test(lines[i])]);
  }
  return out;
}

function stack(f) {
  if (!f.hasStack) return null;
  const d = doc("page:stack");
  if (!d) return section("stack", "Stack", null, null, problem("page:stack") ? denied("see_stacks") : absent());
  const all = frames(d.stack);
  const from = Math.max(0, all.findIndex(([, , own]) => own));
  const top = all.slice(from, from + 3);
  const wide = Math.max(...top.map(([name]) => name.length));
  return section("stack", "Stack", "first frame of the program’s own code on top", null,
    h("pre", { class: "code", tabindex: "0" }, top.map(([name, place], i) => [i ? "\n" : "", h(i ? "span" : "b", null, `${name.padEnd(wide)}  ${place}`)])),
    h("details", { class: "twin" }, h("summary", null, `All ${plural(all.length, "frame", "frames")}`), h("pre", { class: "code", tabindex: "0" }, d.stack)));
}

function log(f) {
  return f.log ? section("log", "Log", "the last lines of this call", null, h("pre", { class: "code", tabindex: "0" }, f.log)) : null;
}
