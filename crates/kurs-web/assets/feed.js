// The stream of events: opens it, notices silence, and goes on where it had ended.

import { askForKey, streamUrl, Refused } from "./api.js";
import { readEvents } from "./events.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/** @typedef {"connecting" | "live" | "lost"} Status */

export class Feed {
  /**
   * @param {(event: string, data: any) => void} take of a rate its text, of others what it holds
   * @param {(status: Status, retryAt: number) => void} tell
   */
  constructor(take, tell) {
    this.take = take;
    this.tell = tell;
    /** @type {string[]} */
    this.topics = [];
    this.position = "";
    /** @type {AbortController | null} */
    this.connection = null;
    this.failures = 0;
    this.quietMs = 35_000;
    this.heard = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.turn = 0;
    setInterval(() => this.#watch(), 1000);
  }

  /**
   * Listens to these topics, from how they stand now.
   * @param {string[]} topics
   */
  listen(topics) {
    this.topics = topics;
    this.position = "";
    this.failures = 0;
    this.open();
  }

  /** Opens the stream, from the last place that is known. */
  async open() {
    clearTimeout(this.timer);
    this.connection?.abort();
    this.connection = null;
    this.turn += 1;
    const turn = this.turn;
    this.tell(this.failures > 0 ? "lost" : "connecting", 0);
    const query = new URLSearchParams({ topics: this.topics.join(",") });
    if (this.position) query.set("last_event_id", this.position);
    let url;
    try {
      url = await streamUrl(query);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return;
      if (turn === this.turn) this.#again();
      return;
    }
    if (turn !== this.turn) return;
    const connection = new AbortController();
    this.connection = connection;
    this.heard = performance.now();
    try {
      const answer = await fetch(url, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: connection.signal });
      if (answer.status === 401 && this.connection === connection) {
        this.connection = null;
        return askForKey();
      }
      if (!answer.ok || !answer.body) throw new Error(`the server answered ${answer.status}`);
      await readEvents(answer.body, (name, id, data) => {
        if (this.connection === connection) this.#hear(name, id, data);
      });
    } catch {
      // Cut, refused, or ended by the page itself: what to do is the same.
    }
    if (this.connection === connection) this.#again();
  }

  /**
   * @param {string} name
   * @param {string} id
   * @param {string} text
   */
  #hear(name, id, text) {
    this.heard = performance.now();
    if (id) this.position = id;
    if (name === "rate") return this.take(name, text);
    const data = JSON.parse(text);
    if (name === "hello") {
      this.failures = 0;
      if (data.heartbeat_ms) this.quietMs = data.heartbeat_ms * 2 + 5000;
      this.tell("live", 0);
    }
    this.take(name, data);
    if (name === "bye") this.#again(data.reconnect_after_ms);
  }

  /** @param {number} [wait] */
  #again(wait) {
    this.connection?.abort();
    this.connection = null;
    this.failures += 1;
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(this.failures, 6));
    const after = wait ?? FIRST_WAIT + Math.random() * most;
    this.tell("lost", Date.now() + after);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), after);
  }

  /** A connection that says nothing, not even a heartbeat, is none. */
  #watch() {
    if (this.connection && performance.now() - this.heard > this.quietMs) this.#again();
  }
}
