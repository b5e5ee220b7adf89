// Elements from descriptions, and the least change from what stands there to what should.
// Nothing here makes HTML from text: hostile names stay text.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. Attributes that are false, null or undefined are left out; a function
 * under "onclick" and the like becomes its handler; children may be arrays, null or text. */
export function h(tag, attrs, ...kids) {
  return fill(document.createElement(tag), attrs, kids);
}

/** Makes an SVG element. */
export function s(tag, attrs, ...kids) {
  return fill(document.createElementNS(SVG, tag), attrs, kids);
}

function fill(el, attrs, kids) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") handle(el, name.slice(2), value);
    else if (name === "value" && "value" in el) {
      el.value = value;
      el.setAttribute("value", value);
    } else el.setAttribute(name, value === true ? "" : value);
  }
  append(el, kids);
  return el;
}

function append(el, kids) {
  for (const kid of kids) {
    if (kid === null || kid === undefined || kid === false || kid === "") continue;
    if (Array.isArray(kid)) append(el, kid);
    else el.append(kid);
  }
}

// The handlers of an element stand in a map, so that a morph can replace them.
const handlers = new WeakMap();

function handle(el, type, f) {
  let own = handlers.get(el);
  if (!own) handlers.set(el, (own = {}));
  if (!own[type]) el.addEventListener(type, (e) => handlers.get(el)?.[type]?.(e));
  own[type] = f;
}

function moveHandlers(from, to) {
  const next = handlers.get(from) ?? {};
  const own = handlers.get(to);
  if (own) for (const type of Object.keys(own)) own[type] = next[type];
  for (const [type, f] of Object.entries(next)) if (f) handle(to, type, f);
}

/** Changes the children of el to those given, and touches only what differs. Children with a
 * data-key are found again wherever they stand; what has data-keep keeps its own children. */
export function morph(el, ...kids) {
  const next = document.createDocumentFragment();
  append(next, kids);
  children(el, next);
}

function children(el, next) {
  const keyed = new Map();
  for (const old of el.children) if (old.dataset?.key !== undefined) keyed.set(old.dataset.key, old);
  let at = el.firstChild;
  for (const want of [...next.childNodes]) {
    const key = want.dataset?.key;
    const same = key === undefined ? at : keyed.get(key);
    if (same && alike(same, want) && !(key === undefined && same.dataset?.key !== undefined)) {
      if (same !== at) el.insertBefore(same, at);
      else at = at.nextSibling;
      keyed.delete(key);
      node(same, want);
    } else {
      el.insertBefore(want, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key && a.dataset?.keep === b.dataset?.keep;

function node(old, want) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== want.data) old.data = want.data;
    return;
  }
  attributes(old, want);
  moveHandlers(want, old);
  if (old.dataset?.keep === undefined) children(old, want);
}

// What the viewer has changed is the viewer's: an open details, the text of a field in use.
const own = (el, name) => (el.nodeName === "DETAILS" || el.nodeName === "DIALOG") && name === "open";

function attributes(old, want) {
  for (const { name } of [...old.attributes]) if (!want.hasAttribute(name) && !own(old, name)) old.removeAttribute(name);
  for (const { name, value } of want.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if ("value" in want && "value" in old && old.nodeName !== "LI" && old.nodeName !== "BUTTON" && old !== document.activeElement && old.value !== want.value) old.value = want.value;
  if ("checked" in want && old.checked !== want.hasAttribute("checked")) old.checked = want.hasAttribute("checked");
}

/** A picture of the page's own set. */
export const icon = (name) => s("svg", { class: "i", "aria-hidden": "true" }, s("use", { href: `#i-${name}` }));

const words = { well: "well", failing: "failing", refusing: "refusing", stuck: "stuck", idle: "idle", off: "off" };

/** The mark of a state: a colour and a shape. With silent, the word stands beside it. */
export function mark(state, silent) {
  const shape = state === "off" ? "idle" : (state ?? "none");
  const attrs = silent || !words[state] ? { "aria-hidden": "true" } : { role: "img", "aria-label": words[state] };
  return s("svg", { class: `m ${shape}`, viewBox: "0 0 12 12", ...attrs }, s("use", { href: `#s-${shape}` }));
}

/** A word from outside, which may be written from right to left. */
export const word = (text, attrs) => h("bdi", attrs, text);
