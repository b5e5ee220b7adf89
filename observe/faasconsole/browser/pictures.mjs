// Takes the pictures for the documentation: pictures.mjs PROGRAMS DIRECTORY. The same seed makes the same
// calls; their durations differ a little from run to run. The font is Inter, if the machine has it, so that the pictures are as
// narrow as the page is on most screens; Debian's own system-ui is far wider.

import { writeFile } from "node:fs/promises";
import { open, browser, pageOf } from "./kit.mjs";

const [, , programs, out] = process.argv;
const shop = await open(programs + "/shop", "-addr", "127.0.0.1:0", "-seed", "1", "-release", "150s", "-speed", "1.5");
const b = await browser();
await new Promise((go) => setTimeout(go, 290_000)); // until the charts are filled, with the release in the middle

async function take(page, name) {
  const cdp = await page.context().newCDPSession(page);
  const { data } = await cdp.send("Page.captureScreenshot", { format: "webp", quality: 85 });
  await writeFile(`${out}/console${name}.webp`, Buffer.from(data, "base64"));
}

const panic = (page) => page.locator('table[data-table="failures"] tr[data-row]', { hasText: "index out of range" }).getByRole("link").click();

// A page with a corrected input next to the first one.
async function again(page) {
  await panic(page);
  const editor = page.getByLabel("Input, JSON");
  await editor.waitFor();
  await editor.fill((await editor.inputValue()).replace("[320, 640, 1280, 1920]", "[320, 640]"));
  await page.getByRole("button", { name: "Run again", exact: true }).click();
  await page.getByLabel("The result").waitFor();
}

for (const colorScheme of ["light", "dark"]) {
  for (const [name, path, width, height, before] of [["", "overview", 1600, 1030], ["-function", "functions/resize", 1600, 1100], ["-failure", "failures", 1600, 850, again]]) {
    const { page, close } = await pageOf(b, shop.base, { colorScheme, viewport: { width, height } });
    await page.addInitScript(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(":root { --font: Inter, system-ui, sans-serif; }");
      document.adoptedStyleSheets = [sheet];
    });
    await page.goto(`${shop.base}#/${path}?range=5m`);
    await page.locator("main h1").waitFor();
    await before?.(page);
    await page.waitForTimeout(2500);
    await page.mouse.move(0, 0);
    await take(page, name + (colorScheme === "dark" ? "-dark" : ""));
    await close();
  }
}
await b.close();
await shop.close();
