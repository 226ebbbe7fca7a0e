// One pair: its rate, its candles, and what each source says.

import { request } from "./api.js";
import { Chart } from "./chart.js";
import { el, mark, put, write } from "./dom.js";
import { badge, sayings } from "./explain.js";
import { ageMs, oldestMs, stateOf } from "./model.js";
import { compare, rounded, shown, split, whole } from "./number.js";
import { link } from "./route.js";
import { turnFavourite } from "./settings.js";
import { showChange, showStar, sourcesOf } from "./show.js";
import { age, clock, day, humane, now } from "./time.js";

/** @typedef {import("./model").Model} Model */
/** @typedef {import("./types").Route} Route */
/** @typedef {import("./types").Candle} Candle */

const INTERVALS = /** @type {const} */ ([["1s", 1], ["1m", 60], ["5m", 300], ["1h", 3600], ["1d", 86_400]]);
const CANDLES = 240;
const AGAIN_MS = 15_000;
const SAYINGS_MS = 2000;

export class PairView {
  /**
   * @param {HTMLElement} place
   * @param {Model} model
   * @param {Route} route
   */
  constructor(place, model, route) {
    this.model = model;
    this.pair = route.pair;
    this.query = route.query;
    this.interval = "";
    this.turn = 0;
    this.askedAt = 0;
    this.saidAt = 0;
    this.shown = "";
    this.path = "";
    const [base = "", quote = ""] = route.pair.split("-");
    this.value = el("span", { class: "int" });
    this.fraction = el("span", { class: "frac" });
    this.arrow = el("span", { class: "arrow", "aria-hidden": "true" });
    this.state = el("span");
    this.facts = el("dl", { class: "tiles" });
    const tile = (/** @type {string} */ name) => {
      const value = el("dd");
      this.facts.append(el("div", {}, el("dt", {}, name), value));
      return value;
    };
    this.tiles = { bid: tile("Bid"), ask: tile("Ask"), h1: tile("1 h"), d1: tile("24 h"), age: tile("Age"), source: tile("Source and path") };
    this.star = el("button", { type: "button", class: "tool", onclick: () => this.#star() });
    showStar(this.star, this.pair);
    this.buttons = INTERVALS.map(([name]) => el("button", { type: "button", "data-interval": name, onclick: () => this.#go(name) }, name));
    this.canvas = el("canvas", { class: "chart", tabindex: 0, role: "img", "aria-label": `Candles of ${this.pair}. Arrow keys move the crosshair.` });
    this.canvas.addEventListener("keydown", (event) => {
      if (this.#walk(event.key)) event.preventDefault();
    });
    this.legend = el("p", { class: "legend" });
    this.note = el("p", { class: "chart-note", hidden: true });
    this.sources = el("div", { class: "card sources-of" });
    this.title_ = `${base} / ${quote}`;
    place.replaceChildren(
      el("div", { class: "pair-head" },
        el("div", {},
          el("p", { class: "over" }, el("a", { href: link("rates") }, "Rates"), " · ", el("a", { href: link("alerts", "", new URLSearchParams({ pair: this.pair })) }, "Set an alert")),
          el("h1", {}, base, el("span", { class: "sep" }, " / "), el("span", { class: "quote" }, quote), this.star)),
        this.headline = el("p", { class: "headline" }, this.arrow, el("span", { class: "number" }, this.value, this.fraction), el("span", { class: "unit" }, quote), this.state)),
      this.facts,
      el("div", { class: "card chart-card" },
        el("div", { class: "chart-head" }, el("h2", {}, "Candles"),
          el("div", { class: "segments", role: "group", "aria-label": "Length of a candle" }, ...this.buttons), this.legend),
        el("div", { class: "chart-box" }, this.canvas, this.note)),
      this.sources);
    this.chart = new Chart(this.canvas, (at) => this.#read(at));
    this.route(route);
  }

  title() {
    const rate = this.model.rows.get(this.pair)?.rate;
    return rate ? `${shown(rate.value)} ${this.pair}` : this.pair;
  }

  close() {
    this.turn += 1;
    this.chart.close();
  }

  /** @param {Route} route */
  route(route) {
    this.query = route.query;
    const wanted = route.query.get("interval") ?? "1m";
    const known = INTERVALS.find(([name]) => name === wanted) ?? INTERVALS[1];
    for (const button of this.buttons) put(button, "aria-pressed", String(button.dataset.interval === known[0]));
    if (this.interval !== known[0]) {
      [this.interval, this.chart.seconds] = known;
      this.chart.candles = [];
      this.chart.move(-1);
      this.#ask();
    }
    this.chart.draw();
  }

  /** @param {string} interval */
  #go(interval) {
    const query = new URLSearchParams(this.query);
    query.set("interval", interval);
    history.replaceState(null, "", link("pair", this.pair, query));
    dispatchEvent(new Event("hashchange"));
  }

  #star() {
    turnFavourite(this.pair);
    showStar(this.star, this.pair);
  }

  /** Asks for the candles; again now and then, since the server's are the true ones. */
  async #ask() {
    this.turn += 1;
    const turn = this.turn;
    this.askedAt = performance.now();
    const path = this.pair.replace("-", "/");
    try {
      const page = await request(`/api/v1/candles/${path}?interval=${this.interval}&limit=${CANDLES}`);
      if (turn !== this.turn) return;
      this.chart.candles = page.candles;
      this.note.hidden = page.candles.length > 0;
      write(this.note, "No candles of this length yet.");
    } catch (error) {
      if (turn !== this.turn) return;
      this.note.hidden = this.chart.candles.length > 0;
      write(this.note, `No candles: ${error instanceof Error ? error.message : "no answer"}.`);
    }
    this.chart.draw();
    this.#read(this.chart.cross);
  }

  async #askSayings() {
    this.saidAt = performance.now();
    try {
      const path = this.pair.replace("-", "/");
      const rate = await request(`/api/v1/rates/${path}?explain=true&allow_stale=true`);
      this.#showSayings(rate);
    } catch (error) {
      this.sources.replaceChildren(el("h2", {}, "Sources"), el("p", { class: "soft" }, error instanceof Error ? error.message : "no answer"));
    }
  }

  /** @param {import("./types").Explained} rate */
  #showSayings(rate) {
    const markets = rate.legs?.length ? rate.legs.map((leg) => [leg.pair, leg.value]) : [[rate.path[0] ?? this.pair, rate.value]];
    this.sources.replaceChildren(
      el("div", { class: "card-head" }, el("h2", {}, "Sources"),
        el("button", { type: "button", class: "primary", onclick: () => this.explain() }, mark("path"), "Explain")),
      el("p", { class: "soft" }, rate.reason ? `${humane(rate.reason)}.` : ""),
      el("div", { class: "markets" }, ...markets.map(([pair = "", value = ""]) => el("section", {},
        el("h3", {}, pair),
        sayings((rate.constituents ?? []).filter((one) => one.pair === pair), value)))));
  }

  explain() {
    const query = new URLSearchParams(this.query);
    query.set("explain", this.pair);
    location.hash = link("pair", this.pair, query);
  }

  draw() {
    const row = this.model.rows.get(this.pair);
    const rate = row?.rate;
    this.model.dirty.clear();
    const time = performance.now();
    if (time - this.askedAt > AGAIN_MS) this.#ask();
    // Not while somebody is in the table with the keyboard.
    if (time - this.saidAt > SAYINGS_MS && !this.sources.contains(document.activeElement)) this.#askSayings();
    if (!row || !rate) {
      write(this.value, row?.why || "–");
      return;
    }
    const [front, back] = split(rate.value, 1000);
    write(this.value, front);
    write(this.fraction, back);
    write(this.arrow, row.moved > 0 ? "▲" : row.moved < 0 ? "▼" : "");
    put(this.arrow, "data-way", row.moved > 0 ? "up" : row.moved < 0 ? "down" : null);
    const state = stateOf(rate);
    if (this.shown !== state) {
      this.shown = state;
      this.state.replaceChildren(badge(state));
    }
    put(this.headline, "data-state", state === "fresh" ? null : state);
    write(this.tiles.bid, rate.bid ? shown(rate.bid) : "–");
    write(this.tiles.ask, rate.ask ? shown(rate.ask) : "–");
    const change = this.model.changes.get(this.pair);
    showChange(this.tiles.h1, change?.change_1h_percent);
    showChange(this.tiles.d1, change?.change_24h_percent);
    if (!change || this.changesOf !== Math.floor(now() / 60_000)) this.#askChange();
    const older = oldestMs(rate) - ageMs(rate) > 60_000;
    write(this.tiles.age, age(ageMs(rate)) + (older ? `, oldest leg ${age(oldestMs(rate))}` : ""));
    write(this.tiles.source, sourcesOf(rate));
    this.#live(rate.value);
  }

  changesOf = 0;

  async #askChange() {
    const round = Math.floor(now() / 60_000);
    if (this.changesOf === round) return;
    this.changesOf = round;
    try {
      const { changes } = await request(`/api/v1/changes?pairs=${this.pair}`);
      for (const change of changes) this.model.changes.set(change.pair, change);
    } catch {
      // A dash stays.
    }
  }

  /**
   * The newest price goes into the candle that is open.
   * @param {string} value
   */
  #live(value) {
    const { candles, seconds } = this.chart;
    if (candles.length === 0) return;
    const start = Math.floor(now() / 1000 / seconds) * seconds * 1000;
    const last = candles.at(-1);
    if (!last || Date.parse(last.start) > start) return;
    const text = rounded(value, 12);
    if (Date.parse(last.start) < start) {
      candles.push({ start: new Date(start).toISOString(), open: text, high: text, low: text, close: text, count: 1, origin: "live", closed: false });
      if (candles.length > CANDLES) candles.shift();
    } else if (last.close !== text) {
      last.close = text;
      if (compare(text, last.high) > 0) last.high = text;
      if (compare(text, last.low) < 0) last.low = text;
    } else {
      return;
    }
    this.chart.draw();
    if (this.chart.cross < 0) this.#read(-1);
  }

  /** @param {number} at */
  #read(at) {
    const candle = this.chart.candles.at(at);
    if (!candle) {
      this.legend.replaceChildren();
      return;
    }
    const start = Date.parse(candle.start);
    const time = this.chart.seconds >= 86_400 ? day(start) : `${day(start)} ${clock(start)}`;
    const entry = (/** @type {string} */ name, /** @type {string} */ text) =>
      el("span", { class: "entry" }, el("span", { class: "soft" }, name), ` ${shown(text)}`);
    this.legend.replaceChildren(el("span", { class: "when" }, time),
      entry("O", candle.open), entry("H", candle.high), entry("L", candle.low), entry("C", candle.close));
  }

  /** @param {string} key */
  #walk(key) {
    const last = this.chart.candles.length - 1;
    const at = this.chart.cross < 0 ? last + 1 : this.chart.cross;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: Math.max(0, last - 60), End: last, PageUp: at - 10, PageDown: at + 10 }[key];
    if (to === undefined || last < 0) return false;
    this.chart.move(Math.min(last, Math.max(0, to)));
    return true;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "e") this.explain();
    else if (event.key === "f") this.#star();
    else if (["ArrowLeft", "ArrowRight"].includes(event.key)) return this.#walk(event.key);
    else return false;
    return true;
  }
}
