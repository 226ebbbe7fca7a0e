// How the page bears a load: 1,000 rows and 50 updates a second of all or of each, told by a small
// server that speaks the events of kurs and serves the files of the page.
//
//   node load.mjs [seconds] [updates a second of all rows, 50 or more]
//
// Prints what a PerformanceObserver saw of long tasks, and the heap before and after, collected.
// Like kurs, the server tells nothing to a page that has not taken what it was told before.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { DESK, launch, openPage } from "./browser.mjs";

const ROWS = 1000;
const SECONDS = Number(process.argv[2] ?? 60);
const UPDATES = Number(process.argv[3] ?? 50);
const ASSETS = process.env.PAGE_ASSETS ? pathToFileURL(`${process.env.PAGE_ASSETS}/`) : new URL("../assets/", import.meta.url);
const MEDIA = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };

const pairs = Array.from({ length: ROWS }, (_, at) => `A${String(at).padStart(3, "0")}-USD`);
let seq = 0;

/** A rate as kurs tells it. */
function rate(at) {
  const now = Date.now();
  const value = (1000 + at + Math.sin(now / 700 + at) * 5).toFixed(6);
  const time = new Date(now).toISOString();
  seq += 1;
  return {
    pair: pairs[at], value, bid: value, ask: value, source: at % 2 ? "binance" : "okx", state: "fresh", path: [pairs[at]],
    observed_at: time, published_at: time, expires_at: new Date(now + 3_600_000).toISOString(), epoch: 1, seq,
  };
}

/** An update of a row, made of texts: thousands a second of these are told. */
const texts = pairs.map((_, at) => JSON.stringify({ ...rate(at), value: "VALUE", bid: "VALUE", ask: "VALUE", observed_at: "TIME", published_at: "TIME", seq: 0 })
  .replace(/0}$/, "").split(/VALUE|TIME/));
function update(at, now, time) {
  seq += 1;
  const value = (1000 + at + Math.sin(now / 700 + at) * 5).toFixed(6);
  const [start, two, three, four, five, end] = texts[at];
  return `id: 0.1-${seq}\nevent: rate\ndata: {"topic":"rates","rate":${start}${value}${two}${value}${three}${value}${four}${time}${five}${time}${end}${seq}}}\n\n`;
}

let skipped = 0;
let told = 0;
const event = (name, data) => `id: 0.1-${seq}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

const server = createServer((request, answer) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  const json = (body) => {
    answer.writeHead(200, { "content-type": "application/json" });
    answer.end(JSON.stringify(body));
  };
  if (url.pathname === "/api/v1/pairs") return json({ directions: [], published: pairs, tracked: [] });
  if (url.pathname === "/api/v1/changes") {
    const points = Array.from({ length: 48 }, (_, at) => String(100 + Math.sin(at / 3) * 4));
    return json({ changes: (url.searchParams.get("pairs") ?? "").split(",").map((pair) => ({ pair, change_1h_percent: "0.31", change_24h_percent: "-1.2", points })), errors: [] });
  }
  if (url.pathname === "/api/v1/stream") {
    answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    answer.write(event("hello", { resumed: false, topics: ["rates"], heartbeat_ms: 15_000, degraded: "" }));
    answer.write(event("snapshot", { rates: pairs.map((_, at) => rate(at)), errors: [], prices: [], sources: [], last: true }));
    // The first 30 rows, which are in sight, and the others in turn.
    let turn = 0;
    const timer = setInterval(() => {
      if (answer.writableNeedDrain) {
        skipped += 1;
        return;
      }
      let text = "";
      const now = Date.now();
      const time = new Date(now).toISOString();
      const count = UPDATES / 50;
      for (let done = 0; done < count; done += 1) {
        turn += 1;
        const at = count < ROWS && turn % 2 ? turn % 30 : turn % ROWS;
        text += update(at, now, time);
      }
      told += count;
      answer.write(text);
    }, 20);
    request.on("close", () => clearInterval(timer));
    return;
  }
  const name = url.pathname === "/" ? "index.html" : url.pathname.replace(/^\/page\//, "");
  try {
    const body = readFileSync(new URL(name, ASSETS));
    answer.writeHead(200, { "content-type": MEDIA[name.split(".").pop()] ?? "", "content-security-policy": "default-src 'self'; frame-ancestors 'none'" });
    answer.end(body);
  } catch {
    answer.writeHead(404);
    answer.end();
  }
});

await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/`;
const browser = await launch();
const { page, mistakes } = await openPage(browser, { viewport: DESK });
await page.addInitScript(() => {
  globalThis.long = [];
  globalThis.firstRow = 0;
  new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map((entry) => ({ at: entry.startTime, ms: entry.duration })))).observe({ type: "longtask", buffered: true });
  const seen = new MutationObserver(() => {
    if (globalThis.firstRow || !document.querySelector(".lines .line .int")?.textContent) return;
    requestAnimationFrame(() => {
      const html = performance.getEntriesByType("navigation")[0];
      globalThis.firstRow ||= performance.now() - html.responseEnd;
    });
  });
  seen.observe(document, { childList: true, subtree: true, characterData: true });
});
await page.goto(url);
await page.waitForSelector(".lines [data-flash]");
const session = await page.context().newCDPSession(page);
await session.send("Performance.enable");

/** The heap without garbage, bytes. */
async function heap() {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find((metric) => metric.name === "JSHeapUsedSize")?.value ?? 0;
}

// What is loaded once, and warmed up, is no growth.
await page.waitForTimeout(Math.min(5000, SECONDS * 200));
const before = await heap();
const began = await page.evaluate(() => performance.now());
const rounds = Math.max(1, Math.round(SECONDS / 10));
for (let round = 0; round < rounds; round += 1) {
  await page.waitForTimeout((SECONDS / rounds) * 1000);
  await page.mouse.wheel(0, round % 2 ? -4000 : 4000);
}
const { long, firstRow, shown, age } = await page.evaluate((from) => ({
  age: document.querySelector(".lines .age")?.textContent ?? "",
  long: globalThis.long.filter((task) => task.at >= from),
  firstRow: globalThis.firstRow,
  shown: document.querySelectorAll(".lines .line").length,
}), began);
// Last, since collecting garbage is a long task of its own.
const after = await heap();
console.log(JSON.stringify({
  rows: ROWS, rows_in_document: shown, updates_a_second: UPDATES, seconds: SECONDS, told, ticks_skipped: skipped, age_shown: age,
  first_row_ms: Math.round(firstRow), long_tasks: long.length, longest_ms: Math.round(Math.max(0, ...long.map((task) => task.ms))),
  heap_before_mb: +(before / 1e6).toFixed(2), heap_after_mb: +(after / 1e6).toFixed(2), heap_growth_mb: +((after - before) / 1e6).toFixed(2), mistakes,
}));
await browser.close();
server.close();
server.closeAllConnections();
if (mistakes.length > 0 || shown > 100) process.exitCode = 1;
