// What the page knows: the newest rate of each pair, the sources, and what changed while it
// watched.

import { compare } from "./number.js";
import { now } from "./time.js";

/** @typedef {import("./types").Rate} Rate */
/** @typedef {import("./types").Source} Source */
/** @typedef {import("./types").Change} Change */

/**
 * @typedef {object} Row
 * @property {string} pair
 * @property {string} base
 * @property {string} quote
 * @property {number} place its place in the list of the server; -1: not in the list
 * @property {Rate | null} rate
 * @property {string} why why there is no rate
 * @property {number} moved -1, 0, 1: which way it went last
 * @property {number} flashes counts changes of the value
 */

/** @typedef {{ at: number, pair: string, from: string, to: string }} Switch */
/** @typedef {{ at: number, source: string, state: string, why: string }} Turn */

const SWITCHES_MAX = 200;

export class Model {
  constructor() {
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {Map<string, Source>} */
    this.sources = new Map();
    /** Messages a second, by source. @type {Map<string, number>} */
    this.pace = new Map();
    /** @type {Map<string, { at: number, messages: number }>} */
    this.counted = new Map();
    /** @type {Map<string, Change>} */
    this.changes = new Map();
    /** @type {Switch[]} */
    this.switches = [];
    /** @type {Turn[]} */
    this.turns = [];
    /** Counts connections. */
    this.connection = 0;
    /** In which connection each pair was heard last. @type {Map<string, number>} */
    this.heardIn = new Map();
    /** The source that was heard last of each pair. @type {Map<string, string>} */
    this.servedBy = new Map();
    /** Newer rates that are not shown yet. @type {Map<string, { rate: Rate | null, text: string, connection: number }>} */
    this.waiting = new Map();
    /** Pairs whose row has to be drawn again. @type {Set<string>} */
    this.dirty = new Set();
    /** Grows when rows come or go. */
    this.shape = 0;
    this.simulated = false;
    this.started = now();
  }

  /**
   * The pairs of the table, in this order.
   * @param {string[]} pairs
   */
  list(pairs) {
    for (const row of this.rows.values()) row.place = -1;
    pairs.forEach((pair, place) => (this.row(pair).place = place));
    this.shape += 1;
  }

  /**
   * @param {string} pair
   * @returns {Row}
   */
  row(pair) {
    const known = this.rows.get(pair);
    if (known) return known;
    const [base = "", quote = ""] = pair.split("-");
    const row = { pair, base, quote, place: -1, rate: null, why: "", moved: 0, flashes: 0 };
    this.rows.set(pair, row);
    this.shape += 1;
    return row;
  }

  /**
   * Keeps the newest rate of each pair until the page wants to move. It is read then: of many that
   * come within a moment only the last is.
   * @param {string} text
   */
  takeText(text) {
    const pair = cut(text, '"pair":"');
    this.#heard(pair, cut(text, '"source":"'));
    this.waiting.set(pair, { rate: null, text, connection: this.connection });
  }

  /**
   * The same for one that was read already.
   * @param {Rate} rate
   */
  takeRate(rate) {
    this.#heard(rate.pair, rate.source);
    this.waiting.set(rate.pair, { rate, text: "", connection: this.connection });
  }

  /**
   * @param {string} pair
   * @param {string} source
   */
  #heard(pair, source) {
    const before = this.servedBy.get(pair);
    if (before === source) return;
    this.servedBy.set(pair, source);
    if (source.startsWith("sim:")) this.simulated = true;
    if (before === undefined) return;
    this.switches.unshift({ at: now(), pair, from: before, to: source });
    this.switches.length = Math.min(this.switches.length, SWITCHES_MAX);
  }

  /** Moves on to the newest rates. */
  apply() {
    for (const { rate: known, text, connection } of this.waiting.values()) {
      /** @type {Rate} */
      const rate = known ?? JSON.parse(text).rate;
      const row = this.row(rate.pair);
      // Within an epoch nothing goes back, unless the server began anew with an empty store.
      const isSame = this.heardIn.get(rate.pair) === connection;
      if (isSame && row.rate && row.rate.epoch === rate.epoch && rate.seq < row.rate.seq) continue;
      this.heardIn.set(rate.pair, connection);
      const moved = row.rate ? compare(rate.value, row.rate.value) : 0;
      if (moved !== 0) {
        row.moved = moved;
        row.flashes += 1;
      }
      row.rate = rate;
      row.why = "";
      this.dirty.add(rate.pair);
    }
    this.waiting.clear();
  }

  /** @param {Source} status */
  takeSource(status) {
    const name = status.source;
    const before = this.sources.get(name);
    if (before && before.state !== status.state) {
      this.turns.unshift({ at: now(), source: name, state: status.state, why: status.why });
      this.turns.length = Math.min(this.turns.length, SWITCHES_MAX);
    }
    const counted = this.counted.get(name);
    const at = performance.now();
    if (!counted) {
      this.counted.set(name, { at, messages: status.messages });
    } else if (at - counted.at > 3000) {
      this.pace.set(name, Math.max(0, status.messages - counted.messages) / ((at - counted.at) / 1000));
      this.counted.set(name, { at, messages: status.messages });
    }
    this.sources.set(name, status);
    if (name.startsWith("sim:")) this.simulated = true;
  }

  /**
   * One event of the stream: the text of a rate, what any other holds.
   * @param {string} event
   * @param {any} data
   */
  take(event, data) {
    if (event === "hello") {
      this.connection += 1;
    } else if (event === "rate") {
      this.takeText(data);
    } else if (event === "snapshot") {
      for (const rate of data.rates) this.takeRate(rate);
      for (const status of data.sources) this.takeSource(status);
      for (const error of data.errors) this.#missing(error);
    } else if (event === "source" && data.status) {
      this.takeSource(data.status);
    } else if (event === "error") {
      this.#missing(data);
    }
  }

  /** @param {{ topic?: string, detail?: string }} error */
  #missing(error) {
    const pair = /^rate:(.+)$/.exec(error.topic ?? "")?.[1];
    if (!pair) return;
    const row = this.row(pair);
    this.waiting.delete(pair);
    row.rate = null;
    row.why = error.detail ?? "no rate";
    this.dirty.add(pair);
  }
}

/**
 * What stands behind the first mention of a name, up to the next quote. The texts of the server
 * tell pair and source of a rate before those of its legs.
 * @param {string} text
 * @param {string} name
 */
function cut(text, name) {
  const at = text.indexOf(name) + name.length;
  return text.slice(at, text.indexOf('"', at));
}

/**
 * The state to show: what the server said, or that its time has passed since.
 * @param {Rate} rate
 */
export function stateOf(rate) {
  if (rate.state === "fresh" && Date.parse(rate.expires_at) + 1000 < now()) return "stale";
  return rate.state;
}

/**
 * Age of a rate: of its only market, or of the newest price on a longer path.
 * @param {Rate} rate
 */
export function ageMs(rate) {
  const single = !rate.legs || rate.legs.length < 2;
  return now() - Date.parse(single ? rate.observed_at : rate.published_at);
}

/**
 * Age of the oldest leg where the path is longer.
 * @param {Rate} rate
 */
export function oldestMs(rate) {
  return now() - Date.parse(rate.observed_at);
}
