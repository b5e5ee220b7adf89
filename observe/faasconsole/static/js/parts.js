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

/** What a table cell shows of a number. It is no element, so that a cell on the page can be changed instead of being replaced. */
class Figure {
  constructor(text, { zero, bad, unit, of }) {
    Object.assign(this, { text, zero, unit, of: of === undefined || of === null ? undefined : ` / ${of}`, look: "n" + (bad ? ` bad ${bad}` : ""), title: undefined });
  }

  /** Makes a cell. */
  cell() {
    return h("td", { class: this.look, title: this.title }, this.zero ? h("span", { class: "zero" }, this.text) : this.text,
      this.unit !== undefined && h("u", { class: this.unit === "s" ? "s" : "" }, this.unit), this.of !== undefined && h("span", { class: "of" }, this.of));
  }

  /** Changes the texts of a cell. Returns false, and changes nothing, if the cell would need other elements or classes. */
  change(td, classes) {
    const [first, second] = td.childNodes;
    const text = this.zero ? first?.firstChild : first;
    if (text?.nodeType !== Node.TEXT_NODE || td.childNodes.length !== 1 + (this.unit !== undefined) + (this.of !== undefined) || td.className !== [this.look, ...classes].join(" ") || td.title !== (this.title ?? "")) return false;
    if (text.data !== this.text) text.data = this.text;
    if (this.unit !== undefined && second.textContent !== this.unit) {
      second.textContent = this.unit;
      second.className = this.unit === "s" ? "s" : "";
    }
    if (this.of !== undefined && td.lastChild.textContent !== this.of) td.lastChild.textContent = this.of;
    return true;
  }
}

/** A duration for a table cell: digits, and a unit in a column of fixed width. */
export function time(ns, bad) {
  if (ns === null || ns === undefined) return new Figure("–", { zero: true, unit: "" });
  const [d, unit] = span(ns);
  return new Figure(d, { zero: d === "0", bad, unit });
}

/** A number for a table cell. Zeros are muted. */
export function number(v, { text, bad, of } = {}) {
  const zero = v === null || v === undefined || n(v) === 0;
  return new Figure(text ?? (v === null || v === undefined ? "–" : count(v)), { zero, bad: !zero && bad, of });
}

/** A share in per cent for a table cell. */
export function share(part, whole, bad) {
  if (!n(whole)) return new Figure("–", { zero: true });
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
 * changed is left as it is. Without of, the cell is made again each time. basis is for a table of many rows that change each second:
 * all values, beside its row, from which a cell is made. A row whose object and basis are the same is left as it is, rows are put in
 * another order once in ten seconds, and the elements of a row that goes are used for one that comes. */
export function table({ id, caption, columns, rows, key, order, ranked, selected, open, cards, className, basis }) {
  const params = current().params;
  const by = params[`${id}-sort`] ?? order;
  const down = by?.startsWith("-");
  const sorted = columns.find((c) => c.name === by?.replace(/^-/, ""));
  const sort = (list) => inOrder(list, sorted.sort, down ? -1 : 1);
  const part = slice(id, !sorted?.sort ? rows : sorted.name !== ranked ? (basis ? steadily(`${id} ${by}`, rows, key, sort) : sort(rows)) : down ? rows.toReversed() : rows);
  const live = document.querySelector(`table[data-table="${id}"]`);
  const have = new Map([...(live?.tBodies[0]?.rows ?? [])].map((tr) => [tr.dataset.row, tr]));
  const names = columns.map((c) => c.name).join();
  const hash = location.hash;
  const keys = part.rows.map(key);
  const of = { columns, names, hash, basis: basis && kept(id, basis), have, open, free: basis ? spare(have, keys, names) : [] };
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
      part.rows.map((row, i) => line(of, row, keys[i], part.all > part.rows.length ? part.from + i + 2 : null, selected !== undefined && selected === keys[i])),
      part.below ? h("tr", { class: "gap", "aria-hidden": "true", "data-key": "below" }, spacer(part.below, columns.length)) : null));
}

const bases = new Map(); // id of a table → its last basis

// Returns the last basis of a table if it has the same values, so that rows compare one object.
function kept(id, basis) {
  const last = bases.get(id);
  if (last?.length === basis.length && basis.every((v, i) => v === last[i])) return last;
  bases.set(id, basis);
  return basis;
}

/** Returns the rows on the page that are not among the keys, without one that has the focus. */
function spare(have, keys, names) {
  const free = new Map(have);
  for (const k of keys) free.delete(k);
  return [...free.values()].filter((tr) => basisOf(tr)?.[0] === names && !tr.hasAttribute("aria-selected") && !tr.contains(document.activeElement));
}

// A row. If it is on the page already, only those of its cells are changed whose values have changed. The values that it is made from are
// the names of the columns, the URL, the basis, whether it is selected, its object, and then one of each cell.
const [rowAt, cellsAt] = [4, 5];
function line({ columns, names, hash, basis, have, open, free }, row, k, index, selected) {
  const old = have.get(k);
  const was = basisOf(old);
  const stays = was && was[0] === names && was[1] === hash && was[3] === selected;
  if (stays && basis && was[2] === basis && was[rowAt] === row) return leave(old, () => numbered(old, index));
  const of = [names, hash, basis, selected, row];
  for (const c of columns) of.push(c.of ? c.of(row) : {}); // a new object equals no other, so that the cell is made again
  if (stays) return leave(old, () => patch(old, { row, columns, of, was, index }));
  const other = !old && !selected && free.shift();
  if (other) return leave(other, () => patch(other, { row, columns, of, index, k }));
  return stay(null, of, () => h("tr", { "data-key": k, "data-row": k, "aria-rowindex": index, "aria-selected": selected ? "true" : null, onclick: open && ((e) => !e.target.closest("a, button, input, summary") && open(basisOf(e.target.closest("tr"))[rowAt])) },
    columns.map((c, j) => cellOf(c, j, c.cell(row)))));
}

// Says which row of all this is, in a table of which only a part is on the page.
function numbered(tr, index) {
  if (index === null) tr.removeAttribute("aria-rowindex");
  else if (tr.getAttribute("aria-rowindex") !== String(index)) tr.setAttribute("aria-rowindex", index);
}

// Changes the cells of a row whose values have changed. If k is given, the elements were those of another row.
function patch(tr, { row, columns, of, was, index, k }) {
  numbered(tr, index);
  if (k !== undefined) for (const name of ["data-key", "data-row"]) tr.setAttribute(name, k);
  const cells = tr.cells;
  for (let j = 0; j < columns.length; j++) {
    if (k === undefined && Object.is(of[cellsAt + j], was[cellsAt + j])) continue;
    const value = columns[j].cell(row);
    if (!(value instanceof Figure)) renew(cells[j], cellOf(columns[j], j, value));
    else if (!value.change(cells[j], classes(columns[j]))) cells[j].replaceWith(cellOf(columns[j], j, value)); // nothing in it can have the focus
  }
  remake(tr, of);
}

// The classes of a column besides n, which all figures have.
const classes = (c) => (c.class ?? "").split(" ").filter((one) => one && one !== "n");

function cellOf(c, j, value) {
  const el = value instanceof Figure ? value.cell() : value instanceof Element && (value.nodeName === "TD" || value.nodeName === "TH") ? value : h(j ? "td" : "th", j ? null : { scope: "row" }, value);
  if (c.class) el.classList.add(...c.class.split(" ").filter(Boolean));
  if (!j) el.classList.add("top1");
  else if (c.label !== false) el.setAttribute("data-l", c.label ?? (typeof c.title === "string" ? c.title.slice(0, 1).toLowerCase() + c.title.slice(1) : ""));
  return el;
}

/** When rows that were ranked or sorted are put in another order: once in ten seconds of the clock, so that they do not jump while they
 * are read. It is a number that is the same until then. */
export const turn = () => Math.floor((Date.now() - 7e3) / 10e3);

const orders = new Map(); // name of an order → {at, keys, places}: the keys of its rows, and the index of each row in their order

/** Returns the rows in the order of sort(rows). The order is kept until the next turn, while the rows have the same keys. */
export function steadily(name, rows, key, sort) {
  const keys = rows.map(key);
  const last = orders.get(name);
  if (last?.at === turn() && last.keys.length === keys.length && keys.every((k, i) => k === last.keys[i])) return last.places.map((i) => rows[i]);
  const place = new Map(rows.map((row, i) => [row, i]));
  const sorted = sort(rows);
  orders.set(name, { at: turn(), keys, places: sorted.map((row) => place.get(row)) });
  return sorted;
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
