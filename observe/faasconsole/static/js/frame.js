// What surrounds each page: the bar at the top, the list of pages, the command palette, the keys.

import { h, morph, icon, mark, word } from "./dom.js";
import { state, doc, pause, touch } from "./store.js";
import { link, here, go, ranges, current } from "./route.js";
import { long, clock } from "./format.js";
import { logOut } from "./api.js";
import { sessionChanged } from "./stream.js";
import { repaint } from "./chart.js";

/** The pages, in the order of the list. On a small screen, those with late are below More. */
export const pages = [
  { page: "overview", name: "Overview", key: "o" },
  { page: "functions", name: "Functions", key: "f" },
  { page: "failures", name: "Failures", key: "x" },
  { page: "tenants", name: "Tenants", key: "t" },
  { page: "releases", name: "Releases", key: "r", late: true },
  { page: "jobs", name: "Jobs", key: "j", late: true },
  { page: "sources", name: "Sources", key: "s", late: true },
  { page: "process", name: "Process", key: "p", late: true },
];

let drawn = "";

/** Draws the bar and the list of pages, if they have changed. counts: {page: [state, number, words]} of what
 * needs attention. */
export function frame(route, counts) {
  const next = [location.hash, JSON.stringify(counts), connected()[1], state.paused, theme(), state.hasLogin, told(state.host)].join("\n");
  const top = document.getElementById("top");
  if (next === drawn && top.firstChild) return;
  drawn = next;
  morph(top, bar(route));
  morph(document.getElementById("rail"), rail(route, counts));
}

let described = { of: null, text: "" };

// What the host says of itself, but for its clock.
function told(of) {
  if (described.of !== of) described = { of, text: JSON.stringify({ ...of, now: "" }) };
  return described.text;
}

function bar(route) {
  const host = state.host;
  const build = host?.build;
  const tag = [build?.version, build?.revision?.slice(0, 7)].filter((t) => t && t !== "(devel)").join(" · ");
  const chosen = ranges[route.params.range] ? route.params.range : "1h";
  return h("header", { class: "top" },
    h("div", { class: "host" }, h("b", null, word(host?.name || "faas")), tag && h("span", { class: "tag" }, tag)),
    connection(),
    h("div", { class: "right" },
      h("form", { class: "search", role: "search", onsubmit: (e) => { e.preventDefault(); palette(); } },
        h("label", { class: "vh", for: "q" }, "Search functions, tenants, pages"), icon("search"),
        h("input", { id: "q", type: "search", placeholder: "Search", autocomplete: "off", onfocus: (e) => { e.target.blur(); palette(); } }), h("kbd", { "aria-hidden": "true" }, "/")),
      h("nav", { class: "seg wide", "aria-label": "Range" }, Object.entries(ranges).map(([id, r]) => h("a", { href: here({ range: id }), "aria-current": chosen === id ? "true" : null }, r.name))),
      h("button", { class: "btn icon wide", type: "button", "aria-pressed": String(state.paused), "aria-label": state.paused ? "Go on" : "Pause", title: "Pause (space)", onclick: () => pause(!state.paused) }, icon(state.paused ? "go" : "pause")),
      h("button", { class: "btn icon", type: "button", "aria-label": "Theme: " + themes[theme()], title: "Theme", onclick: turnTheme }, icon("theme")),
      host && h("details", { class: "who" }, h("summary", null, word(host.viewer.id || host.viewer.kind), h("span", { class: "tag" }, rights(host.viewer.rights))),
        h("div", { class: "pop" }, h("p", null, host.viewer.kind, " ", word(host.viewer.id)), host.viewer.tenant && h("p", null, "of tenant ", word(host.viewer.tenant)),
          h("p", { class: "muted" }, host.viewer.rights.length ? "May, in the whole host: " + host.viewer.rights.join(", ").replaceAll("_", " ") : "Has no right to the host as a whole, only to some functions."),
          state.hasLogin && h("button", { class: "btn small", type: "button", onclick: async () => { await logOut(); sessionChanged(); location.reload(); } }, "Log out")))));
}

const rights = (list) => list.filter((r) => r === "see" || r === "replay" || r === "manage").join(" · ");

function connection() {
  const [shape, words] = connected();
  const [head, ...rest] = words.split(", "); // a narrow window has room for the head
  return h("span", { class: "conn" }, mark(shape, true), h("span", { class: "w" }, head, rest.length ? h("span", { class: "more" }, ", " + rest.join(", ")) : null));
}

/** The state of the connection: a mark and words. */
function connected() {
  if (state.paused) return ["idle", `paused, ${state.missed} ${state.framed ? "frames" : "answers"} missed`];
  if (state.conn === "live") return ["well", "live"];
  if (state.conn === "late") return ["refusing", `late ${Math.round((Date.now() - state.heard) / 1000)} s`];
  if (state.conn === "lost") return ["failing", `lost, again in ${Math.max(0, Math.ceil((state.retry - Date.now()) / 1000))} s`];
  return ["idle", "connecting"];
}

function rail(route, counts) {
  const entry = (p) => h("a", { href: link(p.page), title: `${p.name} (g ${p.key})`, "aria-current": route.page === p.page ? "page" : null }, icon(p.page), h("span", null, p.name), badge(counts[p.page]));
  const late = pages.filter((p) => p.late);
  const within = late.some((p) => p.page === route.page);
  return h("nav", { class: "rail", "aria-label": "Pages" }, h("ul", null,
    pages.map((p) => h("li", { class: p.late ? "late" : "" }, entry(p))),
    h("li", { class: "more" }, h("details", null, h("summary", { class: within ? "on" : "" }, icon("more"), h("span", null, "More")),
      h("ul", null, late.map((p) => h("li", null, entry(p))),
        h("li", null, h("button", { type: "button", onclick: () => pause(!state.paused) }, icon(state.paused ? "go" : "pause"), h("span", null, state.paused ? "Go on" : "Pause"))),
        h("li", null, h("nav", { class: "seg", "aria-label": "Range" }, Object.entries(ranges).map(([id, r]) => h("a", { href: here({ range: id }), "aria-current": (route.params.range ?? "1h") === id ? "true" : null }, r.name)))))))));
}

const badge = (c) => c && h("span", { class: "count" }, mark(c[0], true), h("span", { class: "vh" }, `${c[1]} ${c[2]}`), h("span", { "aria-hidden": "true" }, String(c[1])));

let titled = "";

/** Sets the title and the icon of the browser tab, which show the worst state. */
export function title(name, worst, number) {
  const next = [name, worst, number].join("\n");
  if (next === titled) return; // to read the title is work for the browser, and to set it again too
  titled = next;
  const sign = { failing: "▲", refusing: "■", stuck: "◆" }[worst];
  const text = (sign ? `${number} ${sign} ` : "") + name + " · faas";
  document.title = text;
  const fill = { failing: "%23b3123f", refusing: "%23806000", stuck: "%237434b0" }[worst] ?? "%234c7262";
  const shape = { failing: "M8 1 15 14H1z", refusing: "M2 2h12v12H2z", stuck: "M8 1 15 8 8 15 1 8z" }[worst] ?? "M8 2a6 6 0 1 1 0 12 6 6 0 0 1 0-12";
  const href = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='${fill}' d='${shape}'/%3E%3C/svg%3E`;
  const el = document.querySelector('link[rel="icon"]');
  if (el.getAttribute("href") !== href) el.setAttribute("href", href);
}

const themes = { system: "as the system", light: "light", dark: "dark" };
const theme = () => document.documentElement.dataset.theme ?? "system";

function turnTheme() {
  const next = { system: "light", light: "dark", dark: "system" }[theme()];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("faas-theme", next);
  } catch {
    // localStorage is switched off: the theme lasts as long as the page.
  }
  repaint();
  touch();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

/** Opens the command palette: pages, functions, tenants, and actions that are available on every page. */
export function palette() {
  if (document.querySelector("dialog[open]")) return;
  const things = [
    ...pages.map((p) => ({ text: p.name, kind: "page", to: link(p.page) })),
    ...(doc("functions")?.functions ?? []).map((f) => ({ text: f.name, kind: "function", to: link("functions", f.name), state: f.state })),
    ...(doc("tenants")?.tenants ?? []).filter((t) => t.tenant).map((t) => ({ text: t.tenant, kind: "tenant", to: link("failures", "", { tenant: t.tenant }) })),
    ...Object.entries(ranges).map(([id, r]) => ({ text: `Range: ${r.words}`, kind: "range", to: here({ range: id }) })),
    { text: "Theme", kind: "action", act: turnTheme },
    { text: "Pause or go on", kind: "action", act: () => pause(!state.paused) },
    { text: "Keys", kind: "action", act: keys },
  ];
  let at = 0;
  let found = things;
  const list = h("ul", { id: "found", role: "listbox", "aria-label": "Found" });
  const input = h("input", { type: "text", role: "combobox", "aria-label": "Search functions, tenants, pages", "aria-controls": "found", "aria-expanded": "true", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", placeholder: "A function, a tenant, a page…", oninput: show, onkeydown: (e) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      at = Math.max(0, Math.min(found.length - 1, at + (e.key === "ArrowDown" ? 1 : -1)));
      draw();
    } else if (e.key === "Enter") {
      e.preventDefault();
      choose(found[at]);
    }
  } });
  function choose(t) {
    if (!t) return;
    dialog.close();
    if (t.act) t.act();
    else go(t.to);
  }
  function show() {
    const wanted = input.value.toLowerCase();
    found = things.filter((t) => t.text.toLowerCase().includes(wanted)).slice(0, 50);
    found.sort((x, y) => Number(y.text.toLowerCase().startsWith(wanted)) - Number(x.text.toLowerCase().startsWith(wanted)));
    at = 0;
    draw();
  }
  function draw() {
    morph(list, found.length ? found.map((t, i) => h("li", { role: "option", id: "found-" + i, "aria-selected": String(i === at), onclick: () => choose(t) }, t.state ? mark(t.state, true) : mark("none", true), word(t.text), h("span", { class: "tag" }, t.kind))) : h("li", { class: "muted", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "Nothing of that name."));
    if (found.length) input.setAttribute("aria-activedescendant", "found-" + at);
    else input.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }
  const dialog = h("dialog", { class: "palette", "aria-label": "Go to", onclose: () => dialog.remove(), onclick: (e) => e.target === dialog && dialog.close() }, input, list);
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  show();
}

/** Opens the list of keys. */
export function keys() {
  const rows = [...pages.map((p) => ["g " + p.key, p.name]), ["/", "search"], ["k", "command palette, where no table has rows"], ["space", "pause, or go on"], ["j  k", "next and previous row"], ["x", "select the row, where it has a box"], ["enter", "open the row"], ["Esc", "close"], ["← →", "move along a chart"], ["shift ← →", "select a span of time on the failures"], ["?", "this list"]];
  const dialog = h("dialog", { class: "ask keys", "aria-label": "Keys", onclose: () => dialog.remove() }, h("header", null, h("h2", null, "Keys"), h("button", { class: "btn icon", type: "button", "aria-label": "Close", title: "Close (Esc)", autofocus: true, onclick: () => dialog.close() }, icon("x"))),
    h("dl", { class: "kv" }, rows.flatMap(([k, what]) => [h("dt", null, k.split(" ").filter(Boolean).map((one) => [h("kbd", null, one), " "])), h("dd", null, what)])));
  document.body.append(dialog);
  dialog.showModal();
}

let waiting = ""; // the key pressed before, if it was g
/** Handles keys that work everywhere except in input fields. */
export function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  if (e.target.closest?.('input:not([type="checkbox"]), textarea, select, [contenteditable]')) return;
  if (waiting === "g") {
    waiting = "";
    const p = pages.find((one) => one.key === e.key);
    if (p) go(link(p.page));
    return;
  }
  const act = {
    g: () => { waiting = "g"; setTimeout(() => (waiting = ""), 1500); },
    "/": palette, "?": keys,
    k: () => (rowsHere().length ? step(-1) : palette()),
    j: () => step(1),
    x: () => document.activeElement?.closest("tr[data-row]")?.querySelector('input[type="checkbox"]')?.click(),
    " ": () => !e.target.closest?.("button, summary, a, .twin-box") && pause(!state.paused),
    Escape: () => { const r = current(); if (r.params.id) go(here({ id: "" })); },
  }[e.key];
  if (!act) return;
  if (e.key === " " && e.target.closest?.("button, summary, a, input")) return;
  e.preventDefault();
  act();
}

const rowsHere = () => [...document.querySelectorAll("main tr[data-row] .top1 a, main tr[data-row] .top1 button")];

function step(by) {
  const all = rowsHere();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))].focus();
}

/** Returns a note that the connection is lost, or null if it is not. */
export function lost() {
  if (state.conn !== "lost" || !state.host) return null;
  return h("p", { class: "note failing lostbar", role: "alert", "data-key": "lost" }, mark("failing"), h("span", null, `The connection is lost. What stands here is of ${clock(state.heard + state.skew)} UTC, ${long((Date.now() - state.heard) / 1000)} ago. The page asks again by itself.`));
}

