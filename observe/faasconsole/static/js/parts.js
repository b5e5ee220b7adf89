// Parts that several pages use.

import { h, s, mark, word, stay, leave, basisOf, renew, remake } from "./dom.js";
import { span, n, digits, count, clock, instant, ago, weight, amounts } from "./format.js";
import { now, touch, may } from "./store.js";
import { link, here, current } from "./route.js";

/** A section with a heading, an aside beside it, and an element at the end of its line. */
export function section(id, title, aside, end, ...body) {
  return h("section", { class: "sec", id, "data-key": id, "aria-labelledby": "h-" + id },
    h("header", null, h("h2", { id: "h-" + id }, title), aside && h("span", { class: "aside" }, aside), end && h("span", { class: "end" }, end)),
    ...body);
}

/** The first sentence of a page, with a mark, and a line below it. */
export function says(state, sentence, ...also) {
  return h("section", { class: "says", "aria-label": "In a sentence", "data-key": "says" },
    h("h1", null, mark(state), h("span", null, sentence)),
    also.flat().filter(Boolean).length ? h("div", { class: "also" }, also) : null);
}

/** A link with the look of a link. */
export const a = (to, ...kids) => h("a", { class: "link", href: to }, ...kids);

/** A function's name as a link. */
export const fn = (name) => a(link("functions", name), word(name));

/** A table cell with a duration: digits, and a unit in a column of fixed width. */
export function time(ns, bad) {
  if (ns === null || ns === undefined) return h("td", { class: "n" }, h("span", { class: "zero" }, "–"), h("u"));
  const [d, unit] = span(ns);
  return h("td", { class: "n" + (bad ? ` bad ${bad}` : "") }, d === "0" ? h("span", { class: "zero" }, "0") : d, h("u", { class: unit === "s" ? "s" : "" }, unit));
}

/** A table cell with a number. Zeros are muted. */
export function number(v, { text, bad, of } = {}) {
  const zero = v === null || v === undefined || n(v) === 0;
  const shown = text ?? (v === null || v === undefined ? "–" : count(v));
  return h("td", { class: "n" + (bad && !zero ? ` bad ${bad}` : "") }, zero ? h("span", { class: "zero" }, shown) : shown, of !== undefined && of !== null ? h("span", { class: "of" }, ` / ${of}`) : null);
}

/** A table cell with a share in per cent. */
export function share(part, whole, bad) {
  if (!n(whole)) return h("td", { class: "n" }, h("span", { class: "zero" }, "–"));
  const v = (100 * n(part)) / n(whole);
  return number(v, { text: digits(v), bad });
}

/** A time of day, with the full time on hover. */
export const at = (t) => h("time", { datetime: t, title: instant(t) }, clock(t));

/** How long ago a time was, with the full time on hover. */
export const since = (t) => h("time", { datetime: t, title: instant(t) }, ago(t, now()));

/** The text in place of a part of a page that has no data: a problem, or that the request is under way. */
export function absent(problem) {
  if (!problem) return h("p", { class: "muted wait" }, "Asking the host…");
  if (problem.option) return h("p", { class: "muted" }, "The host does not show this: ", h("code", null, `admin.${problem.option}`), " would.");
  if (problem.status === 404 || problem.status === 403) return denied();
  return h("p", { class: "muted" }, problem.message);
}

/** Words after a counted noun, for a viewer who does not see the whole host. */
export const yours = () => (may("see") ? "" : " that you may see");

/** The text in place of a part that the viewer may not see. */
export const denied = (right = "see") => h("p", { class: "muted", "data-key": "denied" }, "That needs the right ", h("code", null, right), ", which you do not have here. It is granted by the rules of the host, the func of ", h("code", null, "admin.WithAuthorize"), ".");

/** A thin bar. parts are [share of the whole, class]. */
export function bar(label, ...parts) {
  return s("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("rect", { class: "bg", width: 100, height: 4 }),
    parts.map(([part, kind]) => kind === "fair" ? s("rect", { class: kind, x: (100 * part - 0.5).toFixed(1), width: 1, height: 4 }) : s("rect", { class: kind ?? "", width: Math.max(0, Math.min(100, 100 * part)).toFixed(1), height: 4 })));
}

let priced = { of: undefined, all: new Map(), paid: null };

/** Returns what functions cost, from an answer of GET usage by function: {all: name → amount, paid: the format of amounts}. */
export function costs(use) {
  if (priced.of === use && priced.paid) return priced;
  const all = new Map();
  for (const u of use?.rows ?? []) all.set(u.function, Number(u.list ?? 0));
  return (priced = { of: use, all, paid: amounts([...all.values()]) });
}

/** The weights of an alias as a thin bar, and in words: v7 60, v8 40 %. */
export function split(weights) {
  const all = Object.entries(weights ?? {}).filter(([, w]) => n(w) > 0);
  const sum = all.reduce((t, [, w]) => t + n(w), 0);
  const name = (v) => (v === "0" ? "$LATEST" : "v" + v);
  if (all.length === 1) return name(all[0][0]);
  return h("span", { class: "split" },
    s("svg", { viewBox: "0 0 64 4", "aria-hidden": "true" }, s("rect", { class: "bg", width: 64, height: 4 }), s("rect", { width: (64 * n(all[0]?.[1])) / (sum || 1), height: 4 })),
    h("span", null, all.map(([v, w]) => `${name(v)} ${weight(n(w), sum)} %`).join(", ")));
}

/** A table. columns: {name, title, class, sort, of(row), cell(row)}; the first column is the head of its
 * row. If ranked is given, rows come in the order of the column of that name. A cell whose value of(row) has not
 * changed is left as it is. Without of, the cell is made again each time. */
export function table({ id, caption, columns, rows, key, order, ranked, selected, open, cards, className }) {
  const params = current().params;
  const by = params[`${id}-sort`] ?? order;
  const down = by?.startsWith("-");
  const sorted = columns.find((c) => c.name === by?.replace(/^-/, ""));
  const part = slice(id, !sorted?.sort ? rows : sorted.name !== ranked ? inOrder(rows, sorted.sort, down ? -1 : 1) : down ? rows.toReversed() : rows);
  const live = document.querySelector(`table[data-table="${id}"]`);
  const have = new Map([...(live?.tBodies[0]?.rows ?? [])].map((tr) => [tr.dataset.row, tr]));
  const names = columns.map((c) => c.name).join();
  const hash = location.hash;
  return h("table", { class: (className ?? "") + (cards === false ? "" : " cards"), "data-key": "table:" + id, "data-table": id, "aria-rowcount": part.all > part.rows.length ? part.all : null },
    h("caption", { class: "vh" }, caption),
    stay(live?.tHead, [names, hash], () => h("thead", null, h("tr", null, columns.map((c) => {
      const sort = c === sorted ? (down ? "descending" : "ascending") : null;
      const flip = c === sorted && !down ? "-" + c.name : c === sorted && down ? c.name : (c.first ?? "-") + c.name;
      const head = c.sort ? h("button", { type: "button", onclick: () => (location.hash = here({ [`${id}-sort`]: flip })) }, c.title, sort && s("svg", { class: "a", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: down ? "M3 5h10l-5 7z" : "M3 11h10L8 4z" }))) : c.title;
      return h("th", { scope: "col", class: c.class ?? "", "aria-sort": sort }, head);
    })))),
    h("tbody", null,
      part.above ? h("tr", { class: "gap", "aria-hidden": "true", "data-key": "above" }, spacer(part.above, columns.length)) : null,
      part.rows.map((row, i) => line({ row, columns, names, hash, have, open, k: key(row), index: part.all > part.rows.length ? part.from + i + 2 : null, selected: selected !== undefined && selected === key(row) })),
      part.below ? h("tr", { class: "gap", "aria-hidden": "true", "data-key": "below" }, spacer(part.below, columns.length)) : null));
}

// A row. If it is on the page already, only those of its cells are changed whose values have changed.
function line({ row, columns, names, hash, have, open, k, index, selected }) {
  const old = have.get(k);
  const head = [names, selected, hash];
  const of = [...head];
  for (const c of columns) of.push(c.of ? c.of(row) : {}); // a new object equals no other, so that the cell is made again
  const was = basisOf(old);
  if (was?.length === of.length && head.every((v, i) => v === was[i])) return leave(old, () => patch(old, { row, columns, of, was, first: head.length, index }));
  return stay(null, of, () => h("tr", { "data-key": k, "data-row": k, "aria-rowindex": index, "aria-selected": selected ? "true" : null, onclick: open && ((e) => !e.target.closest("a, button, input, summary") && open(row)) },
    columns.map((c, j) => cellOf(c, j, row))));
}

function patch(tr, { row, columns, of, was, first, index }) {
  if (index === null) tr.removeAttribute("aria-rowindex");
  else if (tr.getAttribute("aria-rowindex") !== String(index)) tr.setAttribute("aria-rowindex", index);
  const cells = tr.cells;
  for (let j = 0; j < columns.length; j++) {
    if (Object.is(of[first + j], was[first + j])) continue;
    const cell = cellOf(columns[j], j, row);
    if (columns[j].of && columns[j].class?.startsWith("n")) cells[j].replaceWith(cell); // a number, in which nothing can have the focus
    else renew(cells[j], cell);
  }
  remake(tr, of);
}

function cellOf(c, j, row) {
  const cell = c.cell(row);
  const el = cell instanceof Element && (cell.nodeName === "TD" || cell.nodeName === "TH") ? cell : h(j ? "td" : "th", j ? null : { scope: "row" }, cell);
  if (c.class) el.classList.add(...c.class.split(" ").filter(Boolean));
  if (!j) el.classList.add("top1");
  else if (c.label !== false) el.setAttribute("data-l", c.label ?? (typeof c.title === "string" ? c.title.slice(0, 1).toLowerCase() + c.title.slice(1) : ""));
  return el;
}

function inOrder(rows, of, way) {
  return rows.map((row) => ({ row, value: of(row) })).sort((x, y) => way * compare(x.value, y.value)).map((one) => one.row);
}

function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") return String(a).localeCompare(String(b));
  return (a ?? -1) - (b ?? -1);
}

// Of a long table, only the visible rows are on the page, and a few above and below them.
const whole = 60;
const margin = 6;
function slice(id, rows) {
  if (rows.length <= whole) return { rows, all: rows.length, from: 0, above: 0, below: 0 };
  const old = document.querySelector(`[data-table="${id}"] tbody`);
  const high = innerWidth < 640 ? 104 : 32;
  const topOf = old ? old.getBoundingClientRect().top : 200;
  const from = Math.max(0, Math.min(rows.length - 1, Math.floor(-topOf / high) - margin));
  const to = Math.min(rows.length, Math.max(from, Math.ceil((innerHeight - topOf) / high)) + margin);
  return { rows: rows.slice(from, to), all: rows.length, from, above: from * high, below: (rows.length - to) * high };
}

function spacer(high, columns) {
  const cell = h("td", { colspan: columns, class: "gap" });
  cell.style.height = `${high}px`;
  return cell;
}

addEventListener("scroll", () => document.querySelector("tr.gap") && touch(), { passive: true });

/** A dialog with a question before an action. body has its fields; done gets the form. */
export function ask({ title, body, label, danger, done }) {
  const error = h("p", { class: "t-failing", role: "alert" });
  const submit = h("button", { class: "btn main" + (danger ? " danger" : ""), type: "submit" }, label);
  const close = () => dialog.close();
  const form = h("form", { method: "dialog", onsubmit: async (e) => {
    e.preventDefault();
    submit.disabled = true;
    error.textContent = "";
    try {
      await done(new FormData(form), form);
      close();
    } catch (x) {
      error.textContent = x.message;
    }
    submit.disabled = false;
  } }, h("h2", null, title), body, error, h("div", { class: "acts" }, submit, h("button", { class: "btn", type: "button", onclick: close }, "Leave it")));
  const dialog = h("dialog", { class: "ask", "aria-label": typeof title === "string" ? title : label, onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
  form.querySelector("[autofocus]")?.focus();
  return dialog;
}

/** Announces a text to screen readers, at most once in five seconds. */
let told = 0;
export function tell(text) {
  const el = document.getElementById("told");
  if (Date.now() - told < 5000 || el.textContent === text) return;
  told = Date.now();
  el.textContent = text;
}
