// The table of rates. Only the rows in sight are in the document; of these only what changed is
// touched.

import { request } from "./api.js";
import { el, put, spoken, svg, write } from "./dom.js";
import { ageMs, oldestMs, stateOf } from "./model.js";
import { split, whole } from "./number.js";
import { isFavourite, turnFavourite } from "./settings.js";
import { age, now } from "./time.js";
import { link } from "./route.js";
import { showChange, showStar, sourcesOf, sparkline } from "./show.js";

/** @typedef {import("./model").Model} Model */
/** @typedef {import("./model").Row} Row */
/** @typedef {import("./types").Route} Route */

const COLUMNS = [
  ["pair", "Pair"],
  ["rate", "Rate"],
  ["", "Bid / ask"],
  ["h1", "1 h"],
  ["d1", "24 h"],
  ["", "Last 24 h"],
  ["source", "Source and path"],
  ["age", "Age"],
];
/** Rows kept above and below those in sight. */
const SPARE = 6;
/** A row is tinted at most this often: WCAG 2.3.1 allows three flashes a second. */
const FLASH_EVERY_MS = 400;
const RESORT_MS = 1000;
const CHANGES_MS = 60_000;
const CHANGES_MAX = 100;

/**
 * One drawn row.
 * @typedef {object} Line
 * @property {HTMLElement} root
 * @property {string} pair
 * @property {Record<string, HTMLElement>} at
 * @property {SVGElement} spark
 * @property {number} flashes
 * @property {number} flashedAt
 * @property {string} source
 * @property {import("./types").Change | undefined} change
 */

export class Table {
  /**
   * @param {HTMLElement} place
   * @param {Model} model
   * @param {{ bases: string[], directions: string[] }} world
   * @param {Route} route
   */
  constructor(place, model, world, route) {
    this.model = model;
    this.world = world;
    /** @type {Map<string, Line>} */
    this.lines = new Map();
    /** @type {Row[]} */
    this.order = [];
    this.shape = -1;
    this.sortedAt = 0;
    this.agedAt = 0;
    /** @type {Set<string>} */
    this.asked = new Set();
    this.changesAt = 0;
    this.from = 0;
    this.to = 0;
    this.query = route.query;
    this.search = el("input", {
      type: "search", id: "search", placeholder: "Search", autocomplete: "off", spellcheck: "false",
      "aria-label": "Search pairs and sources", "aria-keyshortcuts": "/",
      oninput: () => this.#go({ q: this.search.value }),
    });
    this.base = el("select", { id: "base", onchange: () => this.#go({ base: this.base.value }) },
      el("option", { value: "" }, "All"),
      ...this.world.bases.map((base) => el("option", { value: base }, base)));
    this.only = ["", "directions", "favourites"].map((name) =>
      el("button", { type: "button", "data-only": name, onclick: () => this.#go({ only: name }) },
        name ? name[0]?.toUpperCase() + name.slice(1) : "All"));
    const sorts = [["", "As listed"], ...COLUMNS.filter(([name]) => name)];
    this.sort = el("select", { id: "sort", onchange: () => this.#go({ sort: this.sort.value }) },
      ...sorts.map(([name = "", text = ""]) => el("option", { value: name }, text)));
    this.count = el("span", { class: "count" });
    this.heads = COLUMNS.map(([name = "", text = ""], place) => {
      const head = el("div", { role: "columnheader", class: `c${place}` });
      if (!name) head.append(text);
      else head.append(el("button", { type: "button", onclick: () => this.#turn(name) }, text, el("span", { class: "order", "aria-hidden": "true" })));
      return head;
    });
    this.body = el("div", { role: "rowgroup", class: "lines" });
    this.empty = el("p", { class: "empty", hidden: true });
    this.grid = el("div", { role: "table", class: "grid", "aria-label": "Rates" },
      el("div", { role: "rowgroup", class: "heads" },
        el("div", { role: "row", class: "line head" },
          el("div", { role: "columnheader", class: "star" }, spoken("Favourite")), ...this.heads)),
      this.body);
    place.replaceChildren(
      el("h1", { class: "hidden" }, "Rates"),
      el("div", { class: "toolbar" },
        el("div", { class: "search" }, this.search, el("kbd", { "aria-hidden": "true" }, "/")),
        el("label", { class: "pick" }, el("span", {}, "Base"), this.base),
        el("label", { class: "pick narrow" }, el("span", {}, "Sort"), this.sort),
        el("div", { class: "segments", role: "group", "aria-label": "Which rates" }, ...this.only),
        this.count),
      this.grid, this.empty);
    this.route(route);
    let isMoved = false;
    this.moved = () => {
      if (isMoved) return;
      isMoved = true;
      requestAnimationFrame(() => {
        isMoved = false;
        this.draw();
      });
    };
    addEventListener("scroll", this.moved, { passive: true });
    addEventListener("resize", this.moved, { passive: true });
  }

  title() {
    return "kurs";
  }

  close() {
    removeEventListener("scroll", this.moved);
    removeEventListener("resize", this.moved);
  }

  /** @param {Record<string, string>} changes */
  #go(changes) {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    history.replaceState(null, "", link("rates", "", query));
    dispatchEvent(new Event("hashchange"));
  }

  /** @param {string} name */
  #turn(name) {
    const at = this.query.get("sort") ?? "";
    this.#go({ sort: at === name ? `-${name}` : at === `-${name}` ? "" : name });
  }

  /** @param {Route} route */
  route({ query }) {
    this.query = query;
    const text = query.get("q") ?? "";
    if (this.search.value !== text) this.search.value = text;
    this.base.value = query.get("base") ?? "";
    const sort = query.get("sort") ?? "";
    this.sort.value = sort.replace("-", "");
    for (const button of this.only) {
      put(button, "aria-pressed", String(button.dataset.only === (query.get("only") ?? "")));
    }
    COLUMNS.forEach(([name], place) => {
      const head = this.heads[place];
      if (!head || !name) return;
      const way = sort === name ? "ascending" : sort === `-${name}` ? "descending" : null;
      put(head, "aria-sort", way);
    });
    this.shape = -1;
    this.draw();
  }

  /** Which rows, in which order. */
  #arrange() {
    const words = (this.query.get("q") ?? "").toUpperCase().split(/[\s/_-]+/).filter(Boolean);
    const base = this.query.get("base") ?? "";
    const only = this.query.get("only") ?? "";
    const chosen = [...this.model.rows.values()].filter((row) => {
      if (row.place < 0 || (base && row.base !== base)) return false;
      if (only === "favourites" && !isFavourite(row.pair)) return false;
      if (only === "directions" && !this.world.directions.includes(row.pair)) return false;
      const text = `${row.pair} ${row.rate?.source ?? ""}`.toUpperCase();
      return words.every((word) => text.includes(word));
    });
    const sort = this.query.get("sort") ?? "";
    const sign = sort.startsWith("-") ? -1 : 1;
    const key = this.#keyOf(sort.replace("-", ""));
    chosen.sort((a, b) => {
      if (key) {
        const [x, y] = [key(a), key(b)];
        // What is not known stands at the end either way.
        if (x !== y) return x === null ? 1 : y === null ? -1 : (x < y ? -1 : 1) * sign;
      } else {
        const stars = Number(isFavourite(b.pair)) - Number(isFavourite(a.pair));
        if (stars) return stars;
      }
      return a.place - b.place;
    });
    this.order = chosen;
    this.shape = this.model.shape;
    this.sortedAt = performance.now();
    write(this.count, `${chosen.length} rate${chosen.length === 1 ? "" : "s"}`);
    this.grid.setAttribute("aria-rowcount", String(chosen.length + 1));
    this.empty.hidden = chosen.length > 0;
    if (chosen.length === 0) {
      write(this.empty, this.model.rows.size === 0 ? "Waiting for the first rates …"
        : only === "favourites" ? "No favourites yet: mark some with the star, or with f."
        : "No rate matches. Esc clears the search.");
    }
  }

  /**
   * @param {string} name
   * @returns {((row: Row) => string | number | null) | null}
   */
  #keyOf(name) {
    const number = (/** @type {string | undefined} */ text) => (text === undefined ? null : Number(text));
    switch (name) {
      case "pair": return (row) => row.pair;
      case "rate": return (row) => (row.rate ? Number(row.rate.value) : null);
      case "h1": return (row) => number(this.model.changes.get(row.pair)?.change_1h_percent);
      case "d1": return (row) => number(this.model.changes.get(row.pair)?.change_24h_percent);
      case "source": return (row) => row.rate?.source ?? null;
      case "age": return (row) => (row.rate ? ageMs(row.rate) : null);
      default: return null;
    }
  }

  draw() {
    const time = performance.now();
    const isLive = /rate|h1|d1|age|source/.test(this.query.get("sort") ?? "");
    if (this.shape !== this.model.shape || (isLive && time - this.sortedAt > RESORT_MS)) this.#arrange();
    const height = innerWidth < 720 ? 64 : 44;
    const top = this.body.getBoundingClientRect().top;
    this.from = Math.max(0, Math.floor(-top / height) - SPARE);
    this.to = Math.min(this.order.length, Math.ceil((innerHeight - top) / height) + SPARE);
    const tall = `${this.order.length * height}px`;
    if (this.body.style.height !== tall) this.body.style.height = tall;

    const wanted = new Set();
    for (let at = this.from; at < this.to; at += 1) wanted.add(this.order[at]?.pair);
    /** @type {Line[]} */
    const free = [];
    for (const line of this.lines.values()) {
      if (wanted.has(line.pair)) continue;
      this.lines.delete(line.pair);
      free.push(line);
    }
    const ages = time - this.agedAt > 950;
    if (ages) this.agedAt = time;
    /** @type {Element | null} */
    let after = null;
    for (let at = this.from; at < this.to; at += 1) {
      const row = this.order[at];
      if (!row) continue;
      let line = this.lines.get(row.pair);
      if (!line) {
        line = free.pop() ?? this.#line();
        this.#assign(line, row);
        this.lines.set(row.pair, line);
        this.#fill(line, row);
      } else if (this.model.dirty.has(row.pair)) {
        this.#fill(line, row);
      } else if (ages) {
        this.#age(line, row);
      }
      const change = this.model.changes.get(row.pair);
      if (line.change !== change) this.#change(line, change);
      const place = `translateY(${at * height}px)`;
      if (line.root.style.transform !== place) {
        line.root.style.transform = place;
        line.root.setAttribute("aria-rowindex", String(at + 2));
      }
      /** @type {ChildNode | null} */
      const next = after ? after.nextSibling : this.body.firstChild;
      if (next !== line.root) this.body.insertBefore(line.root, next);
      after = line.root;
    }
    for (const line of free) line.root.remove();
    this.model.dirty.clear();
    this.#askChanges(time);
  }

  /** @returns {Line} */
  #line() {
    /** @type {Record<string, HTMLElement>} */
    const at = {};
    const span = (/** @type {string} */ name) => (at[name] = el("span", { class: name }));
    const spark = svg("path", { class: "spark-line" });
    at.star = el("button", { type: "button", class: "tool", onclick: () => this.#star(line.pair) });
    at.link = el("a", {}, span("of"), el("span", { class: "sep", "aria-hidden": "true" }, "/"), span("in"));
    at.source = el("button", { type: "button", class: "way", onclick: () => this.explain(line.pair) });
    at.rate = el("div", { role: "cell", class: "c1 value" }, span("arrow"), span("int"), span("frac"));
    at.arrow?.setAttribute("aria-hidden", "true");
    const root = el("div", { role: "row", class: "line" },
      el("div", { role: "cell", class: "star" }, at.star),
      el("div", { role: "cell", class: "c0" }, at.link, span("state")),
      at.rate,
      el("div", { role: "cell", class: "c2" }, span("bid"), span("ask")),
      el("div", { role: "cell", class: "c3" }, span("h1")),
      el("div", { role: "cell", class: "c4" }, span("d1")),
      el("div", { role: "cell", class: "c5" },
        svg("svg", { class: "spark", viewBox: "0 0 110 28", preserveAspectRatio: "none", "aria-hidden": "true" }, spark)),
      el("div", { role: "cell", class: "c6" }, at.source),
      el("div", { role: "cell", class: "c7" }, span("age"), span("oldest")));
    /** @type {Line} */
    const line = { root, pair: "", at, spark, flashes: 0, flashedAt: 0, source: "", change: undefined };
    return line;
  }

  /**
   * A line is for another row now.
   * @param {Line} line
   * @param {Row} row
   */
  #assign(line, row) {
    line.pair = row.pair;
    line.flashes = row.flashes;
    line.source = "";
    line.root.dataset.pair = row.pair;
    const { of, in: quote, link: anchor, star, rate } = line.at;
    if (of) write(of, row.base);
    if (quote) write(quote, row.quote);
    if (anchor) put(anchor, "href", link("pair", row.pair));
    if (star) showStar(star, row.pair);
    if (rate) put(rate, "data-flash", null);
    this.#change(line, this.model.changes.get(row.pair));
  }

  /**
   * @param {Line} line
   * @param {Row} row
   */
  #fill(line, row) {
    const { rate } = row;
    const { arrow, int, frac, bid, ask, rate: cell, source } = line.at;
    if (!arrow || !int || !frac || !bid || !ask || !cell || !source) return;
    if (!rate) {
      write(int, row.why ? "no rate" : "–");
      for (const node of [frac, bid, ask, arrow]) write(node, "");
      put(cell, "title", row.why || null);
    } else {
      const [front, back] = split(rate.value);
      write(int, front);
      write(frac, back);
      put(cell, "title", `${whole(rate.value)} ${row.quote}`);
      write(bid, rate.bid ? split(rate.bid).join("") : "–");
      write(ask, rate.ask ? split(rate.ask).join("") : "–");
      write(arrow, row.moved > 0 ? "▲" : row.moved < 0 ? "▼" : "");
      put(cell, "data-moved", row.moved > 0 ? "up" : row.moved < 0 ? "down" : null);
      const time = performance.now();
      if (line.flashes !== row.flashes && time - line.flashedAt > FLASH_EVERY_MS) {
        const turn = cell.dataset.flash?.endsWith("0") ? 1 : 0;
        cell.dataset.flash = `${row.moved > 0 ? "up" : "down"}${turn}`;
        line.flashedAt = time;
      } else if (cell.dataset.flash && row.moved !== 0 && cell.dataset.flash.startsWith("up") !== row.moved > 0) {
        // A tint that says the opposite by now.
        put(cell, "data-flash", null);
      }
      line.flashes = row.flashes;
    }
    const way = sourcesOf(rate);
    if (line.source !== way) {
      line.source = way;
      source.replaceChildren(spoken(`How ${row.pair} is made: `), el("span", { class: "names" }, way || "–"));
      source.title = rate ? `${rate.path.join(", ")} by ${way}` : "";
    }
    this.#age(line, row);
  }

  /**
   * @param {Line} line
   * @param {Row} row
   */
  #age(line, row) {
    const { age: main, oldest, state } = line.at;
    if (!main || !oldest || !state) return;
    const { rate } = row;
    const shown = rate ? stateOf(rate) : "none";
    put(line.root, "data-state", shown === "fresh" ? null : shown);
    write(state, shown === "fresh" ? "" : shown === "none" ? "no rate" : shown);
    write(main, rate ? age(ageMs(rate)) : "–");
    const isOlder = rate && oldestMs(rate) - ageMs(rate) > 60_000;
    write(oldest, isOlder ? `leg ${age(oldestMs(rate))}` : "");
  }

  /**
   * @param {Line} line
   * @param {import("./types").Change | undefined} change
   */
  #change(line, change) {
    line.change = change;
    for (const [node, text] of /** @type {const} */ ([
      [line.at.h1, change?.change_1h_percent],
      [line.at.d1, change?.change_24h_percent],
    ])) {
      if (!node) continue;
      showChange(node, text);
    }
    put(line.spark, "d", sparkline(change?.points ?? [], 110, 28));
  }

  /** @param {string} pair */
  #star(pair) {
    turnFavourite(pair);
    const star = this.lines.get(pair)?.at.star;
    if (star) showStar(star, pair);
    this.shape = -1;
    this.draw();
  }

  /** @param {string} pair */
  explain(pair) {
    const query = new URLSearchParams(this.query);
    query.set("explain", pair);
    location.hash = link("rates", "", query);
  }

  /**
   * Asks for the changes of what is in sight, each at most once a minute.
   * @param {number} time
   */
  async #askChanges(time) {
    if (time - this.changesAt < 300) return;
    const wanted = /h1|d1/.test(this.query.get("sort") ?? "") ? this.order : this.order.slice(this.from, this.to);
    const round = Math.floor(now() / CHANGES_MS);
    const pairs = wanted.map((row) => row.pair).filter((pair) => !this.asked.has(`${pair} ${round}`));
    if (pairs.length === 0) return;
    this.changesAt = time;
    const some = pairs.slice(0, CHANGES_MAX);
    if (this.asked.size > 4000) this.asked.clear();
    for (const pair of some) this.asked.add(`${pair} ${round}`);
    try {
      const { changes } = await request(`/api/v1/changes?pairs=${some.join(",")}`);
      for (const change of changes) this.model.changes.set(change.pair, change);
      if (/h1|d1/.test(this.query.get("sort") ?? "")) this.shape = -1;
    } catch {
      // The next minute asks again; until then there is a dash.
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const line = /** @type {HTMLElement | null} */ (document.activeElement?.closest("[data-pair]") ?? null);
    const pair = line?.dataset.pair;
    switch (event.key) {
      case "/":
        this.search.focus();
        this.search.select();
        return true;
      case "Escape":
        if (!this.search.value) return false;
        this.#go({ q: "" });
        return true;
      case "ArrowDown": case "j": return this.#step(pair, 1);
      case "ArrowUp": case "k": return this.#step(pair, -1);
      case "f":
        if (pair) this.#star(pair);
        return Boolean(pair);
      case "e":
        if (pair) this.explain(pair);
        return Boolean(pair);
      default:
        return false;
    }
  }

  /**
   * @param {string | undefined} pair
   * @param {number} by
   */
  #step(pair, by) {
    const at = pair === undefined ? -1 : this.order.findIndex((row) => row.pair === pair);
    const next = this.order[Math.max(0, at + by)];
    if (!next) return false;
    const height = innerWidth < 720 ? 64 : 44;
    const top = this.body.getBoundingClientRect().top + (Math.max(0, at + by)) * height;
    if (top < 120) scrollBy(0, top - 120);
    else if (top + height > innerHeight - 8) scrollBy(0, top + height - innerHeight + 8);
    this.draw();
    this.lines.get(next.pair)?.at.link?.focus({ preventScroll: true });
    return true;
  }
}
