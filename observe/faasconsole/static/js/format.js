// Numbers and times as text. Integers above 2^53 come as strings, and stay what they are.

const nb = "\u00a0";

/** A number of the API: a number, or a string of digits. */
export const n = (v) => (v === null || v === undefined ? 0 : Number(v));

const commas = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A count, with commas; exact, whatever its size. */
export function count(v) {
  if (typeof v === "string" && /^-?\d+$/.test(v)) return v.replace(/\B(?=(\d{3})+$)/g, ",");
  return n(v) > -999.5 && n(v) < 999.5 ? String(Math.round(n(v))) : commas.format(n(v));
}

/** Three significant digits, with commas, and never an exponent. */
export function digits(v) {
  if (!Number.isFinite(v)) return "–";
  if (v === 0) return "0";
  const a = Math.abs(v);
  if (a >= 999.5) return commas.format(v);
  if (a >= 99.95) return v.toFixed(0);
  if (a >= 9.995) return v.toFixed(1);
  if (a >= 0.01) return v.toFixed(2);
  return a < 0.001 ? "<0.001" : v.toFixed(3);
}

/** A number on an axis: 0.5, 40, 1,000, and never an exponent. */
export const tick = (v) => (Number.isInteger(v) || Math.abs(v) < 1e-9 ? Math.round(v).toLocaleString("en-US") : v.toLocaleString("en-US", { maximumSignificantDigits: 2 }));

/** A share as a percentage, without its sign. */
export const percent = (part, whole) => (whole ? digits((100 * part) / whole) : "–");

/** A share of a whole in words of weights: 60, 33.3. */
export const weight = (part, whole) => (whole && Number.isInteger((100 * part) / whole) ? String((100 * part) / whole) : percent(part, whole));

/** A duration of that many nanoseconds: [digits, unit]. */
export function span(ns) {
  const v = n(ns);
  if (v === 0) return ["0", ""];
  if (v < 999.5) return [digits(v), "ns"];
  if (v < 999.5e3) return [digits(v / 1e3), "µs"];
  if (v < 999.5e6) return [digits(v / 1e6), "ms"];
  if (v < 100e9) return [digits(v / 1e9), "s"];
  return [long(v / 1e9), ""];
}

/** A duration as one text. */
export function duration(ns) {
  const [d, unit] = span(ns);
  return unit ? d + nb + unit : d;
}

/** Seconds in words: 1 m 26 s, 3 h 10 m, 2 d 4 h. */
export function long(seconds) {
  const t = Math.max(0, Math.round(seconds));
  if (t < 60) return `${t}${nb}s`;
  if (t < 3600) return `${Math.floor(t / 60)}${nb}m${nb}${String(t % 60).padStart(2, "0")}${nb}s`;
  if (t < 86400) return `${Math.floor(t / 3600)}${nb}h${nb}${Math.floor((t % 3600) / 60)}${nb}m`;
  return `${Math.floor(t / 86400)}${nb}d${nb}${Math.floor((t % 86400) / 3600)}${nb}h`;
}

/** 14:02:11, in UTC. */
export const clock = (t) => new Date(t).toISOString().slice(11, 19);

/** 14:02, in UTC. */
export const minute = (t) => new Date(t).toISOString().slice(11, 16);

/** 2026-11-17 14:02:11 UTC. */
export const instant = (t) => new Date(t).toISOString().slice(0, 19).replace("T", " ") + " UTC";

/** How long ago. */
export const ago = (t, now) => {
  const d = (now - new Date(t).getTime()) / 1000;
  if (d < 1) return "now";
  const [size, unit] = d < 60 ? [1, "s"] : d < 3600 ? [60, "m"] : d < 86400 ? [3600, "h"] : [86400, "d"];
  return `${Math.floor(d / size)}${nb}${unit}${nb}ago`;
};

/** Bytes: 1.50 GiB. */
export function bytes(v) {
  let x = n(v);
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (Math.abs(x) < 1000 || unit === "TiB") return (unit === "B" ? String(Math.round(x)) : digits(x)) + nb + unit;
    x /= 1024;
  }
  return "";
}

/** The amounts of a column, with as many decimals as the largest needs to have three digits, from two to six. */
export function amounts(list) {
  const most = Math.max(0, ...list.map(Number).filter(Number.isFinite));
  const places = most > 0 ? Math.min(6, Math.max(2, 2 - Math.floor(Math.log10(most)))) : 2;
  const least = 0.5 / 10 ** places;
  const format = new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
  return (v) => (Number(v) === 0 ? "0" : Math.abs(Number(v)) < least ? "<" + format.format(2 * least) : format.format(v));
}

/** One amount, large: [digits, currency], in millionths where it is that small. */
export const amount = (text, currency) => (Math.abs(Number(text)) < 0.001 && Number(text) !== 0 ? [digits(1e6 * Number(text)), "µ" + currency] : [money(text), currency]);

const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** A decimal amount with two digits, or more where it is smaller than a cent. */
export function money(text) {
  const v = Number(text);
  if (!Number.isFinite(v)) return "–";
  if (v === 0) return "0.00";
  const a = Math.abs(v);
  if (a >= 0.995) return cents.format(v);
  if (a >= 0.01) return v.toFixed(Math.abs(v - Number(v.toFixed(2))) < 1e-12 ? 2 : 3);
  return v.toPrecision(2).includes("e") ? "<0.0001" : v.toPrecision(2);
}

/** One and many. */
export const plural = (v, one, many) => `${count(v)} ${n(v) === 1 ? one : many}`;

/** Text indented as JSON is. It moves between tokens only, so that no number and no string changes;
 * text that is no JSON comes back as it is. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "";
  let depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g)) {
    if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth--;
      out = /[[{]\s*$/.test(out) ? out.trimEnd() + token : out + line() + token;
    } else if (token === ",") out += token + line();
    else if (token === ":") out += ": ";
    else out += token;
  }
  // Short lists of numbers stay on one line.
  return out.replace(/\[\s+([^[\]{}"]{1,60}?)\s+\]/g, (_, list) => "[" + list.replace(/\s+/g, " ") + "]");
}

/** Why text is no JSON, with its line; null if it is. */
export function fault(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (e) {
    const at = /position (\d+)/.exec(e.message);
    const line = at ? text.slice(0, Number(at[1])).split("\n").length : text.split("\n").length;
    return { line, message: e.message.replace(/ in JSON at position.*| \(line.*/, "") };
  }
}

/** The lines of two texts: [" " | "-" | "+", line], by their longest common subsequence. */
export function diff(a, b) {
  const [x, y] = [a.split("\n").slice(0, 400), b.split("\n").slice(0, 400)];
  const common = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) common[i][j] = x[i] === y[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  }
  const out = [];
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      out.push([" ", x[i++]]);
      j++;
    } else if (j >= y.length || (i < x.length && common[i + 1][j] >= common[i][j + 1])) out.push(["-", x[i++]]);
    else out.push(["+", y[j++]]);
  }
  return out;
}
