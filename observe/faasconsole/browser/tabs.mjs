// Tests the stream that all tabs of a browser share: which tab has it, which takes it over, and what
// happens at a restart of the host. Each step waits for an event, and none depends on a time.

import { open, browser, check, logIn, pageOf } from "./kit.mjs";
import { withFrame } from "./rows.js";

const [, , program] = process.argv;
let shop = await open(program + "/shop", "-addr", "127.0.0.1:0", "-release", "0", "-speed", "2");
const stage = await open(program + "/stage");
const { base } = shop;
const b = await browser();
const failed = [];

async function walk(name, f) {
  if (!name.includes(process.env.ONLY ?? "")) return;
  const began = Date.now();
  try {
    await f();
    console.log(`ok: ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (e) {
    failed.push(name);
    console.error(`FAILED: ${name}\n${e.stack}`);
    for (const context of b.contexts()) await context.close();
  }
}

/** Makes a page record the frames that the tabs pass on, and the streams that it opens and leaves. */
function note() {
  window.opened = [];
  window.frames_ = [];
  window.followed = ""; // the name by which the tab shares a stream
  window.texts = []; // the frames of that stream
  window.passed = []; // the frames that the tab has passed on
  window.left = 0;
  const Source = window.EventSource;
  window.EventSource = class extends Source {
    constructor(address) {
      super(address);
      window.opened.push(address);
      this.addEventListener("frame", (e) => window.frames_.push(e.lastEventId) && window.texts.push(e.data));
    }
    close() {
      super.close();
      window.left++;
    }
  };
  const Channel = window.BroadcastChannel;
  window.BroadcastChannel = class extends Channel {
    constructor(name) {
      super(name);
      if (!name.endsWith(" session")) [window.followed, window.texts] = [name, []];
      this.addEventListener("message", (e) => e.data.id && window.frames_.push(e.data.id) && window.texts.push(e.data.text));
    }
    postMessage(message) {
      super.postMessage(message);
      if (message.id) window.passed.push(message.id);
    }
  };
}

/** Opens a tab in a new browser, or in the browser of the tab first. */
async function tab(first, path = "functions", allowed = []) {
  const one = await pageOf(first?.page.context() ?? b, base, {}, allowed);
  await one.page.addInitScript(note);
  await one.page.goto(base + "#/" + path + "?range=5m");
  await one.page.locator("main h1").waitFor();
  await frames(one, 2);
  return one;
}

/** Closes the browser of these tabs, and fails if something went wrong in it. */
async function end(...tabs) {
  for (const one of tabs) check(!one.faults.length, one.faults.join("\n"));
  await tabs.at(-1).page.context().close();
}

const opened = (one) => one.page.evaluate(() => window.opened);
const heard = (one) => one.page.evaluate(() => window.frames_);
const live = (one) => one.page.getByText("live", { exact: true }).waitFor();

/** Waits until a tab has received so many more frames. */
async function frames(one, more) {
  const { length } = await heard(one);
  await one.page.waitForFunction((n) => window.frames_.length >= n, length + more);
}

/** Records when a tab gets frames from now on. */
function clock() {
  window.times = [];
  const { push } = window.frames_;
  window.frames_.push = (id) => window.times.push(Date.now()) && push.call(window.frames_, id);
}

/** Returns the longest time between two frames of a tab since clock, in milliseconds. Without a takeover it is a second. */
const silence = (one) => one.page.evaluate(() => Math.max(...window.times.slice(1).map((t, i) => t - window.times[i])));

/** Returns how many streams the host has open. */
const streams = async () => (await (await fetch(base + "v1/process")).json()).streams;

/** Waits until the host has n streams open. */
async function settled(n) {
  for (let i = 0; i < 100; i++) {
    if ((await streams()) === n) return;
    await new Promise((go) => setTimeout(go, 100));
  }
  check(false, `the host has ${await streams()} streams, not ${n}`);
}

/** Checks that the numbers of the frames rise, and that none comes twice. A number may be missing where the
 * host has merged frames, for a slow reader or one that has reconnected. */
function ascending(ids) {
  const all = ids.map((id) => id.split("."));
  for (let i = 1; i < all.length; i++) check(all[i][0] !== all[i - 1][0] || Number(all[i][1]) > Number(all[i - 1][1]), `after frame ${ids[i - 1]} comes ${ids[i]}`);
}

/** Checks that the stream was resumed after the last frame that the tab had received. */
function resumed(address, ids) {
  const since = decodeURIComponent(address.split("since=")[1] ?? "");
  check(ids.includes(since), `the stream goes on from ${since}, and the tab knew ${ids}`);
}

await walk("a frame changes what it names", () => {
  const numbers = { inFlight: 1, queued: 0, minute: { calls: 5, failures: 0, wait: { p50: 1 }, run: { p99: 7 } } };
  const answer = { functions: [{ name: "a", limit: 1, numbers }, { name: "b", limit: 2, numbers }, { name: "c" }], totals: { capacity: 3, minute: numbers.minute } };
  const columns = ["state", "inFlight", "limit", "runP99NS", "minuteCalls", "minuteFailures", "minuteRefused", "jobsDead"];
  const { answer: next, stale } = withFrame(answer, { functions: { b: [1, 4, -1, 0, "9007199254740993", 2, 0, 1] }, totals: [0, 4, -1, 9, 8, 2, 0, 1] }, columns, ["well", "failing"]);
  check(!stale && next.functions[0] === answer.functions[0] && next.functions[2] === answer.functions[2], "what was not named has changed");
  const f = next.functions[1];
  check(f.state === "failing" && f.limit === null && f.numbers.inFlight === 4 && f.numbers.minute.calls === "9007199254740993" && f.numbers.jobs.dead === 1, JSON.stringify(f));
  check(f.numbers.minute.run.p99 === 7 && next.totals.minute.run.p99 === 9 && next.totals.capacity === 3, "percentiles");
  for (const [frame, is] of [[{ functions: { d: [] } }, true], [{ functions: { c: [] } }, true], [{ full: true, functions: {} }, true], [{ functions: { ["__proto__"]: [] }, gone: [] }, true], [{}, false]]) {
    check(withFrame(answer, frame, columns, []).stale === is, `${JSON.stringify(frame)} is ${is ? "not " : ""}stale`);
  }
  check(withFrame(answer, { gone: ["a"] }, columns, []).answer.functions.length === 2, "a removed function stays");
  check(withFrame({ functions: [{ name: "toString", numbers }], totals: answer.totals }, { functions: {} }, columns, []).answer.functions[0].numbers === numbers, "a function's name is a method's");
});

await walk("a frame removes functions before it brings their rows", () => {
  const numbers = { inFlight: 1, minute: null };
  const answer = { functions: [{ name: "a", numbers }, { name: "b", numbers }], totals: {} };
  const { answer: next, stale } = withFrame(answer, { gone: ["a", "b"], functions: { a: [7] } }, ["inFlight"], []);
  check(next.functions.length === 1 && next.functions[0].name === "a" && next.functions[0].numbers.inFlight === 7, `a function that is registered again is ${JSON.stringify(next.functions)}`);
  check(stale, "how it is set up is not asked for");
});

await walk("two tabs have one stream, and the second goes on when the first is closed", async () => {
  const first = await tab();
  const second = await tab(first, "overview");
  check((await opened(first)).length === 1 && (await opened(second)).length === 0, "the second tab has a stream of its own");
  await settled(1);
  await frames(first, 2);
  await frames(second, 2);
  const third = await tab(second);
  await settled(1);
  const before = (await heard(second)).length;
  for (const one of [second, third]) await one.page.evaluate(clock);
  await frames(second, 1);
  await first.page.close();
  await Promise.race([second, third].map((one) => one.page.waitForFunction(() => window.opened.length > 0)));
  await frames(second, 3);
  await frames(third, 3);
  console.log(`   between two frames there were at most ${await silence(second)} ms in the second tab, ${await silence(third)} ms in the third`);
  const [two, three] = [await opened(second), await opened(third)];
  check(two.length + three.length === 1, `the tabs have opened ${JSON.stringify([two, three])}`);
  await settled(1);
  const ids = await heard(second);
  ascending(ids);
  ascending(await heard(third));
  resumed([...two, ...three][0], ids.slice(before - 1));
  await live(second);
  await end(first, second, third);
  await settled(0);
});

await walk("a tab that is alone passes no frames on, and passes them on again to one that joins", async () => {
  const first = await tab();
  const passed = () => first.page.evaluate(() => window.passed);
  await first.page.waitForFunction(() => !window.passed.includes(window.frames_.at(-1)));
  const before = await passed();
  await frames(first, 6); // it counts the other tabs every fourth frame
  check((await passed()).length === before.length, `it has passed ${await passed()} on`);
  const second = await tab(first);
  check((await opened(second)).length === 0, "the second tab has a stream of its own");
  ascending(await heard(second));
  await frames(second, 6);
  await settled(1);
  await end(first, second);
});

await walk("a tab that the browser has frozen loses the stream to one that is looked at", async () => {
  const first = await tab();
  const second = await tab(first);
  const cdp = await first.page.context().newCDPSession(first.page);
  await cdp.send("Debugger.enable");
  await cdp.send("Debugger.pause"); // the tab's script stops, and the tab keeps the lock
  await second.page.waitForFunction(() => window.opened.length > 0);
  await frames(second, 3);
  ascending(await heard(second));
  resumed((await opened(second))[0], await heard(second));
  await cdp.send("Debugger.resume");
  await settled(1);
  await frames(first, 3);
  check((await opened(first)).length + (await opened(second)).length === 2, "both tabs have opened streams");
  await end(first, second);
});

/** Opens two tabs of root on the stage. The first one has the stream. */
async function roots(path) {
  const all = [];
  for (const one of [path, "functions"]) {
    const t = await pageOf(all[0]?.page.context() ?? b, stage.base, {}, ["status of 401", "status of 404"]);
    await t.page.addInitScript(note);
    if (!all.length) await logIn(t.page, stage.base, stage.said.root);
    await t.page.goto(stage.base + "#/" + one + "?range=5m");
    await frames(t, 2);
    all.push(t);
  }
  check((await opened(all[0])).length === 1 && !(await opened(all[1])).length, "the tabs of one viewer have not one stream");
  return all;
}

/** Checks that the tabs follow the stream of another viewer, and show nothing that only root may see. */
async function demoted(...tabs) {
  for (const one of tabs) {
    await one.page.waitForFunction(() => window.followed.includes("letters"));
    await frames(one, 3);
    const texts = await one.page.evaluate(() => window.texts);
    check(!texts.some((text) => text.includes("payroll")), `it gets frames of the viewer before: ${texts}`);
  }
}

await walk("a viewer with the same name and other roles has a stream of its own", async () => {
  const [first, second] = await roots("functions");
  await second.page.evaluate((token) => fetch("session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) }), stage.said.demoted);
  await second.page.reload();
  await second.page.locator('table[data-table="functions"]').getByText("letters").waitFor();
  await demoted(second, first); // the first tab asks the host which viewer it has
  check(!(await second.page.locator("main").innerText()).includes("payroll"), "it sees a function of the viewer before");
  await end(first, second);
});

await walk("a session that is ended in one tab is ended in all, and what its viewer was shown is gone", async () => {
  const [first, second] = await roots("failures");
  await first.page.locator('table[data-table="failures"] tr[data-row]', { hasText: "salary" }).getByRole("link").first().click();
  await first.page.getByLabel("Input, JSON").waitFor();
  await first.page.evaluate(() => Object.defineProperty(document, "hidden", { value: true })); // a hidden tab makes no requests while it has a stream
  await second.page.locator("summary", { hasText: "root" }).click();
  await second.page.getByRole("button", { name: "Log out" }).click();
  await first.page.waitForFunction(() => window.left === 1);
  await second.page.getByLabel("Your token").fill(stage.said.demoted);
  await second.page.keyboard.press("Enter");
  await second.page.locator('table[data-table="functions"]').getByText("letters").waitFor();
  await demoted(first, second);
  await first.page.getByText("salary").first().waitFor({ state: "detached" });
  check((await opened(first)).length + (await opened(second)).length === 2, "the tabs of the viewer have not one stream");
  await end(first, second);
});

await walk("a list that was asked for before a frame does not undo it", async () => {
  const one = await tab();
  const limit = () => one.page.evaluate(async () => (await import(new URL("js/store.js", document.baseURI))).doc("functions").functions.find((f) => f.name === "search").limit);
  let caught, release;
  const asked = new Promise((done) => (caught = done));
  const held = new Promise((done) => (release = done));
  await one.page.route(/v1\/functions$/, async (route) => {
    const answer = await route.fetch();
    caught();
    await held;
    await route.fulfill({ response: answer }).catch(() => {}); // fails for requests that were made after the page was left
  });
  await asked;
  const put = await fetch(base + "v1/functions/search/limit", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ limit: 77 }) });
  check(put.ok, `the limit is not set: ${await put.text()}`);
  while ((await limit()) !== 77) await frames(one, 1);
  const answered = one.page.waitForResponse(/v1\/functions$/);
  release();
  await (await answered).finished();
  await one.page.evaluate(() => new Promise((done) => setTimeout(done))); // the message has been handled
  check((await limit()) === 77, `the limit is ${await limit()} again`);
  await one.page.unroute(/v1\/functions$/);
  await end(one);
});

await walk("a paused page stands still, and is not asked for anything", async () => {
  const one = await tab();
  await one.page.keyboard.press("Space");
  await one.page.getByText(/paused, \d+ frames missed/).waitFor();
  const requests = [];
  one.page.on("request", (r) => requests.push(r.url()));
  const before = await one.page.locator("main").innerHTML();
  await one.page.getByText(/paused, ([4-9]|\d\d+) frames missed/).waitFor();
  check(before === (await one.page.locator("main").innerHTML()), "a paused page has changed");
  check(!requests.length, `a paused page asks for ${requests}`);
  await one.page.keyboard.press("Space");
  await live(one);
  await one.page.waitForFunction((html) => document.querySelector("main").innerHTML !== html, before);
  check(requests.some((url) => url.includes("v1/functions")), "what was missed is not asked for");
  await end(one);
});

await walk("where tabs can't share, the page polls", () => Promise.all(["EventSource", "BroadcastChannel", "locks"].map(async (absent) => {
  const one = await pageOf(b, base);
  await one.page.addInitScript((name) => delete (name in window ? window : Navigator.prototype)[name], absent);
  const requests = [];
  one.page.on("request", (r) => requests.push(new URL(r.url()).pathname));
  await one.page.goto(base + "#/functions?range=5m");
  await live(one);
  for (let i = 0; i < 2; i++) await one.page.waitForRequest((r) => r.url().includes("v1/functions"));
  check(!requests.some((path) => path.includes("events")), "it has a stream");
  await end(one);
})));

await walk("the host is restarted", async () => {
  const refused = ["ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY"];
  const first = await tab(undefined, "overview", refused);
  const second = await tab(first, "functions", refused);
  const [epoch] = (await heard(second)).at(-1).split(".");
  await shop.close();
  for (const one of [first, second]) {
    await one.page.getByText(/lost, again in \d+ s/).waitFor();
    await one.page.getByText("The connection is lost.").waitFor();
  }
  shop = await open(program + "/shop", "-addr", new URL(base).host, "-release", "0", "-speed", "2");
  for (const one of [first, second]) {
    await one.page.waitForFunction((was) => !window.frames_.at(-1).startsWith(was), epoch);
    await live(one);
    await one.page.getByText("The connection is lost.").waitFor({ state: "detached" });
    await frames(one, 2);
    ascending(await heard(one));
  }
  await settled(1);
  await first.page.getByRole("img", { name: /\d restart\b/ }).waitFor(); // the chart's label names the restart, and the chart has a line
  await end(first, second);
  await settled(0);
});

await b.close();
await shop.close();
await stage.close();
if (failed.length) {
  console.error(`failed: ${failed.join(", ")}`);
  process.exit(1);
}
