// Charts over time, drawn by uPlot. They have names and values at their right ends, one cursor for all
// charts of a page, and a table with the same data.

import { h, s, morph, stay, standing } from "./dom.js";
import { minute, clock, tick } from "./format.js";
import { brush } from "./brush.js";
import { touch } from "./store.js";

/* global uPlot */

const colour = (token) => getComputedStyle(document.documentElement).getPropertyValue("--" + token).trim();

// Only the browser can resolve light-dark(), so the colour of a token is read from an element that uses it.
let probe;
const inks = new Map(); // a cache: token → colour. repaint empties it
function ink(token) {
  let known = inks.get(token);
  if (known) return known;
  probe ??= document.body.appendChild(h("i", { class: "vh", "aria-hidden": "true" }));
  probe.style.color = `var(--${token})`;
  known = getComputedStyle(probe).color;
  inks.set(token, known);
  return known;
}

let families = "";
const family = () => (families ||= colour("font") || "system-ui"); // a canvas does not know the style sheet's fonts

const pale = (rgb, alpha) => `rgba(${rgb.match(/[\d.]+/g).slice(0, 3).join(", ")}, ${alpha})`;

let specs = new Map(); // id → spec, of the present view
let earlier = new Map(); // the same, of the view before
const drawn = new Map(); // id → {plot, shape, el, width, visible, observer}

/** Returns a chart of a view. spec: {label, height, x, series: [{name, value, token, values, kind, scale}],
 * bands, heat, events, marks, max, unit, table}. The pages have examples. */
export function chart(id, spec) {
  specs.set(id, spec);
  const label = spec.label + eventsIn(spec) + " Left and right move along it" + (spec.brush ? ", with shift they select." : ".");
  const named = spec.series.filter((one) => one.name);
  return stay(standing("plot:" + id), [label, ...named.flatMap((one) => [one.name, one.value, one.token, one.kind, Boolean(one.dash)])], () => h("figure", { class: "plot", role: "group", "aria-label": spec.label, "data-key": "plot:" + id },
    h("div", { class: "plot-frame" },
      h("div", { class: "plot-box", "data-keep": id, tabindex: "0", role: "img", "aria-label": label }),
      h("ol", { class: "plot-ends", "data-keep": id + ":ends", "aria-hidden": "true" })),
    h("p", { class: "read", "data-keep": id + ":read" }),
    h("ul", { class: "key" }, named.map((one) => h("li", null, swatch(one), `${one.name} ${one.value ?? ""}`)))));
}

// The last events of a chart, as text for its label.
function eventsIn({ events = [], x }) {
  const seen = events.filter((e) => e.text && e.t >= x[0]).slice(-3);
  return seen.length ? ` Marked: ${seen.map((e) => `${clock(e.t * 1000)} ${e.text}`).join(", ")}.` : "";
}

const swatch = (one) => s("svg", { viewBox: "0 0 8 8", "aria-hidden": "true" }, shapeOf(one).map(([x, y, width, height]) => s("rect", { ...(one.kind === "hatch" ? { fill: "url(#hatch)" } : { class: "f-" + one.token }), x, y, width, height })));

// A square, or a piece of the line: [x, y, width, height] of its parts.
function shapeOf({ kind, dash }) {
  if (kind !== "line") return [[0, 0, 8, 8]];
  return dash ? [[0, 3, 3, 2], [5, 3, 3, 2]] : [[0, 3, 8, 2]];
}

/** Returns a table with the data of a chart. rows is an array, or a function that makes it; the rows are
 * drawn only while the table is open. */
export function twin(caption, head, rows) {
  const live = [...document.querySelectorAll("details.twin")].find((d) => d.dataset.twin === caption);
  const list = live?.open ? (typeof rows === "function" ? rows() : rows) : [];
  return stay(live, live?.open ? {} : [caption, ...head], () => h("details", { class: "twin", "data-twin": caption, ontoggle: touch }, h("summary", null, "Table"),
    h("div", { class: "twin-box", tabindex: "0", role: "region", "aria-label": caption },
      h("table", null, h("caption", { class: "vh" }, caption),
        h("thead", null, h("tr", null, head.map((c, i) => h("th", { scope: "col", class: i ? "n" : "" }, c)))),
        h("tbody", null, list.map((r) => h("tr", null, r.map((c, i) => (i ? h("td", { class: "n" }, c) : h("th", { scope: "row" }, c))))))))));
}

/** Forgets the charts of the view before. It is called before each view is made. */
export function begin() {
  [earlier, specs] = [specs, earlier];
  specs.clear();
}

/** Like stay, for a part of a page with charts: while it stays, its charts stay too. If the viewer opens or closes a table
 * of it, it is made again. */
export function still(live, of, make) {
  const el = stay(live, [...of, live?.querySelectorAll("details[open]").length ?? 0], make);
  if (el?.live) for (const box of live.querySelectorAll(".plot-box")) specs.set(box.dataset.keep, earlier.get(box.dataset.keep));
  return el;
}

/** Draws the charts of the present view. New ones are drawn at once. Of the others, those that have changed are
 * drawn one per animation frame, so that no frame takes long. If more than two have changed, the others are drawn with
 * the next view, or after a second. */
export function draw(root) {
  for (const [id, d] of drawn) {
    if (!specs.has(id) || !d.el.isConnected) {
      d.observer.disconnect();
      sight.unobserve(d.el);
      d.plot?.destroy();
      drawn.delete(id);
    }
  }
  for (const el of root.querySelectorAll(".plot-box")) {
    const id = el.dataset.keep;
    const d = drawn.get(id);
    if (d?.el !== el) place(id, el);
    else if (d.visible && (d.spec !== specs.get(id) || !d.plot)) due.add(id);
  }
  go();
}

const atOnce = 2;
let left = atOnce; // how many more charts may be drawn before the next view
let later = 0; // the timer of those that are left

function go() {
  clearTimeout(later);
  left = atOnce;
  planned ||= due.size && requestAnimationFrame(next);
}

// A chart that is out of sight is drawn when it comes near.
const sight = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    const id = target.dataset.keep;
    const d = drawn.get(id);
    if (d?.el !== target) continue;
    d.visible = isIntersecting;
    if (isIntersecting) due.add(id);
  }
  go();
}, { rootMargin: "100px" });

const due = new Set(); // ids of charts that may have changed
let planned = 0;

function next() {
  planned = 0;
  for (const id of due) {
    due.delete(id);
    const d = drawn.get(id);
    if (d?.el.isConnected && place(id, d.el)) break;
  }
  left--;
  if (due.size && left > 0) planned = requestAnimationFrame(next);
  else if (due.size) later = setTimeout(go, 1000);
}

/** Draws all charts again, after the colours have changed. */
export function repaint() {
  inks.clear();
  for (const d of drawn.values()) d.shape = "";
  for (const [id, d] of drawn) place(id, d.el);
}

// The width is read once, and then kept by the observer: to read it after a change would force a layout of the page.
function place(id, el) {
  const spec = specs.get(id);
  if (!spec) return false;
  let d = drawn.get(id);
  if (!d || d.el !== el) {
    d = { el, plot: null, shape: "", width: el.clientWidth, visible: true, observer: new ResizeObserver(() => resize(id, d)) };
    drawn.set(id, d);
    d.observer.observe(el);
    sight.observe(el);
    el.onkeydown = (e) => step(d, e);
  }
  if (!d.width) return false;
  const shape = JSON.stringify([narrow(), spec.series.map((one) => [one.kind, one.token, one.dash, one.step, one.width]), spec.height, Boolean(spec.heat), Boolean(spec.brush), spec.max !== undefined]);
  d.spec = spec;
  d.height = spec.height;
  const data = dataOf(spec);
  if (d.shape !== shape) {
    d.plot?.destroy();
    el.replaceChildren();
    d.shape = shape;
    d.plot = new uPlot(options(d, el), data, el);
  } else if (unchanged(d, spec, data)) return false;
  else d.plot.setData(data);
  Object.assign(d, { data, rest: restOf(spec), heat: spec.heat });
  return true;
}

function resize(id, d) {
  const width = d.el.clientWidth;
  if (width === d.width) return;
  d.width = width;
  if (d.plot && width) d.plot.setSize({ width, height: d.height });
  else place(id, d.el);
}

const restOf = (spec) => JSON.stringify([spec.events, spec.marks, spec.max, spec.pale, spec.series.map((one) => one.name)]);

// A view is made each second, and most of its charts have not changed. Those are not drawn again.
function unchanged(d, spec, data) {
  return spec.heat === d.heat && d.rest === restOf(spec) && data.every((values, i) => equal(values, d.data[i]));
}

function equal(a, b) {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false; // from the end, where most changes are
  return true;
}

// Adds up stacked series, since uPlot does not stack.
function dataOf(spec) {
  const data = [spec.x];
  let below = null;
  for (const one of spec.series) {
    if (one.kind === "stack" || one.kind === "hatch") {
      below = one.values.map((v, i) => v + (below ? below[i] : 0));
      data.push(below);
    } else data.push(one.values);
  }
  return data;
}

function options(d, el) {
  const spec = d.spec;
  const stacked = spec.series.map((one, i) => (one.kind === "stack" || one.kind === "hatch" ? i + 1 : 0)).filter(Boolean);
  return {
    width: d.width, height: spec.height, legend: { show: false }, padding: [12, narrow() ? 16 : gutter, 0, 0],
    cursor: { sync: { key: "page" }, y: false, drag: { x: false, y: false }, points: { show: false }, dataIdx: (u, s, i, t) => (i > 0 && (u.data[0][i] - t) * 20 > u.data[0][i] - u.data[0][i - 1] && spec.series.some((one) => one.kind === "bars") ? i - 1 : i) },
    scales: {
      x: { time: true, range: (u, lo, hi) => d.spec.span ?? [lo, hi] },
      y: spec.log ? { distr: 3, log: 10, range: () => spec.log } : { range: (u, lo, hi) => [0, Math.max(hi ?? 0, d.spec.max ?? 0) * 1.14 || 1] },
    },
    axes: [
      axis({ size: spec.bare ? 8 : 26, gap: 3, space: () => (d.width < 400 ? 40 : 72), values: (u, ticks) => ticks.map((t) => (spec.bare ? "" : clockOf(ticks)(t * 1000))),
        grid: { show: false }, ticks: { stroke: () => ink("rule-strong"), width: 1, size: 4 }, border: { show: true, stroke: () => ink("rule-strong"), width: 1 } }),
      axis({ size: narrow() ? Math.min(spec.left ?? 32, 44) : (spec.left ?? 44), space: spec.height > 120 ? 36 : 24, splits: spec.log ? () => decades(d.spec.log) : undefined, values: (u, ticks) => ticks.map((t) => (spec.format ?? tick)(t)) }),
    ],
    series: [{}, ...spec.series.map((one) => serie(d, one))],
    bands: stacked.slice(1).map((i, at) => ({ series: [i, stacked[at]], fill: () => fillOf(d, spec.series[i - 1]) })),
    hooks: {
      drawAxes: [(u) => d.spec.heat && heat(u, d.spec)],
      ready: [(u) => { if (d.spec.brush) d.brushed = brush(u, el, () => d.spec); }],
      draw: [(u) => d.spec.pale && veil(u, d.spec.pale), (u) => events(u, d.spec), (u) => marks(u, d.spec), () => ends(el, d), () => d.spec.brush && d.brushed?.()],
      setCursor: [(u) => read(u, d)],
    },
  };
}

const gutter = 28; // the width, in pixels, of the space for the lines that lead to the names

/** Returns whether the names of the series stand below the chart. The style sheet puts them there by the same width. */
const narrow = () => innerWidth < 640;

// How the times of an axis are written: a day, a minute or a second, as its steps are.
function clockOf(ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
  return step >= 86400 ? (t) => new Date(t).toISOString().slice(5, 10) : step < 60 ? clock : minute;
}

const decades = ([lo, hi]) => Array.from({ length: Math.round(Math.log10(hi / lo)) + 1 }, (_, i) => lo * 10 ** i);

const axis = (own) => ({
  font: `12px ${family()}`, stroke: () => ink("muted"), gap: 6, ticks: { show: false },
  grid: { stroke: () => ink("rule"), width: 1 }, ...own,
});

function serie(d, one) {
  const base = { points: { show: false }, spanGaps: false };
  const paths = one.step ? uPlot.paths.stepped({ align: 1 }) : one.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 100], align: 1 }) : undefined;
  if (one.kind === "stack" || one.kind === "hatch") return { ...base, stroke: () => ink("bg"), width: 1, fill: () => fillOf(d, one) };
  if (one.kind === "bars") return { ...base, paths, stroke: () => ink(one.token), width: 0, fill: () => ink(one.token) };
  return {
    ...base, paths, stroke: () => ink(one.token), width: one.width ?? 1.5, dash: one.dash,
    fill: one.kind === "area" ? () => pale(ink(one.token), 0.18) : undefined,
  };
}

function fillOf(d, one) {
  if (one.kind !== "hatch") return pale(ink(one.token), 0.72);
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const c = tile.getContext("2d");
  c.strokeStyle = ink("muted");
  c.beginPath();
  c.moveTo(0, 6);
  c.lineTo(6, 0);
  c.stroke();
  return c.createPattern(tile, "repeat");
}

const ratio = () => devicePixelRatio || 1;

// Makes everything after the time t pale.
function veil(u, t) {
  const x = Math.max(u.bbox.left, u.valToPos(t, "x", true));
  u.ctx.fillStyle = pale(ink("bg"), 0.55);
  u.ctx.fillRect(x, u.bbox.top, u.bbox.left + u.bbox.width - x, u.bbox.height);
}

// Draws events, such as releases and restarts, as dotted vertical lines with a text.
function events(u, spec) {
  const c = u.ctx;
  const [left, topPx, height] = [u.bbox.left, u.bbox.top, u.bbox.height];
  c.save();
  c.font = `${12 * ratio()}px ${family()}`;
  let said = -Infinity; // where the last text ends
  for (const e of spec.events ?? []) {
    const x = Math.round(u.valToPos(e.t, "x", true)) + 0.5;
    if (x < left || x > left + u.bbox.width) continue;
    c.strokeStyle = ink("text");
    c.setLineDash([ratio(), 2 * ratio()]);
    c.beginPath();
    c.moveTo(x, topPx);
    c.lineTo(x, topPx + height);
    c.stroke();
    if (!e.text) continue;
    c.setLineDash([]);
    const wide = c.measureText(e.text).width;
    const before = x - left > wide + 8 * ratio();
    const from = before ? x - wide - 6 * ratio() : Math.max(left, Math.min(x + 6 * ratio(), c.canvas.width - wide - 2 * ratio())); // a long text stays within the chart
    if (from < said) continue;
    said = from + wide + 8 * ratio();
    c.textAlign = "left";
    c.textBaseline = "top";
    c.lineWidth = 4 * ratio();
    c.strokeStyle = ink("bg");
    c.strokeText(e.text, from, topPx);
    c.fillStyle = ink("text");
    c.fillText(e.text, from, topPx);
    c.lineWidth = 1;
  }
  c.restore();
}

// Draws triangles where the scale has changed.
function marks(u, spec) {
  const c = u.ctx;
  c.save();
  c.setLineDash([]);
  c.font = `${12 * ratio()}px ${family()}`;
  c.textAlign = "center";
  let [last, said] = [-Infinity, -Infinity];
  for (const m of spec.marks ?? []) {
    const x = u.valToPos(m.t, "x", true);
    const y = u.valToPos(m.y, "y", true);
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width || x - last < 24 * ratio()) continue;
    last = x;
    const r = 5 * ratio() * (m.up ? -1 : 1);
    c.beginPath();
    c.moveTo(x, y + r);
    c.lineTo(x - Math.abs(r), y - r * 0.8);
    c.lineTo(x + Math.abs(r), y - r * 0.8);
    c.closePath();
    c.fillStyle = ink("bg");
    c.strokeStyle = ink("text");
    c.lineWidth = 1.5 * ratio();
    c.fill();
    c.stroke();
    if (!m.text || x - said < 72 * ratio()) continue;
    said = x;
    const over = m.up || y + 2 * r + 14 * ratio() > u.bbox.top + u.bbox.height; // below there would be the axis
    const at = y + (over ? -2 : 2) * Math.abs(r);
    c.textBaseline = over ? "bottom" : "top";
    c.lineWidth = 4 * ratio();
    c.strokeStyle = ink("bg");
    c.strokeText(m.text, x, at);
    c.fillStyle = ink("text");
    c.fillText(m.text, x, at);
  }
  c.restore();
}

// Draws the cells of a heat map: [t, from, to, part of the column's calls].
function heat(u, spec) {
  const c = u.ctx;
  const shades = [1, 2, 3, 4, 5, 6].map((i) => ink("h" + i));
  c.save();
  c.beginPath();
  c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  c.clip();
  const wide = Math.max(1, (spec.heat.step / (u.scales.x.max - u.scales.x.min)) * u.bbox.width);
  for (const [t, from, to, part] of spec.heat.cells) {
    const x = u.valToPos(t, "x", true);
    const [y1, y2] = [u.valToPos(to, "y", true), u.valToPos(from, "y", true)];
    c.fillStyle = shades[Math.min(5, Math.floor(Math.sqrt(part) * 6))];
    c.fillRect(Math.floor(x), Math.floor(y1), Math.ceil(wide), Math.ceil(y2 - y1));
  }
  c.restore();
}

// Places the names at the right end, so that none covers another.
function ends(el, d) {
  const list = el.parentElement.querySelector(".plot-ends");
  const u = d.plot;
  const named = d.spec.series.map((one, i) => ({ one, i })).filter(({ one }) => one.name && one.end !== false);
  const at = named.map(({ one, i }) => {
    const values = u.data[i + 1];
    const last = values.findLast((v) => v !== null && v !== undefined) ?? 0;
    const below = one.kind === "stack" || one.kind === "hatch" ? last - (one.values.at(-1) ?? 0) / 2 : last;
    const y = u.valToPos(d.spec.log ? Math.max(below, d.spec.log[0]) : below, "y") + u.bbox.top / ratio();
    return { one, y, from: y };
  });
  at.sort((a, b) => a.y - b.y);
  const low = d.height - (d.spec.bare ? 16 : 34);
  for (let i = at.length - 1; i >= 0; i--) at[i].y = Math.min(at[i].y, low - 16 * (at.length - 1 - i));
  for (let i = 0; i < at.length; i++) at[i].y = Math.max(at[i].y, i ? at[i - 1].y + 16 : 4);
  morph(list, at.map(({ one }) => h("li", { class: one.strong ? "b" : "" }, one.kind === "line" || !one.kind ? null : swatch(one), h("bdi", null, one.name), one.value ? " " + one.value : "")));
  at.forEach(({ y }, i) => (list.children[i].style.top = `${y - 8}px`));
  if (!narrow()) leads(u, at);
}

// Draws a thin line from the end of each series to its name. A name right beside the end of its line needs none.
function leads(u, at) {
  const c = u.ctx;
  const r = ratio();
  const right = u.bbox.left + u.bbox.width;
  c.save();
  c.setLineDash([]);
  c.strokeStyle = ink("rule-strong");
  c.lineWidth = r;
  c.beginPath();
  for (const { one, y, from } of at) {
    if (one.kind === "line" && Math.abs(y - from) < 3) continue;
    c.moveTo(right + 4 * r, from * r);
    c.lineTo(right + (gutter - 4) * r, y * r);
  }
  c.stroke();
  c.restore();
}

// Writes the values under the cursor into the line below the chart.
function read(u, d) {
  const line = d.el.closest("figure")?.querySelector(".read");
  if (!line) return;

  const i = u.cursor.idx;
  if (i === null || i === undefined || u.cursor.left < 0) {
    morph(line, d.spec.rest ?? "");
    return;
  }
  const t = u.data[0][i];
  const near = d.spec.readout?.(t);
  morph(line, h("b", null, clock(t * 1000)), near ?? d.spec.series.filter((one) => one.name).map((one) => h("span", null, h("bdi", null, one.name), " ", h("b", null, (d.spec.value ?? d.spec.format ?? tick)(one.values[i] ?? 0)))));
}

function step(d, e) {
  const u = d.plot;
  if (!u || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(e.key) || (e.shiftKey && d.spec.brush)) return;
  e.preventDefault();
  const last = u.data[0].length - 1;
  const at = u.cursor.idx ?? last;
  const i = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[e.key];
  u.setCursor({ left: u.valToPos(u.data[0][Math.max(0, Math.min(last, i))], "x"), top: 1 });
}

/** Returns a small line chart without axes. Its range is at least a certain part of the mean, so that noise
 * looks small. */
export function spark(values, state, wide = 72, high = 20) {
  if (values.length < 2) return s("svg", { class: "sp", viewBox: `0 0 ${wide} ${high}`, "aria-hidden": "true" });
  let mean = 0;
  for (const v of values) mean += v / values.length;
  let reach = 0.22 * Math.abs(mean);
  for (const v of values) reach = Math.max(reach, Math.abs(v - mean));
  const tall = (high / 2 - 2) / (reach || 1);
  const long = (wide - 3) / (values.length - 1);
  let path = "";
  for (let i = 0; i < values.length; i++) path += `${i ? "L" : "M"}${Math.round(10 * i * long) / 10} ${Math.round(10 * (high / 2 - (values[i] - mean) * tall)) / 10}`;
  return s("svg", { class: "sp " + (state ?? ""), viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", "aria-hidden": "true" }, s("path", { d: path }));
}

/** Reduces values to at most most, as means of neighbours. */
export function thin(values, most) {
  if (values.length <= most) return values;
  const size = values.length / most;
  const means = [];
  for (let i = 0; i < most; i++) {
    const from = Math.floor(i * size);
    const to = Math.max(from + 1, Math.floor((i + 1) * size));
    let sum = 0;
    for (let k = from; k < to; k++) sum += values[k];
    means.push(sum / (to - from));
  }
  return means;
}
