// Parts that the walks share: the start of a shop, a browser, and a check for what must not happen on any
// page.

import { spawn } from "node:child_process";
import { chromium } from "playwright-core";

/** Starts a host. Returns its address, and the words=values in the rest of its first line. */
export async function open(program, ...args) {
  const shop = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  const line = await new Promise((found, failed) => {
    let text = "";
    shop.stdout.on("data", (d) => {
      text += d;
      if (text.includes("\n")) found(text.split("\n")[0]);
    });
    shop.on("exit", (code) => failed(new Error(`the shop ended with ${code}`)));
  });
  const said = Object.fromEntries([...line.matchAll(/(\w+)=(\S+)/g)].map((m) => [m[1], m[2]]));
  return { base: /http:\S+/.exec(line)[0], said, close: () => new Promise((done) => { shop.removeAllListeners("exit"); shop.on("exit", done); shop.kill("SIGTERM"); }) };
}

/** Starts a headless browser that makes no requests of its own. */
export const browser = () => chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });

/** Opens a page that records what must not happen: console messages, violations of its policy, requests to
 * other hosts. b is a browser, or the context of another page, in whose browser the page is then a tab.
 * allowed lists texts of messages that may occur. */
export async function pageOf(b, base, options = {}, allowed = []) {
  const context = b.newContext ? await b.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options }) : b;
  const page = await context.newPage();
  const faults = [];
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type()) && !allowed.some((a) => m.text().includes(a))) faults.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on("pageerror", (e) => faults.push(`error: ${e.stack}`));
  page.on("request", (r) => {
    if (!r.url().startsWith(base) && !r.url().startsWith("data:")) faults.push(`leaves the host: ${r.url()}`);
  });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`)));
  return { page, faults, close: () => context.close() };
}

/** Logs a viewer in on a page. */
export async function logIn(page, base, token) {
  await page.goto(base);
  await page.getByLabel("Your token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("main h1:not(.login h1)").waitFor();
}

/** Throws an Error with the sentence unless so is true. */
export function check(so, sentence) {
  if (!so) throw new Error(sentence);
}
