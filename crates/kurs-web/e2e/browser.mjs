// The browser, and what a page of it said and broke.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const DESK = { width: 1360, height: 900 };
export const PHONE = { width: 320, height: 640 };

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info"],
  });
}

/**
 * A page that notes every mistake. `bypassCSP` stays off: the policy is part of what is tested.
 * @param {import("playwright-core").Browser} browser
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: DESK, colorScheme: "dark", ...options });
  const page = await context.newPage();
  /** @type {string[]} */
  const mistakes = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) mistakes.push(message.text());
  });
  page.on("pageerror", (error) => mistakes.push(`${error}`));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { context, page, mistakes, close: () => context.close() };
}

/**
 * What axe-core finds wrong; its script comes by the debugger, past the policy of the page.
 * @param {import("playwright-core").Page} page
 */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    // @ts-ignore: of the script above.
    const results = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return results.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join(" | ")}`);
  });
  return found;
}

/**
 * Whether the page is wider than the window.
 * @param {import("playwright-core").Page} page
 */
export function overflow(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    return Math.max(0, root.scrollWidth - root.clientWidth);
  });
}
