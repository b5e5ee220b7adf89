// A span of time that the viewer selects on a chart: by dragging with the pointer, or with Shift and the
// arrow keys. The page keeps the selection; the chart only shows it.

/** Lets the viewer select a span on a plot. The plot's spec has brush: {from, to, step, set(from, to)}, in
 * seconds; from is null while nothing is selected. specOf returns the plot's current spec. */
export function brush(u, el, specOf) {
  const over = u.over;
  let start = null; // where a drag began, in pixels; null: no drag
  const at = (e) => Math.max(0, Math.min(over.clientWidth, e.clientX - over.getBoundingClientRect().left));
  over.classList.add("brushed");
  over.addEventListener("pointerdown", (e) => {
    if (e.button) return;
    start = at(e);
    over.setPointerCapture(e.pointerId);
  });
  over.addEventListener("pointermove", (e) => {
    if (start !== null) select(u, Math.min(start, at(e)), Math.max(start, at(e)));
  });
  over.addEventListener("pointerup", (e) => {
    if (start === null) return;
    const [left, right] = [Math.min(start, at(e)), Math.max(start, at(e))];
    start = null;
    const b = specOf().brush;
    if (right - left < 4) b.set(null, null); // a click ends the selection
    else b.set(...whole(b, u.posToVal(left, "x"), u.posToVal(right, "x")));
  });
  over.addEventListener("pointercancel", () => {
    start = null;
    show(u, specOf());
  });
  let moving = "to";
  el.addEventListener("keydown", (e) => { moving = key(u, specOf(), e, moving); });
  return () => start === null && show(u, specOf());
}

// Returns the span rounded outwards to whole steps.
const whole = (b, from, to) => [Math.floor(from / b.step) * b.step, Math.max(Math.floor(from / b.step) + 1, Math.ceil(to / b.step)) * b.step];

function select(u, left, right) {
  u.setSelect({ left, top: 0, width: right - left, height: u.bbox.height / devicePixelRatio }, false);
}

function show(u, { brush: b }) {
  if (b.from === null) return select(u, 0, 0);
  const x = (t) => Math.max(0, Math.min(u.bbox.width / devicePixelRatio, u.valToPos(t, "x")));
  select(u, x(b.from), x(b.to ?? u.scales.x.max));
}

// Handles Shift and an arrow key. The first press selects the step under the cursor; each further one moves
// an end of the selection by a step. moving names that end, "from" or "to"; the function returns its new
// value.
function key(u, { brush: b }, e, moving) {
  if (e.key === "Escape" && b.from !== null) {
    e.stopPropagation();
    b.set(null, null);
    return moving;
  }
  if (!e.shiftKey || !["ArrowLeft", "ArrowRight"].includes(e.key)) return moving;
  e.preventDefault();
  e.stopPropagation();
  const x = u.data[0];
  const by = e.key === "ArrowRight" ? b.step : -b.step;
  if (b.from === null) {
    const here = x[u.cursor.idx ?? x.length - 1];
    b.set(here, here + b.step);
    return by > 0 ? "to" : "from";
  }
  const within = (t) => Math.max(x[0], Math.min(x.at(-1), t));
  let [low, high] = [b.from, (b.to ?? x.at(-1) + b.step) - b.step]; // the starts of the first and the last selected step
  if (moving === "from") low = within(low + by);
  else high = within(high + by);
  b.set(Math.min(low, high), Math.max(low, high) + b.step);
  if (low <= high) return moving;
  return moving === "from" ? "to" : "from";
}
