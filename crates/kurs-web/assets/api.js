// Questions to the server. A key, where one is needed, stays in this tab.

import { learn } from "./time.js";

const KEPT = "kurs.key";

/** What the server says when it cannot answer. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The key of this tab; empty for none. */
export function key() {
  return sessionStorage.getItem(KEPT) ?? "";
}

/** @param {string} text */
export function keep(text) {
  if (text) sessionStorage.setItem(KEPT, text);
  else sessionStorage.removeItem(KEPT);
}

/** @type {() => void} */
let ask = () => {};

/**
 * Whom to tell that a key is needed.
 * @param {() => void} handler
 */
export function whenKeyIsNeeded(handler) {
  ask = handler;
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export async function get(path, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (key()) headers["X-Api-Key"] = key();
  const answer = await fetch(path, { signal: AbortSignal.timeout(15_000), ...options, headers });
  learn(answer.headers);
  if (answer.ok) return answer.json();
  if (answer.status === 401) ask();
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail ?? `the server answered ${answer.status}`);
}

/**
 * The address of a stream, with a ticket when there is a key.
 * @param {URLSearchParams} query
 */
export async function streamUrl(query) {
  if (key()) {
    const { ticket } = await get("/api/v1/stream/ticket", { method: "POST" });
    query.set("ticket", ticket);
  }
  return `/api/v1/stream?${query}`;
}
