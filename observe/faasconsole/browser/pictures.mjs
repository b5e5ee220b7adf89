// Takes the pictures of docs: pictures.mjs PROGRAMS DIRECTORY.

import { open, browser, pageOf } from "./kit.mjs";

const [, , program, out] = process.argv;
const shop = await open(program + "/shop", "-addr", "127.0.0.1:0", "-release", "150s", "-speed", "1.5");
const b = await browser();
await new Promise((go) => setTimeout(go, 240_000)); // until the charts have something to show
for (const colorScheme of ["light", "dark"]) {
  for (const [name, path, width, height] of [["overview", "overview", 1600, 1000], ["function", "functions/resize", 1600, 1250], ["failures", "failures", 1600, 1000]]) {
    const { page, close } = await pageOf(b, shop.base, { colorScheme, viewport: { width, height } });
    await page.goto(`${shop.base}#/${path}?range=5m`);
    await page.locator("main h1").waitFor();
    await page.waitForTimeout(4000);
    await page.screenshot({ path: `${out}/console-${name}-${colorScheme}.png` });
    await close();
  }
}
await b.close();
await shop.close();
