// The converter. The server multiplies: its decimals are exact.

import { request } from "./api.js";
import { el, mark, put, spoken, write } from "./dom.js";
import { badge } from "./explain.js";
import { stateOf } from "./model.js";
import { whole } from "./number.js";
import { link } from "./route.js";
import { sourcesOf } from "./show.js";
import { since } from "./time.js";

/** @typedef {import("./model").Model} Model */
/** @typedef {import("./types").Route} Route */

const AGAIN_MS = 1000;
const WAIT_MS = 150;

export class ConvertView {
  /**
   * @param {HTMLElement} place
   * @param {Model} model
   * @param {{ published: string[], directions: string[] }} world
   * @param {Route} route
   */
  constructor(place, model, world, route) {
    this.model = model;
    this.askedAt = 0;
    this.turn = 0;
    this.drawn = "";
    const assets = new Set([...world.directions, ...world.published].flatMap((pair) => pair.split("-")));
    const list = el("datalist", { id: "assets" }, ...[...assets].sort().map((name) => el("option", { value: name })));
    const asset = (/** @type {string} */ id, /** @type {string} */ name) => el("input", {
      id, name, list: "assets", autocomplete: "off", spellcheck: "false", maxlength: 16, oninput: () => this.#changed() });
    this.amount = el("input", { id: "amount", inputmode: "decimal", autocomplete: "off", maxlength: 28, oninput: () => this.#changed() });
    this.from = asset("from", "from");
    this.to = asset("to", "to");
    this.result = el("output", { class: "result", for: "amount from to" });
    this.about = el("div", { class: "facts" });
    place.replaceChildren(
      el("h1", {}, "Convert"),
      el("div", { class: "card convert" }, list,
        el("div", { class: "fields" },
          el("label", { class: "field" }, el("span", {}, "Amount"), this.amount),
          el("label", { class: "field" }, el("span", {}, "From"), this.from),
          el("button", { type: "button", class: "tool swap", onclick: () => this.#swap() }, mark("swap", 18), spoken("Swap from and to")),
          el("label", { class: "field" }, el("span", {}, "To"), this.to)),
        this.result, this.about));
    this.route(route);
  }

  title() {
    return "Convert: kurs";
  }

  close() {
    clearTimeout(this.timer);
    this.turn += 1;
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /** @param {Route} route */
  route({ query }) {
    if (document.activeElement === this.amount || document.activeElement === this.from || document.activeElement === this.to) return;
    this.amount.value = query.get("amount") ?? "1";
    this.from.value = query.get("from") ?? "BTC";
    this.to.value = query.get("to") ?? "USD";
    this.#ask();
  }

  #changed() {
    const query = new URLSearchParams({ amount: this.amount.value, from: this.from.value, to: this.to.value });
    history.replaceState(null, "", link("convert", "", query));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), WAIT_MS);
  }

  #swap() {
    [this.from.value, this.to.value] = [this.to.value, this.from.value];
    this.#changed();
  }

  draw() {
    if (performance.now() - this.askedAt > AGAIN_MS) this.#ask();
  }

  async #ask() {
    this.askedAt = performance.now();
    this.turn += 1;
    const turn = this.turn;
    const amount = this.amount.value.replace(/[\s,_]/g, "");
    const [from, to] = [this.from.value.trim().toUpperCase(), this.to.value.trim().toUpperCase()];
    put(this.amount, "aria-invalid", /^\d+(\.\d+)?$/.test(amount) ? null : "true");
    const asset = /^[A-Z0-9]{1,16}$/;
    if (!/^\d+(\.\d+)?$/.test(amount)) return this.#say("Write the amount as a number, such as 0.25.");
    if (!asset.test(from) || !asset.test(to)) return this.#say("Name two assets, such as BTC and RUB.");
    try {
      const rate = await request(`/api/v1/rates/${from}/${to}?amount=${amount}&allow_stale=true`);
      if (turn !== this.turn) return;
      this.result.replaceChildren(el("span", { class: "big" }, whole(rate.result)), " ", el("span", { class: "unit" }, to));
      const state = stateOf(rate);
      put(this.result, "data-state", state === "fresh" ? null : state);
      const key = `${state} ${rate.pair} ${rate.source}`;
      if (this.drawn !== key) {
        this.drawn = key;
        this.about.replaceChildren(badge(state), el("span"), el("span"),
          el("a", { href: `${link("pair", rate.pair)}` }, "Chart and sources"),
          el("a", { href: link("convert", "", new URLSearchParams({ amount, from, to, explain: rate.pair })) }, "How it is made"));
      }
      const [, one, two] = this.about.children;
      if (one) write(one, `1 ${from} = ${whole(rate.value)} ${to}`);
      if (two) write(two, `${sourcesOf(rate)}, ${since(rate.published_at)}`);
    } catch (error) {
      if (turn === this.turn) this.#say(error instanceof Error ? `${error.message}.` : "No answer.");
    }
  }

  /** @param {string} text */
  #say(text) {
    this.drawn = "";
    this.result.replaceChildren(el("span", { class: "soft" }, text));
    this.about.replaceChildren();
  }
}
