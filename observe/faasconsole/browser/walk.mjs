// From a red mark to a corrected call that succeeds: by pointer, by keyboard alone, and on a
// narrow screen. Then each page in each theme and width: no violation of accessibility rules, no overflow,
// no message, no request that leaves the host. ONLY=text runs the walks whose names contain it.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { open, browser, pageOf, check } from "./kit.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shop = await open(process.argv[2], "-release", "1ms", "-speed", "2");
const b = await browser();
const failed = [];

async function walk(name, f, options) {
  if (!name.includes(process.env.ONLY ?? "")) return;
  const { page, faults, close } = await pageOf(b, shop.base, options);
  try {
    await f(page);
    check(!faults.length, faults.join("\n"));
    console.log(`ok: ${name}`);
  } catch (e) {
    failed.push(name);
    console.error(`FAILED: ${name}\n${e.stack}\n${faults.join("\n")}`);
    await page.screenshot({ path: `/tmp/faasconsole-${failed.length}.png` }).catch(() => {});
  }
  await close();
}

const row = (page, text) => page.locator('table[data-table="failures"] tr[data-row]', { hasText: text });

// The input of the fault has four sizes; with three it succeeds.
async function mend(page, type) {
  const editor = page.getByLabel("Input, JSON");
  await editor.waitFor();
  const text = await editor.inputValue();
  check(/90071992547\d+/.test(text) && !/\d\.\d+e\+/.test(text), `the order's number has changed: ${text}`);
  check(text.includes("[redacted]"), `the token is not redacted: ${text}`);
  await type(editor, text.replace("[320, 640, 1280, 1920]", "[320, 640"));
  await page.getByRole("alert").filter({ hasText: /^line \d+/ }).waitFor();
  check(await page.getByRole("button", { name: "Run again", exact: true }).isDisabled(), "invalid JSON can be sent");
  await type(editor, text.replace("[320, 640, 1280, 1920]", "[320, 640]"));
}

async function succeeded(page) {
  const result = page.getByLabel("The result");
  await result.waitFor();
  const text = await result.innerText();
  check(/outcome\s+Panicked\s+OK/.test(text), `it did not succeed: ${text}`);
  check(/marked replay_of [0-9a-f]{8}/.test(text), `it is not marked as a replay: ${text}`);
}

await walk("by pointer", async (page) => {
  await page.goto(shop.base);
  await page.locator(".says, .also").getByText(/resize fails/).first().waitFor({ timeout: 60000 });
  await page.getByRole("link", { name: "resize", exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: /resize fails/ }).waitFor();
  await page.getByRole("link", { name: "All failures" }).click();
  await row(page, "index out of range").getByRole("link").click();
  await page.getByRole("heading", { name: /index out of range/ }).waitFor();
  await page.locator("pre").filter({ hasText: "resizeFaulty" }).waitFor(); // the stack
  await mend(page, (editor, text) => editor.fill(text));
  await page.getByRole("button", { name: "Run again", exact: true }).click();
  await succeeded(page);
  await page.getByRole("button", { name: /Close/ }).click();
  await page.getByLabel("A call that failed").waitFor({ state: "detached" });
});

await walk("by keyboard alone", async (page) => {
  await page.goto(shop.base);
  await page.locator("h1").waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("x");
  await row(page, "index out of range").waitFor({ timeout: 60000 });
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press("j");
    if (await page.evaluate(() => document.activeElement.closest("tr")?.innerText.includes("index out of range"))) break;
  }
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /index out of range/ }).waitFor();
  await page.waitForFunction(() => document.activeElement.id === "drawer-title");
  await mend(page, async (editor, text) => {
    for (let i = 0; i < 30 && !(await editor.evaluate((el) => el === document.activeElement)); i++) await page.keyboard.press("Tab");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText(text);
  });
  const again = page.getByRole("button", { name: "Run again", exact: true });
  for (let i = 0; i < 10 && !(await again.evaluate((el) => el === document.activeElement)); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await succeeded(page);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Escape");
  await page.getByLabel("A call that failed").waitFor({ state: "detached" });
  await page.keyboard.press("/");
  await page.keyboard.insertText("expo");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: /export/ }).waitFor();
});

await walk("at 320 px", async (page) => {
  await page.goto(shop.base + "#/failures");
  await row(page, "index out of range").getByRole("link").click({ timeout: 60000 });
  await page.getByRole("heading", { name: /index out of range/ }).waitFor();
  await mend(page, (editor, text) => editor.fill(text));
  await page.getByRole("button", { name: "Run again", exact: true }).click();
  await succeeded(page);
  await page.getByRole("link", { name: "‹ Failures" }).click();
  await page.getByLabel("A call that failed").waitFor({ state: "detached" });
}, { viewport: { width: 320, height: 700 } });

await walk("pause", async (page) => {
  await page.goto(shop.base + "#/functions?range=5m");
  await page.locator('table[data-table="functions"] tr[data-row]').first().waitFor();
  await page.keyboard.press("Space");
  await page.getByText(/paused, \d+ answers missed/).waitFor();
  const before = await page.locator('table[data-table="functions"]').innerText();
  await page.getByText(/paused, [1-9]\d* answers missed/).waitFor({ timeout: 20000 });
  check(before === (await page.locator('table[data-table="functions"]').innerText()), "a paused table has changed");
  await page.keyboard.press("Space");
  await page.getByText("live", { exact: true }).waitFor();
});

const pages = ["overview", "functions", "functions/resize", "failures", "tenants", "releases", "jobs", "sources", "process"];
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1920, 1280, 768, 320]) {
    await walk(`each page, ${colorScheme}, ${width} px`, async (page) => {
      for (const one of pages) {
        await page.goto(shop.base + "#/" + one + "?range=5m");
        await page.locator("main h1").waitFor();
        await page.waitForTimeout(700);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(wide <= 0, `${one} is ${wide} px wider than the window`);
        await page.evaluate(axe).catch(() => page.addScriptTag({ content: axe }));
        const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
        check(!violations.length, `${one}: ${violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.failureSummary).join("; ")}`).join("\n")}`);
      }
    }, { colorScheme, viewport: { width, height: 900 } });
  }
}

await b.close();
await shop.close();
if (failed.length) {
  console.error(`failed: ${failed.join(", ")}`);
  process.exit(1);
}
