// Takes the pictures of docs/page.md, as docs/screenshots.sh runs it: node shots.mjs FOLDER URL [CONTROL]

import { join } from "node:path";
import { launch, openPage } from "./browser.mjs";

const [, , folder = ".", url = "", control = ""] = process.argv;
const browser = await launch();

/**
 * @param {string} name
 * @param {string} path
 * @param {string} ready
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
async function shot(name, path, ready, options = {}) {
  const { page, close } = await openPage(browser, { viewport: { width: 1360, height: 850 }, ...options });
  await page.addInitScript(() => localStorage.setItem("kurs.favourites", "BTC-USD,BTC-RUB,ETH-USD"));
  await page.goto(`${url}/#/${path}`);
  await page.waitForSelector(".link[data-status=live]");
  await page.waitForSelector(ready);
  await page.waitForTimeout(2500);
  await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await close();
  console.log(`${name}.png`);
}

await shot("page", "", ".lines .line");
await shot("page-light", "", ".lines .line", { colorScheme: "light" });
await shot("pair", "pair/BTC-RUB?interval=1m", ".sayings [data-used]");
await shot("explain", "?explain=BTC-RUB", "#drawer .sayings [data-used]", { colorScheme: "light" });
await shot("phone", "", ".lines .line", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 });
await shot("convert", "convert?amount=0.25&from=BTC&to=RUB", ".convert .big");

for (const [name, condition] of /** @type {[string, object][]} */ ([
  ["Treasury sells", { kind: "threshold", pair: "BTC-USD", side: "above", value: "60000" }],
  ["Dollar coins", { kind: "depeg", asset: "USDT", percent: "0.5" }],
  ["", { kind: "percent", pair: "BTC-RUB", percent: "2", window_seconds: 3600 }],
  ["Night watch", { kind: "source_loss", source: "binance", after_seconds: 30 }],
])) {
  const target = { kind: "webhook", url: "https://example.org/kurs" };
  await fetch(`${url}/api/v1/alerts`, {
    method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": `picture ${JSON.stringify(condition)}` },
    body: JSON.stringify({ target, condition, ...(name ? { name } : {}) }),
  });
}
await shot("alerts", "alerts", ".alerts tbody tr");

// A venue fails while the page of the sources is open.
const { page, close } = await openPage(browser, { viewport: { width: 1360, height: 900 } });
await page.goto(`${url}/#/sources`);
await page.waitForSelector(".health tbody tr");
if (control) {
  await page.waitForTimeout(3000);
  const fault = (/** @type {string} */ venue) => fetch(`${control}/faults`, { method: "POST", body: JSON.stringify({ venue, fault: "cut" }) });
  await fault("binance");
  await page.waitForTimeout(25_000);
  await fetch(`${control}/faults`, { method: "DELETE" });
  await page.waitForTimeout(25_000);
  await fault("okx");
  await page.waitForTimeout(12_000);
}
await page.screenshot({ path: join(folder, "sources.png"), fullPage: true });
console.log("sources.png");
await close();
if (control) await fetch(`${control}/faults`, { method: "DELETE" });
await browser.close();
