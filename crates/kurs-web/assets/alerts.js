// What is watched, and who is told. Needs the scope admin, like the routes behind it.

import { askForKey, Refused, request } from "./api.js";
import { el, put, write } from "./dom.js";
import { badge } from "./explain.js";
import { age, clock, day, since } from "./time.js";

/** @typedef {import("./types").Alert} Alert */
/** @typedef {import("./types").Delivery} Delivery */
/** @typedef {import("./types").Route} Route */

const PATH = "/api/v1/alerts";
const AGAIN_MS = 3000;
const TOLD = 10;

/** What can be watched: its name here, and the fields it takes. @type {Record<string, [string, ...string[]]>} */
const KINDS = {
  threshold: ["A rate passes a value", "pair", "side", "value"],
  percent: ["A rate moves", "pair", "percent", "window_seconds"],
  freeze: ["A rate is not fresh", "pair", "after_seconds"],
  source_loss: ["A source is lost", "source", "after_seconds"],
  depeg: ["A coin leaves its dollar", "asset", "percent"],
};
/** A field: its label, what it begins with, the list it draws on. @type {Record<string, [string, string, string?]>} */
const FIELDS = {
  pair: ["Pair", "BTC-USD", "pairs"],
  value: ["Value", ""],
  percent: ["Percent", "2"],
  window_seconds: ["Within seconds", "3600"],
  after_seconds: ["For seconds", "30"],
  source: ["Source", "", "names"],
  asset: ["Coin", "USDT"],
};

export class AlertsView {
  /**
   * @param {HTMLElement} place
   * @param {import("./model").Model} model
   * @param {{ published: string[], directions: string[] }} world
   * @param {Route} route
   */
  constructor(place, model, world, route) {
    this.askedAt = 0;
    this.isClosed = false;
    this.idempotencyKey = "";
    this.open = "";
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    const pairs = [...new Set([...world.directions, ...world.published])].sort();
    const options = (/** @type {string} */ id, /** @type {string[]} */ all) => el("datalist", { id }, ...all.map((value) => el("option", { value })));
    const choice = (/** @type {string} */ name, /** @type {[string, string][]} */ all) => el("select", { name, onchange: () => this.#shape() },
      ...all.map(([value, text]) => el("option", { value }, text)));
    const input = (/** @type {string} */ name, /** @type {string} */ value, /** @type {string} */ list = "") => el("input", {
      name, value, autocomplete: "off", spellcheck: "false", maxlength: 2000, ...(list ? { list } : {}) });
    const field = (/** @type {string} */ text, /** @type {HTMLElement & { name: string }} */ node) => el("label", { class: "field", "data-field": node.name }, el("span", {}, text), node);
    this.said = el("p", { role: "status" });
    this.form = el("form", { oninput: () => (this.idempotencyKey = ""), onsubmit: (event) => { event.preventDefault(); this.#make(); } },
      options("pairs", pairs), options("names", [...model.sources.keys()].sort()),
      el("div", { class: "fields" },
        field("Watch for", choice("kind", Object.entries(KINDS).map(([kind, [text]]) => [kind, text]))),
        ...Object.entries(FIELDS).map(([name, [text, value, list]]) => field(text, input(name, value, list))),
        field("Side", choice("side", [["above", "above"], ["below", "below"]])),
        field("Tell", choice("target", [["webhook", "a webhook"], ["telegram", "a Telegram chat"]])),
        field("Address, https", input("url", "")), field("Number of the chat", input("chat", "")),
        field("Name (optional)", input("name", ""))),
      el("button", { class: "primary" }, "Watch"), this.said);
    this.body = el("tbody");
    this.none = el("p", { class: "soft" }, "…");
    this.list = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All alerts" },
      el("table", { class: "health alerts" },
        el("thead", {}, el("tr", {}, ...["Watched", "Who is told", "State", "Fired", ""].map((text) => el("th", { scope: "col" }, text || el("span", { class: "hidden" }, "Actions"))))),
        this.body));
    this.told = el("div", { class: "card", hidden: true });
    place.replaceChildren(el("h1", {}, "Alerts"),
      el("div", { class: "card" }, el("div", { class: "card-head" }, el("h2", {}, "New alert")), this.form),
      el("div", { class: "card" }, this.none, this.list), this.told);
    this.route(route);
  }

  title() {
    return "Alerts: kurs";
  }

  close() {
    this.isClosed = true;
  }

  /** @param {Route} route */
  route({ query }) {
    for (const name of ["kind", "pair", "source", "value"]) if (query.has(name)) this.#field(name).value = query.get(name) ?? "";
    this.#shape();
  }

  draw() {
    if (performance.now() - this.askedAt > AGAIN_MS) this.#ask();
  }

  /** @param {string} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  /** The fields that this kind and this target take. */
  #shape() {
    const fields = KINDS[this.#field("kind").value] ?? [];
    const place = this.#field("target").value === "webhook" ? "url" : "chat";
    for (const label of this.form.querySelectorAll("[data-field]")) {
      const { field = "" } = /** @type {HTMLElement} */ (label).dataset;
      /** @type {HTMLElement} */ (label).hidden = !["kind", "target", place, "name", ...fields].includes(field);
    }
  }

  async #make() {
    const text = (/** @type {string} */ name) => this.#field(name).value.trim();
    const [, ...names] = KINDS[text("kind")] ?? [""];
    const number = (/** @type {string} */ name) => (/^-?\d+$/.test(text(name)) ? Number(text(name)) : text(name));
    const condition = Object.fromEntries(names.filter((name) => text(name)).map((name) => [name, name.endsWith("_seconds") ? number(name) : text(name)]));
    const kind = text("target");
    const target = kind === "webhook" ? { kind, url: text("url") } : { kind, chat: number("chat") };
    // The same press of the button twice is one alert.
    this.idempotencyKey ||= crypto.getRandomValues(new Uint32Array(4)).join("-");
    await this.#try(async () => {
      const made = await request(PATH, {
        method: "POST", headers: { "Idempotency-Key": this.idempotencyKey },
        body: JSON.stringify({ target, condition: { kind: text("kind"), ...condition }, ...(text("name") ? { name: text("name") } : {}) }),
      }, false);
      this.idempotencyKey = "";
      this.said.replaceChildren("It is watched.", ...(made.secret
        ? [" What is told is signed with ", el("code", {}, made.secret), " Keep it now: it is not shown again."] : []));
      await this.#ask();
    });
  }

  /**
   * Does something, and says what was wrong with it.
   * @param {() => Promise<void>} what
   */
  async #try(what) {
    try {
      write(this.said, "");
      await what();
    } catch (error) {
      this.said.replaceChildren(el("span", { class: "bad" }, error instanceof Error ? error.message : "No answer"));
    }
  }

  async #ask() {
    this.askedAt = performance.now();
    try {
      const { alerts } = await request(PATH, {}, false);
      if (this.isClosed) return;
      this.#table(alerts);
      if (this.open) this.#deliveries((await request(`${PATH}/${this.open}/deliveries?limit=${TOLD}`, {}, false)).deliveries);
    } catch (error) {
      const isClosed = error instanceof Refused && (error.status === 401 || error.status === 403);
      this.list.hidden = isClosed || this.rows.size === 0;
      this.none.hidden = false;
      if (!isClosed) write(this.none, `Alerts cannot be read: ${error instanceof Error ? error.message : "no answer"}.`);
      else if (!this.none.querySelector("button")) {
        this.none.replaceChildren("Alerts need a key with the scope admin. ", el("button", { type: "button", class: "primary", onclick: askForKey }, "Enter a key"));
      }
    }
  }

  /** @param {Alert[]} alerts */
  #table(alerts) {
    const here = new Set(alerts.map((alert) => alert.id));
    for (const [id, row] of this.rows) {
      if (here.has(id)) continue;
      row.node.remove();
      this.rows.delete(id);
      if (this.open === id) this.#show("");
    }
    for (const alert of alerts) {
      let row = this.rows.get(alert.id);
      if (!row) {
        row = new Row(this, alert);
        this.rows.set(alert.id, row);
        this.body.prepend(row.node);
      }
      row.draw(alert);
    }
    this.list.hidden = alerts.length === 0;
    this.none.hidden = alerts.length > 0;
    write(this.none, "Nothing is watched yet.");
  }

  /** @param {string} id */
  #show(id) {
    this.open = id;
    this.told.hidden = !id;
    this.told.replaceChildren();
    for (const row of this.rows.values()) put(row.toldButton, "aria-pressed", String(row.id === id));
  }

  /** @param {Delivery[]} deliveries */
  #deliveries(deliveries) {
    this.told.replaceChildren(el("h2", {}, "What was told"), el("ol", { class: "events" }, ...deliveries.map(({ created_at, state, attempts, error, message }) => {
      const at = Date.parse(created_at);
      const how = `${state}${attempts > 1 ? ` after ${attempts} attempts` : ""}${error ? `: ${error}` : ""}`;
      return el("li", {}, el("time", {}, `${day(at)} ${clock(at)}`), el("span", {}, message.text, el("small", { class: "soft" }, ` ${how}`)));
    })), ...(deliveries.length ? [] : [el("p", { class: "soft" }, "Nothing yet.")]));
  }

  /**
   * Something done to one alert.
   * @param {string} id
   * @param {"pause" | "test" | "told" | "remove"} what
   * @param {boolean} isPaused
   */
  act(id, what, isPaused) {
    const path = `${PATH}/${id}`;
    return this.#try(async () => {
      if (what === "told") this.#show(this.open === id ? "" : id);
      else if (what === "pause") await request(path, { method: "PATCH", body: JSON.stringify({ is_paused: !isPaused }) }, false);
      else if (what === "test") {
        await request(`${path}/test`, { method: "POST" }, false);
        this.#show(id);
      } else await request(path, { method: "DELETE" }, false);
      await this.#ask();
    });
  }
}

/** The line of one alert; it stays the same element, so a button keeps its focus. */
class Row {
  /**
   * @param {AlertsView} view
   * @param {Alert} alert
   */
  constructor(view, alert) {
    this.id = alert.id;
    this.isPaused = false;
    const button = (/** @type {string} */ text, /** @type {"pause" | "test" | "told" | "remove"} */ what) => el("button", {
      type: "button", onclick: () => view.act(this.id, what, this.isPaused) }, text);
    this.pauseButton = button("Pause", "pause");
    this.toldButton = button("Told", "told");
    let isAsked = false;
    // Asks once more, on the button itself.
    const remove = el("button", { type: "button", onclick: (event) => {
      // The second half of a double click is no answer.
      if (/** @type {MouseEvent} */ (event).detail > 1) return;
      if (isAsked) view.act(this.id, "remove", this.isPaused);
      isAsked = true;
      write(remove, "Remove it?");
    }, onblur: () => { isAsked = false; write(remove, "Remove"); } }, "Remove");
    this.head = el("th", { scope: "row" });
    this.cells = [el("td"), el("td"), el("td")];
    this.node = el("tr", {}, this.head, ...this.cells, el("td", {}, el("span", { class: "segments" }, this.toldButton, this.pauseButton, button("Try", "test"), remove)));
  }

  /** @param {Alert} alert */
  draw(alert) {
    const { name, target, is_paused, is_armed, fired, fired_at } = alert;
    const [told, state, times] = this.cells;
    const text = sentence(alert.condition);
    const key = `${name} ${text} ${is_paused} ${is_armed}`;
    if (this.node.dataset.key !== key) {
      this.node.dataset.key = key;
      this.isPaused = is_paused;
      this.head.replaceChildren(name ?? text, ...(name ? [el("small", {}, text)] : []));
      state?.replaceChildren(is_paused ? el("span", { class: "soft" }, "paused") : is_armed ? badge("live", "watching") : badge("fired"));
      write(this.pauseButton, is_paused ? "Go on" : "Pause");
    }
    if (told) write(told, target.kind === "webhook" ? target.url : `chat ${target.chat}`);
    if (times) write(times, fired ? `${fired} ×, ${since(fired_at)} ago` : "never");
  }
}

/**
 * A condition in words.
 * @param {Alert["condition"]} condition
 */
function sentence(condition) {
  const lasting = (/** @type {number | null | undefined} */ seconds) => age((seconds ?? 0) * 1000);
  switch (condition.kind) {
    case "threshold": return `${condition.pair} ${condition.side} ${condition.value}`;
    case "percent": return `${condition.pair} moves ${condition.percent} %${condition.window_seconds ? ` within ${lasting(condition.window_seconds)}` : ""}`;
    case "freeze": return `${condition.pair} not fresh for ${lasting(condition.after_seconds)}`;
    case "source_loss": return `${condition.source} lost for ${lasting(condition.after_seconds)}`;
    case "depeg": return `${condition.asset} ${condition.percent} % off its dollar`;
    default: return "";
  }
}
