// What the page costs its browser and its host, with 1,000 functions, 100 tenants and 200 calls per second:
//
//	budget.mjs PROGRAMS                           a few seconds of two pages: what is drawn, and one stream; figures are only printed
//	budget.mjs PROGRAMS nightly [MINUTES]         a minute of each page against the budgets, the best of three; then memory
//	budget.mjs PROGRAMS memory [MINUTES] [BYTES]  the heaps of the page and of its host for MINUTES (30); BYTES of each call are leaked
//
// A page that is within its budgets is watched once, any other page up to three times. With less than 10
// minutes for memory, the whole run ends within 8 minutes. The budgets are of processor time, so that other
// work on the machine does not count against the page. The elapsed time is printed too: on an idle machine
// the two are alike.

import { open, browser, pageOf, check } from "./kit.mjs";

const [, , program, mode, minutes = "30", leak = "0"] = process.argv;
const strict = mode === "nightly";
const began = Date.now();
const b = await browser();
const faults = [];
const most = { script: 8, task: 50 }; // milliseconds

const sleep = (seconds) => new Promise((go) => setTimeout(go, 1000 * seconds));
const quantile = (values, q) => values.toSorted((x, y) => x - y)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;
const ms = (v) => `${v.toFixed(1)} ms`;
const mb = (v) => (v / 1e6).toFixed(1);

async function ready(host, page, path, rows) {
  await page.goto(host.base + "#/" + path + "?range=5m");
  await page.locator("main h1").waitFor();
  if (rows) await page.locator(rows).first().waitFor();
  await sleep(4); // the first drawings are no updates
}

/** The trace of a page's main thread while it is watched. */
async function trace(page, seconds) {
  await b.startTracing(page, { categories: ["toplevel", "devtools.timeline"] });
  await sleep(seconds);
  const { traceEvents: all } = JSON.parse((await b.stopTracing()).toString());
  const frames = all.filter((e) => e.name === "FunctionCall" && e.args?.data?.functionName === "received");
  check(frames.length, "no frame came");
  const [{ pid, tid }] = frames;
  return { frames: frames.map((e) => e.ts).sort((x, y) => x - y), events: all.filter((e) => e.pid === pid && e.tid === tid && e.ph === "X" && e.dur).sort((x, y) => x.ts - y.ts) };
}

const scripts = new Set(["FunctionCall", "EvaluateScript", "FireAnimationFrame", "TimerFire", "RunMicrotasks", "EventDispatch"]);

/** Returns whether the script that this event begins reads a frame of the stream or draws the page and its charts. All other
 * script is of requests beside the stream. */
const draws = (e, frames) => e.name === "FireAnimationFrame" || frames.some((t) => t >= e.ts && t < e.ts + e.dur);

/** Watches a page, and returns what script an update takes, from one frame of the stream to the next, and the longest task. In
 * milliseconds, of the processor and on the clock. */
async function watch(page, seconds) {
  const { frames, events } = await trace(page, seconds);
  const updates = frames.map(() => ({ cpu: 0, wall: 0, all: 0 }));
  let [at, end] = [-1, 0];
  for (const e of events) {
    if (!scripts.has(e.name) || e.ts < end) continue; // it is a part of the one before
    end = e.ts + e.dur;
    while (frames[at + 1] < end) at++;
    if (at < 0) continue;
    const cpu = (e.tdur ?? e.dur) / 1000;
    updates[at].all += cpu;
    if (!draws(e, frames)) continue;
    updates[at].cpu += cpu;
    updates[at].wall += e.dur / 1000;
  }
  const tasks = events.filter((e) => e.name.endsWith("RunTask")).map((e) => ({ cpu: (e.tdur ?? e.dur) / 1000, wall: e.dur / 1000 }));
  const of = (k, q) => quantile(updates.slice(0, -1).map((u) => u[k]), q);
  const most_ = (k) => tasks.reduce((x, t) => Math.max(x, t[k]), 0);
  return { updates: updates.length - 1, p50: of("cpu", 0.5), p95: of("cpu", 0.95), wall: of("wall", 0.95), all: of("all", 0.95), task: most_("cpu"), taskWall: most_("wall") };
}

const within = (r) => r.p95 <= most.script && r.task <= most.task;
const pages = [["overview", 'table[data-table="now"] tr[data-row]'], ["functions", 'table[data-table="functions"] tr[data-row]'], ["functions/function-0007", ""], ["failures", ""], ["tenants", ""]];

/** Watches a page once, and reports whether it is within its budgets. */
async function once(host, path, rows, seconds) {
  const p = await pageOf(b, host.base);
  await ready(host, p.page, path, rows);
  const r = await watch(p.page, seconds);
  console.log(`${path}: ${r.updates} updates, script of each p50 ${ms(r.p50)}, p95 ${ms(r.p95)} (on the clock ${ms(r.wall)}; with the requests beside the stream ${ms(r.all)}); longest task ${ms(r.task)} (${ms(r.taskWall)})`);
  if (rows) await bounded(p.page, path);
  if (path === "functions") await scrolled(p.page);
  check(!p.faults.length, p.faults.join("\n"));
  await p.close();
  return within(r);
}

/** Watches all pages for a minute, and those that are over their budgets up to twice more while there is time. */
async function budgets(host) {
  const end = Number(minutes) < 10 ? began + (7.5 - Number(minutes)) * 60e3 : Infinity;
  let left = pages;
  for (let i = 0; i < 3 && left.length; i++) {
    const over = [];
    for (const [path, rows] of left) {
      if (i && Date.now() + 70e3 > end) over.push([path, rows]);
      else if (!(await once(host, path, rows, 60))) over.push([path, rows]);
    }
    left = over;
  }
  check(!left.length, `over ${most.script} ms of script per update at p95, or a task over ${most.task} ms: ${left.map(([path]) => path).join(", ")}`);
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

/** Scrolls through the long table, and checks that the window is full of rows wherever it stands. */
async function scrolled(page) {
  for (const top of [5000, 12000, 200]) {
    await page.evaluate((y) => scrollTo(0, y), top);
    let full = false;
    for (let i = 0; i < 50 && !full; i++, await sleep(0.1)) {
      full = await page.evaluate(() => {
        const spans = [...document.querySelectorAll("main tr[data-row]")].map((tr) => tr.getBoundingClientRect());
        return spans.at(0).top < innerHeight / 2 && spans.at(-1).bottom >= innerHeight;
      });
    }
    check(full, `the window is not full of rows at ${top} px`);
  }
}

/** Waits until the host has no stream: all pages are closed. */
async function drained(host) {
  for (let i = 0; i < 100; i++) {
    const { streams } = await (await fetch(host.base + "v1/process")).json();
    if (streams === 0) return;
    await sleep(0.1);
  }
  check(false, "streams are left when all pages are closed");
}

// The most by which the least value in the last third of a run may exceed the least value in the middle
// third. Everything that fills up does so in the first third: the page's history of its range, and its
// compiled script. The host begins full.
const grows = { page: 1e6, nodes: 300, host: 2e6 };

/** Measures the heaps again and again. A full history drops its older half from time to time, so the least
 * values are compared. */
async function memory() {
  const host = await open(program + "/load", "-windows", "2097152", "-leak", leak);
  const p = await pageOf(b, host.base);
  await ready(host, p.page, "overview");
  const cdp = await p.page.context().newCDPSession(p.page);
  const looks = [];
  const every = Math.max(3, (60 * Number(minutes)) / 90);
  for (const end = Date.now() + 60e3 * Number(minutes); Date.now() < end; await sleep(every)) {
    await cdp.send("HeapProfiler.collectGarbage");
    const { usedSize } = await cdp.send("Runtime.getHeapUsage");
    const { nodes } = await cdp.send("Memory.getDOMCounters");
    looks.push({ page: usedSize, nodes, host: Number(await (await fetch(host.base + "heap")).text()) });
  }
  check(!p.faults.length, p.faults.join("\n"));
  await p.close();
  await drained(host);
  await host.close();
  judged(looks);
}

function judged(looks) {
  const third = Math.floor(looks.length / 3);
  const least = (of, list) => list.reduce((x, one) => Math.min(x, one[of]), Infinity);
  const shown = looks.filter((_, i) => i % Math.ceil(looks.length / 16) === 0);
  console.log(`memory over ${minutes} min, MB: page ${shown.map((l) => mb(l.page)).join(" ")}; host ${shown.map((l) => mb(l.host)).join(" ")}; elements ${shown.map((l) => l.nodes).join(" ")}`);
  for (const [of, limit] of Object.entries(grows)) {
    const [middle, last] = [least(of, looks.slice(third, 2 * third)), least(of, looks.slice(-third))];
    if (last > middle + limit) faults.push(`memory: ${of} grows from ${middle} to ${last}`);
  }
}

const fault = (e) => faults.push(e.message);
if (mode !== "memory") {
  const host = await open(program + "/load");
  if (strict) await budgets(host).catch(fault);
  else for (const [path, rows] of pages.slice(0, 2)) await once(host, path, rows, 3).catch(fault);
  await drained(host).catch(fault);
  await host.close();
}
if (strict || mode === "memory") await memory().catch(fault);
await b.close();
if (faults.length) {
  console.error("FAILED: " + faults.join("\n"));
  process.exit(1);
}
console.log("ok: budgets");
