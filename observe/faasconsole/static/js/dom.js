// Makes elements from descriptions, and changes the page to match them with as few changes as possible.
// Nothing here makes HTML from text, so hostile names stay text.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. Attributes that are false, null or undefined are left out. A function under "onclick"
 * or a similar name becomes the handler of that event. Children may be arrays, null or text. */
export function h(tag, attrs, ...kids) {
  return fill(document.createElement(tag), attrs, kids);
}

/** Makes an SVG element. */
export function s(tag, attrs, ...kids) {
  return fill(document.createElementNS(SVG, tag), attrs, kids);
}

function fill(el, attrs, kids) {
  for (const name in attrs) {
    const value = attrs[name];
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

// The handlers of an element are in a map, so that a morph can replace them. The document has one listener
// for each type of event, in the capture phase: so it also gets events that do not bubble.
const handlers = new WeakMap();
const types = new Set();

function handle(el, type, f) {
  let own = handlers.get(el);
  if (!own) handlers.set(el, (own = {}));
  own[type] = f;
  if (types.has(type)) return;
  types.add(type);
  document.addEventListener(type, (e) => {
    for (const one of e.bubbles ? e.composedPath() : [e.target]) handlers.get(one)?.[type]?.(e);
  }, true);
}

function moveHandlers(from, to) {
  const next = handlers.get(from);
  if (next) handlers.set(to, next);
  else handlers.delete(to);
}

// The values from which an element was made, if stay has made it.
const basis = new WeakMap();

const same = (a, b) => Object.is(a, b) || (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((v, i) => Object.is(v, b[i])));

/** Returns the values that an element of the page was made from, or undefined. */
export const basisOf = (live) => live && basis.get(live);

// Returns whether an element of the page was made from these values: one value, or an array of them.
const madeOf = (live, of) => Boolean(live && basis.has(live) && same(basis.get(live), of));

/** Calls make, notes that its element was made from the values in the parameter of, and returns the element.
 * If live, an element of the page, was made from equal values, stay does not call make. It returns a stub
 * instead, and the morph leaves live unchanged. */
export function stay(live, of, make) {
  if (madeOf(live, of)) return leave(live);
  const el = make();
  if (el) basis.set(el, of);
  return el;
}

/** Returns the part of the page with that data-key, or null. */
export const standing = (key) => document.querySelector(`main [data-key="${key}"]`);

/** Returns a stub for an element of the page that a morph must leave unchanged. If change is given, the morph calls it. */
export function leave(live, change) {
  const stub = document.createComment("");
  stub.live = live;
  stub.change = change;
  return stub;
}

/** Changes an element of the page to be like another one with the same tag. */
export const renew = (live, el) => node(live, el);

/** Notes the values that an element of the page is made from. */
export const remake = (live, of) => basis.set(live, of);

/** Changes the children of el to kids, and touches only what differs. Children with a data-key are found
 * wherever they are among the children. An element with data-keep keeps its own children. */
export function morph(el, ...kids) {
  const next = document.createDocumentFragment();
  append(next, kids);
  children(el, next);
}

const attr = (el, name) => (el.nodeType === Node.ELEMENT_NODE ? el.getAttribute(name) : null);

function children(el, next) {
  let keyed = null;
  let at = el.firstChild;
  for (let want = next.firstChild, after; want; want = after) {
    after = want.nextSibling;
    const key = attr(want, "data-key");
    if (key !== null) keyed ??= byKey(el);
    const found = want.live ?? (key === null ? at : keyed.get(key));
    if (found && (want.live || (alike(found, want) && attr(found, "data-key") === key))) {
      if (found !== at && found === at?.nextSibling && !at.contains(document.activeElement)) {
        el.append(at); // it comes later, or not at all: without this, all that follow it would be moved before it
        at = found;
      }
      if (found !== at) el.insertBefore(found, at);
      else at = at.nextSibling;
      if (want.live) {
        want.change?.();
        continue;
      }
      keyed?.delete(key);
      node(found, want);
    } else {
      settle(want);
      el.insertBefore(want, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function byKey(el) {
  const all = new Map();
  for (const one of el.children) if (one.hasAttribute("data-key")) all.set(one.getAttribute("data-key"), one);
  return all;
}

// In a new element, replaces the stubs by the elements of the page that they stand for.
function settle(want) {
  if (want.nodeType !== Node.ELEMENT_NODE) return;
  const walk = document.createTreeWalker(want, NodeFilter.SHOW_COMMENT);
  const stubs = [];
  while (walk.nextNode()) stubs.push(walk.currentNode);
  for (const stub of stubs) {
    stub.change?.();
    stub.replaceWith(stub.live);
  }
}

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && attr(a, "data-keep") === attr(b, "data-keep");

function node(old, want) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== want.data) old.data = want.data;
    return;
  }
  attributes(old, want);
  moveHandlers(want, old);
  if (basis.has(want)) basis.set(old, basis.get(want));
  else basis.delete(old);
  if (!old.hasAttribute("data-keep")) children(old, want);
}

// What the viewer has changed is kept: an open details element, and the text of the field that has the
// focus.
const own = (el, name) => (el.nodeName === "DETAILS" || el.nodeName === "DIALOG") && name === "open";

// Those that the viewer changes.
const fields = new Set(["INPUT", "TEXTAREA", "SELECT", "OPTION"]);

function attributes(old, want) {
  const has = want.getAttributeNames();
  for (const name of has) {
    const value = want.getAttribute(name);
    if (old.getAttribute(name) === value) continue;
    if (name === "style") old.style.cssText = value; // the page's policy allows no attribute of that name to be set
    else old.setAttribute(name, value);
  }
  const had = old.attributes;
  for (let i = had.length - 1; i >= 0 && had.length > has.length; i--) if (!want.hasAttribute(had[i].name) && !own(old, had[i].name)) old.removeAttribute(had[i].name);
  if (!fields.has(want.nodeName)) return;
  if (old !== document.activeElement && old.value !== want.value) old.value = want.value;
  if ("checked" in want && old.checked !== want.hasAttribute("checked")) old.checked = want.hasAttribute("checked");
}

/** Returns an icon from the page's own set. */
export const icon = (name) => s("svg", { class: "i", "aria-hidden": "true" }, s("use", { href: `#i-${name}` }));

const words = { well: "well", failing: "failing", refusing: "refusing", stuck: "stuck", idle: "idle", off: "off" };

/** Returns the mark of a state, a colour and a shape. With silent, screen readers skip it, since the word is
 * next to it. */
export function mark(state, silent) {
  const shape = state === "off" ? "idle" : (state ?? "none");
  const attrs = silent || !words[state] ? { "aria-hidden": "true" } : { role: "img", "aria-label": words[state] };
  return s("svg", { class: `m ${shape}`, viewBox: "0 0 12 12", ...attrs }, s("use", { href: `#s-${shape}` }));
}

/** Returns an element for a text from outside, which may be written from right to left. */
export const word = (text, attrs) => h("bdi", attrs, text);
