// The health of every source, and when which one was away.

import { request } from "./api.js";
import { el, put, svg, write } from "./dom.js";
import { badge } from "./explain.js";
import { age, clock, humane, minute, now, since } from "./time.js";

/** @typedef {import("./model").Model} Model */
/** @typedef {import("./types").Source} Source */
/** @typedef {import("./types").Gap} Gap */

const SPANS = /** @type {const} */ ([["15 min", 900_000], ["1 h", 3_600_000], ["24 h", 86_400_000]]);
const GAPS_MS = 5000;
const WIDTH = 1000;
const LANE = 30;
const EVENTS = 30;
const HEADS = ["Source", "State", "Mode", "Pairs", "Last word", "Lag", "Messages", "Reconnects", "Books"];

export class SourcesView {
  /**
   * @param {HTMLElement} place
   * @param {Model} model
   */
  constructor(place, model) {
    this.model = model;
    /** @type {Gap[]} */
    this.gaps = [];
    this.askedAt = 0;
    this.drawnAt = 0;
    this.span = 900_000;
    /** @type {Map<string, HTMLElement[]>} */
    this.rows = new Map();
    this.body = el("tbody");
    this.lanes = el("div", { class: "lanes" });
    this.events = el("ol", { class: "events" });
    this.buttons = SPANS.map(([name, span]) => el("button", {
      type: "button", "aria-pressed": String(span === this.span),
      onclick: () => {
        this.span = span;
        this.buttons.forEach((button, at) => put(button, "aria-pressed", String(SPANS[at]?.[1] === span)));
        this.askedAt = 0;
        this.drawnAt = 0;
        this.draw();
      },
    }, name));
    place.replaceChildren(
      el("h1", {}, "Sources"),
      el("div", { class: "card" },
        el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Health of the sources" },
          el("table", { class: "health" },
            el("thead", {}, el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col" }, text)))), this.body))),
      el("div", { class: "card" },
        el("div", { class: "card-head" }, el("h2", {}, "Failover timeline"),
          el("div", { class: "segments", role: "group", "aria-label": "Time shown" }, ...this.buttons)),
        this.lanes,
        el("h3", {}, "What happened"),
        this.events));
  }

  title() {
    return "Sources: kurs";
  }

  close() {}

  draw() {
    const time = performance.now();
    if (time - this.drawnAt < 900) return;
    this.drawnAt = time;
    this.#table();
    this.#timeline();
    if (time - this.askedAt > GAPS_MS) this.#ask(time);
  }

  /** @param {number} time */
  async #ask(time) {
    this.askedAt = time;
    const start = new Date(now() - this.span).toISOString();
    try {
      this.gaps = (await request(`/api/v1/gaps?start=${start}&limit=1000`)).gaps;
    } catch {
      // The timeline goes on with what was seen here.
    }
  }

  #table() {
    const all = [...this.model.sources.values()].sort((a, b) => a.priority - b.priority);
    for (const source of all) {
      let cells = this.rows.get(source.source);
      if (!cells) {
        cells = HEADS.map((_, at) => (at === 0 ? el("th", { scope: "row" }) : el("td")));
        this.rows.set(source.source, cells);
        this.body.append(el("tr", {}, ...cells));
        cells[0]?.replaceChildren(el("span", { class: "prio" }, String(source.priority)), source.source, el("small", {}, source.kind));
      }
      const state = cells[1];
      const key = `${source.state} ${source.why}`;
      if (state && state.dataset.key !== key) {
        state.dataset.key = key;
        state.replaceChildren(badge(source.state), el("small", { title: source.why }, short(source.why)));
        put(cells[0]?.parentElement ?? state, "data-state", source.state === "live" ? null : source.state);
      }
      const pace = this.model.pace.get(source.source);
      const poll = source.next_poll_at ? `next ${clock(Date.parse(source.next_poll_at))}` : "";
      const books = source.books.synced + source.books.gaps > 0;
      [
        `${source.mode}${poll ? `, ${poll}` : ""}`,
        String(source.pairs),
        source.last_message_at ? since(source.last_message_at) : "–",
        source.lag_ms === null ? "–" : `${source.lag_ms} ms`,
        source.mode === "poll" ? String(source.messages) : pace === undefined ? "…" : `${pace.toFixed(0)}/s`,
        `${source.reconnects}${source.failures ? ` (${source.failures} failed)` : ""}`,
        books ? `${source.books.synced} in step${source.books.gaps ? `, ${source.books.gaps} gaps` : ""}` : "–",
      ].forEach((text, at) => {
        const cell = cells[at + 2];
        if (cell) write(cell, text);
      });
    }
  }

  #timeline() {
    const to = now();
    const from = to - this.span;
    const x = (/** @type {number} */ at) => Math.max(0, Math.min(WIDTH, ((at - from) / this.span) * WIDTH));
    const all = [...this.model.sources.values()].sort((a, b) => a.priority - b.priority);
    const lanes = all.map((source) => {
      const gaps = merged(this.gaps.filter((gap) => gap.source === source.source), to);
      // What was seen here before the ledger has it.
      if (source.state !== "live") gaps.push([Date.parse(source.since), to, source.why || source.state]);
      const away = gaps.filter(([, end]) => end > from);
      const picture = svg("svg", { class: "lane", viewBox: `0 0 ${WIDTH} ${LANE}`, preserveAspectRatio: "none", role: "img",
        "aria-label": `${source.source}: ${away.length === 0 ? "never away" : `${away.length} times away`}` },
        svg("rect", { class: "there", x: 0, y: 12, width: WIDTH, height: 6, rx: 3 }));
      for (const [began, ended, why] of away) {
        picture.append(svg("rect", { class: "away", x: x(began), y: 5, width: Math.max(3, x(ended) - x(began)), height: 20, rx: 2 },
          svg("title", {}, `${clock(began)} to ${ended === to ? "now" : clock(ended)}: ${why}`)));
      }
      const switches = this.model.switches.filter((one) => one.at > from && one.to === source.source);
      for (const one of switches) picture.append(svg("rect", { class: "took", x: x(one.at) - 1, y: 2, width: 2, height: 26 }));
      return el("div", { class: "lane-row" },
        el("span", { class: "lane-name" }, source.source), picture,
        el("span", { class: "lane-say" }, source.state === "live" ? (away.length ? `${away.length} × away` : "steady") : `${source.state} ${since(source.since)}`));
    });
    const axis = el("div", { class: "lane-row axis", "aria-hidden": "true" }, el("span"), el("span", { class: "times" },
      ...[0, 0.25, 0.5, 0.75, 1].map((part) => el("span", {}, part === 1 ? "now" : minute(from + part * this.span)))), el("span"));
    this.lanes.replaceChildren(...lanes, axis,
      el("p", { class: "soft small key" }, el("i", { class: "k-away" }), "away ", el("i", { class: "k-took" }), "a rate changed to this source"));
    this.#events(to);
  }

  /** @param {number} to */
  #events(to) {
    /** @type {{ at: number, text: string, kind: string }[]} */
    const all = [];
    const switches = new Map();
    for (const one of this.model.switches) {
      const key = `${Math.floor(one.at / 2000)} ${one.from} ${one.to}`;
      const known = switches.get(key);
      if (known) known.pairs.push(one.pair);
      else switches.set(key, { ...one, pairs: [one.pair] });
    }
    for (const one of switches.values()) {
      const place = (/** @type {string} */ pair) => this.model.rows.get(pair)?.place ?? 0;
      const pairs = [...new Set(one.pairs)].sort((a, b) => place(a) - place(b));
      const some = pairs.slice(0, 4).join(", ") + (pairs.length > 4 ? ` and ${pairs.length - 4} more` : "");
      all.push({ at: one.at, kind: "switch", text: `${some}: ${one.from} → ${one.to}` });
    }
    for (const one of this.model.turns) {
      all.push({ at: one.at, kind: one.state, text: `${one.source} is ${one.state}${one.why ? `: ${short(one.why)}` : ""}` });
    }
    for (const gap of this.gaps) {
      const began = Date.parse(gap.began);
      const ended = gap.ended ? Date.parse(gap.ended) : to;
      all.push({ at: began, kind: "gap", text: `${gap.source} gave no ${gap.pair} for ${age(ended - began)}${gap.ended ? "" : ", still"}: ${short(gap.why)}` });
    }
    all.sort((a, b) => b.at - a.at);
    const shown = all.slice(0, EVENTS);
    const key = shown.map((one) => one.text).join();
    if (this.events.dataset.key === key) return;
    this.events.dataset.key = key;
    this.events.replaceChildren(...(shown.length ? shown : [{ at: this.model.started, kind: "none", text: "Nothing since this page was opened: every rate is served by its best source." }])
      .map((one) => el("li", { "data-kind": one.kind }, el("time", {}, clock(one.at)), el("span", {}, one.text))));
  }
}

/**
 * A reason without addresses; the whole of it is in the title and in the log.
 * @param {string} why
 */
function short(why) {
  return humane(why.replace(/https?:\/\/\S+\s*/g, ""));
}

/**
 * Gaps of several pairs as the times in which anything was missing.
 * @param {Gap[]} gaps
 * @param {number} to
 * @returns {[number, number, string][]}
 */
function merged(gaps, to) {
  const all = gaps.map((gap) => /** @type {[number, number, string]} */ (
    [Date.parse(gap.began), gap.ended ? Date.parse(gap.ended) : to, gap.why])).sort((a, b) => a[0] - b[0]);
  /** @type {[number, number, string][]} */
  const out = [];
  for (const one of all) {
    const last = out.at(-1);
    if (last && one[0] <= last[1] + 1000) last[1] = Math.max(last[1], one[1]);
    else out.push(one);
  }
  return out;
}
