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

/** Asks for a key. */
export function askForKey() {
  ask();
}

/**
 * Asks the server; what has a body is sent as JSON.
 * @param {string} path
 * @param {{ method?: string, headers?: Record<string, string>, body?: string }} [options]
 * @param {boolean} [asks] whether a key is asked for where one is needed
 * @returns {Promise<any>}
 */
export async function request(path, options = {}, asks = true) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...options.headers };
  if (options.body) headers["Content-Type"] = "application/json";
  if (key()) headers["X-Api-Key"] = key();
  const answer = await fetch(path, { signal: AbortSignal.timeout(15_000), ...options, headers });
  learn(answer.headers);
  if (answer.status === 204) return null;
  if (answer.ok) return answer.json();
  if (answer.status === 401 && asks) ask();
  const { detail, errors = [] } = await answer.json().catch(() => ({}));
  const mistakes = errors.map((/** @type {Record<string, string>} */ one) => `${(one.pointer ?? one.parameter ?? "").split("/").pop()} ${one.detail ?? ""}`);
  // A single mistake is in the detail already.
  throw new Refused(answer.status, [detail ?? `the server answered ${answer.status}`, ...(mistakes.length > 1 ? mistakes : [])].join("; "));
}

/**
 * The address of a stream, with a ticket when there is a key.
 * @param {URLSearchParams} query
 */
export async function streamUrl(query) {
  if (key()) {
    const { ticket } = await request("/api/v1/stream/ticket", { method: "POST" });
    query.set("ticket", ticket);
  }
  return `/api/v1/stream?${query}`;
}
