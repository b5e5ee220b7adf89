// Numbers and times as text. The API sends integers above 2^53 as strings; these are not rounded.

const nb = "\u00a0";

/** Converts a number of the API, which may be a string of digits, to a Number. */
export const n = (v) => (v === null || v === undefined ? 0 : Number(v));

const commas = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Formats a count with commas and all its digits. */
export function count(v) {
  if (typeof v === "string" && /^-?\d+$/.test(v)) return v.replace(/\B(?=(\d{3})+$)/g, ",");
  return n(v) > -999.5 && n(v) < 999.5 ? String(Math.round(n(v))) : commas.format(n(v));
}

/** Formats a number with three significant digits, with commas and without an exponent. */
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

/** Formats a number of an axis, without an exponent: 0.5, 40, 1,000. */
export const tick = (v) => (Number.isInteger(v) || Math.abs(v) < 1e-9 ? commas : two).format(Number.isInteger(v) ? v : Math.abs(v) < 1e-9 ? 0 : v);

const two = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2 });

/** Formats a share as a percentage, without the percent sign. */
export const percent = (part, whole) => (whole ? digits((100 * part) / whole) : "–");

/** Formats a weight as a percentage of all weights, with decimals only if needed: 60, 33.3. */
export const weight = (part, whole) => (whole && Number.isInteger((100 * part) / whole) ? String((100 * part) / whole) : percent(part, whole));

/** Formats a duration in nanoseconds: [digits, unit]. */
export function span(ns) {
  const v = n(ns);
  if (v === 0) return ["0", ""];
  if (v < 999.5) return [digits(v), "ns"];
  if (v < 999.5e3) return [digits(v / 1e3), "µs"];
  if (v < 999.5e6) return [digits(v / 1e6), "ms"];
  if (v < 100e9) return [digits(v / 1e9), "s"];
  return [long(v / 1e9), ""];
}

/** Formats a duration in nanoseconds as one text. */
export function duration(ns) {
  const [d, unit] = span(ns);
  return unit ? d + nb + unit : d;
}

/** Formats seconds with two units: 1 m 26 s, 3 h 10 m, 2 d 4 h. */
export function long(seconds) {
  const t = Math.max(0, Math.round(seconds));
  if (t < 60) return `${t}${nb}s`;
  if (t < 3600) return `${Math.floor(t / 60)}${nb}m${nb}${String(t % 60).padStart(2, "0")}${nb}s`;
  if (t < 86400) return `${Math.floor(t / 3600)}${nb}h${nb}${Math.floor((t % 3600) / 60)}${nb}m`;
  return `${Math.floor(t / 86400)}${nb}d${nb}${Math.floor((t % 86400) / 3600)}${nb}h`;
}

/** Formats a time in UTC: 14:02:11. */
export const clock = (t) => new Date(t).toISOString().slice(11, 19);

/** Formats a time in UTC: 14:02. */
export const minute = (t) => new Date(t).toISOString().slice(11, 16);

/** Formats a time: 2026-11-17 14:02:11 UTC. */
export const instant = (t) => new Date(t).toISOString().slice(0, 19).replace("T", " ") + " UTC";

/** Formats how long ago a time was. */
export const ago = (t, now) => {
  const d = (now - new Date(t).getTime()) / 1000;
  if (d < 1) return "now";
  const [size, unit] = d < 60 ? [1, "s"] : d < 3600 ? [60, "m"] : d < 86400 ? [3600, "h"] : [86400, "d"];
  return `${Math.floor(d / size)}${nb}${unit}${nb}ago`;
};

/** Formats a number of bytes: 1.50 GiB. */
export function bytes(v) {
  let x = n(v);
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (Math.abs(x) < 1000 || unit === "TiB") return (unit === "B" ? String(Math.round(x)) : digits(x)) + nb + unit;
    x /= 1024;
  }
  return "";
}

const decimals = []; // a cache of formats, by their number of decimals: to make one takes longer than to use it

/** Returns a function that formats the amounts of a column. They have as many decimals, from two to six, as
 * the largest amount needs to show three digits. */
export function amounts(list) {
  let most = 0;
  for (const v of list) if (Number(v) > most && Number.isFinite(Number(v))) most = Number(v);
  const places = most > 0 ? Math.min(6, Math.max(2, 2 - Math.floor(Math.log10(most)))) : 2;
  const least = 0.5 / 10 ** places;
  const format = (decimals[places] ??= new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));
  return (v) => (Number(v) === 0 ? "0" : Math.abs(Number(v)) < least ? "<" + format.format(2 * least) : format.format(v));
}

/** Formats an amount that is shown large: [digits, currency]. */
export const amount = (text, currency) => [money(text), currency];

const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Formats a decimal amount with two decimals, or with more if it is less than a cent. */
export function money(text) {
  const v = Number(text);
  if (!Number.isFinite(v)) return "–";
  if (v === 0) return "0.00";
  const a = Math.abs(v);
  if (a >= 0.995) return cents.format(v);
  if (a >= 0.01) return v.toFixed(Math.abs(v - Number(v.toFixed(2))) < 1e-12 ? 2 : 3);
  return v.toPrecision(2).includes("e") ? "<0.000001" : v.toPrecision(2);
}

/** Formats a number with its noun, singular or plural. */
export const plural = (v, one, many) => `${count(v)} ${n(v) === 1 ? one : many}`;

/** Indents JSON. It inserts space between tokens only, so that no number and no string changes. Text that is
 * not JSON is returned unchanged. */
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
  // A short list of numbers is put on one line.
  return out.replace(/\[\s+([^[\]{}"]{1,60}?)\s+\]/g, (_, list) => "[" + list.replace(/\s+/g, " ") + "]");
}

/** Returns why text is not JSON, with the line of the error; null if it is JSON. */
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

/** Returns the difference of two texts as lines: [" " | "-" | "+", line], by their longest common
 * subsequence. */
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
