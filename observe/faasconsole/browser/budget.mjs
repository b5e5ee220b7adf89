// What the page costs its browser and its host, with 1,000 functions, 100 tenants and 200 calls per second:
//
//	budget.mjs PROGRAMS                      a few seconds of the first two pages: what is drawn, and one stream; figures are only printed
//	budget.mjs PROGRAMS nightly [MINUTES]    a minute of each page, the best of three, against the budgets; then both heaps for MINUTES (30)

import { open, browser, pageOf, check } from "./kit.mjs";

const [, , program, mode, minutes = "30"] = process.argv;
const strict = mode === "nightly";
const host = await open(program + "/load");
const b = await browser();

/** Records how long the page's scripts take, and each task of more than 50 ms. */
function observe() {
  window.seen = { frame: [], update: [], long: [] };
  new PerformanceObserver((list) => list.getEntries().forEach((e) => window.seen[e.name]?.push(e.duration))).observe({ type: "measure" });
  new PerformanceObserver((list) => list.getEntries().forEach((e) => window.seen.long.push(e.duration))).observe({ type: "longtask" });
}

const sleep = (seconds) => new Promise((go) => setTimeout(go, 1000 * seconds));
const quantile = (values, q) => values.toSorted((x, y) => x - y)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;
const ms = (v) => `${v.toFixed(1)} ms`;

async function ready(page, path, rows) {
  await page.goto(host.base + "#/" + path + "?range=5m");
  await page.locator("main h1").waitFor();
  if (rows) await page.locator(rows).first().waitFor();
  await page.waitForFunction(() => window.seen.frame.length > 0);
  await sleep(2); // the first drawing is not counted as an update
}

/** Watches a page, and returns how long its updates have taken. */
async function watch(page, seconds) {
  await page.evaluate(() => Object.values(window.seen).forEach((list) => (list.length = 0)));
  await sleep(seconds);
  const { frame, update, long } = await page.evaluate(() => window.seen);
  const f = quantile(frame, 0.95); // the time to read a frame, which is a task of its own before the update
  return { updates: update.length, frames: frame.length, p50: quantile(update, 0.5) + quantile(frame, 0.5), p95: quantile(update, 0.95) + f, long };
}

const pages = [["overview", 'table[data-table="now"] tr[data-row]'], ["functions", 'table[data-table="functions"] tr[data-row]'], ["functions/function-0007", ""], ["failures", ""], ["tenants", ""]];
const faults = [];

async function budgets(path, rows) {
  const all = [];
  for (let i = 0; i < (strict ? 3 : 1); i++) {
    const p = await pageOf(b, host.base);
    await p.page.addInitScript(observe);
    await ready(p.page, path, rows);
    const r = await watch(p.page, strict ? 60 : 3);
    console.log(`${path}: ${r.updates} updates, ${r.frames} frames, script per update p50 ${ms(r.p50)}, p95 ${ms(r.p95)}, tasks over 50 ms: ${r.long.map(ms).join(", ") || "none"}`);
    check(r.frames > 0, `${path}: no frame came`);
    if (rows) await bounded(p.page, path);
    check(!p.faults.length, p.faults.join("\n"));
    all.push(r);
    await p.close();
  }
  if (!strict) return;
  check(all.some((r) => !r.long.length), `${path}: each run had a task over 50 ms`);
  check(Math.min(...all.map((r) => r.p95)) <= 8, `${path}: an update takes more than 8 ms of script`);
}

/** Checks that only visible rows are drawn, however many functions there are. */
async function bounded(page, path) {
  const { rows, all, elements } = await page.evaluate(() => ({
    rows: document.querySelectorAll("main tr[data-row]").length, all: document.querySelector('table[data-table="functions"]')?.getAttribute("aria-rowcount"),
    elements: document.querySelectorAll("main *").length,
  }));
  check(rows > 0 && rows <= 120 && elements < 6000, `${path}: ${rows} rows and ${elements} elements are drawn`);
  if (path === "functions") check(all === "1000", `the table says that it has ${all} rows`);
}

/** Waits until the host has no open stream, because all pages are closed. */
async function drained() {
  for (let i = 0; i < 100; i++) {
    const { streams } = await (await fetch(host.base + "v1/process")).json();
    if (streams === 0) return;
    await sleep(0.1);
  }
  check(false, "streams are left when all pages are closed");
}

async function heaps(seconds) {
  const p = await pageOf(b, host.base);
  await p.page.addInitScript(observe);
  await ready(p.page, "overview");
  const cdp = await p.page.context().newCDPSession(p.page);
  const look = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    await p.page.evaluate(() => Object.values(window.seen).forEach((list) => (list.length = 0)));
    const { usedSize } = await cdp.send("Runtime.getHeapUsage");
    const { nodes } = await cdp.send("Memory.getDOMCounters");
    const used = Number(await (await fetch(host.base + "heap")).text());
    console.log(`page ${(usedSize / 1e6).toFixed(1)} MB, ${nodes} nodes; host ${(used / 1e6).toFixed(1)} MB`);
    return { page: usedSize, nodes, host: used };
  };
  const looks = [];
  for (let i = 0; i <= 10; i++) {
    looks.push(await look());
    if (i < 10) await sleep(seconds / 10);
  }
  check(!p.faults.length, p.faults.join("\n"));
  await p.close();
  return looks;
}

for (const [path, rows] of strict ? pages : pages.slice(0, 2)) await budgets(path, rows).catch((e) => faults.push(e.message));
await drained().catch((e) => faults.push(e.message));
if (strict) {
  const looks = await heaps(60 * Number(minutes));
  // During the first half, everything that has a bound fills up: the page's history of its range, and
  // the host's history of calls.
  const [half, end] = [looks[5], looks[10]];
  if (end.page > half.page + 5e6) faults.push(`the page's heap grows: ${half.page} → ${end.page}`);
  if (end.nodes > half.nodes * 1.2 + 500) faults.push(`the page's elements grow: ${half.nodes} → ${end.nodes}`);
  if (end.host > half.host * 1.1) faults.push(`the host's heap grows: ${half.host} → ${end.host}`);
}
await b.close();
await host.close();
if (faults.length) {
  console.error("FAILED: " + faults.join("\n"));
  process.exit(1);
}
console.log("ok: budgets");
