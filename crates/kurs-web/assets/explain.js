// The drawer that shows how a rate is made: its path, each leg's source and age, and what every
// other source says.

import { request } from "./api.js";
import { el, mark, put, spoken, write } from "./dom.js";
import { stateOf } from "./model.js";
import { distance, shown, whole } from "./number.js";
import { age, clock, humane, now } from "./time.js";

/** @typedef {import("./model").Model} Model */
/** @typedef {import("./types").Explained} Explained */
/** @typedef {import("./types").Constituent} Constituent */

const AGAIN_MS = 1500;

export class Drawer {
  /**
   * @param {HTMLElement} place
   * @param {Model} model
   * @param {string} pair
   * @param {() => boolean} isPaused
   * @param {() => void} done
   */
  constructor(place, model, pair, isPaused, done) {
    this.place = place;
    this.model = model;
    this.pair = pair;
    this.isPaused = isPaused;
    this.done = done;
    this.shape = "";
    const close = el("button", { type: "button", class: "tool", onclick: done }, mark("close"), spoken("Close"));
    this.body = el("div", { class: "drawer-body" }, el("p", { class: "soft" }, "Asking …"));
    place.replaceChildren(
      el("header", {},
        el("div", {}, el("p", { class: "over" }, "How this rate is made"), el("h2", {}, pair.replace("-", " / "))),
        close),
      this.body);
    close.focus({ preventScroll: true });
    this.timer = setInterval(() => this.#ask(), AGAIN_MS);
    this.#ask();
  }

  close() {
    clearInterval(this.timer);
    this.place.replaceChildren();
  }

  async #ask() {
    if (this.shape && (this.isPaused() || document.hidden)) return;
    try {
      const path = this.pair.replace("-", "/");
      this.#show(await request(`/api/v1/rates/${path}?explain=true&allow_stale=true`));
    } catch (error) {
      if (this.shape) return;
      this.body.replaceChildren(el("p", { class: "soft" }, error instanceof Error ? error.message : "no answer"));
    }
  }

  /** @param {Explained} rate */
  #show(rate) {
    const drawing = explained(rate);
    // What is open or scrolled stays so: the same elements get new texts where they are the same.
    if (drawing.shape === this.shape) same(this.body, drawing.node);
    else this.body.replaceChildren(...drawing.node.childNodes);
    this.shape = drawing.shape;
  }
}

/**
 * Takes over the texts and attributes of a tree of the same shape.
 * @param {Element} old
 * @param {Element} fresh
 */
function same(old, fresh) {
  for (const { name, value } of fresh.attributes) put(old, name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "class") old.removeAttribute(name);
  const [mine, theirs] = [[...old.childNodes], [...fresh.childNodes]];
  if (mine.length !== theirs.length) {
    old.replaceChildren(...theirs);
    return;
  }
  mine.forEach((node, at) => {
    const other = theirs[at];
    if (!other) return;
    if (node instanceof Element && other instanceof Element && node.tagName === other.tagName) same(node, other);
    else if (node.nodeType === Node.TEXT_NODE && other.nodeType === Node.TEXT_NODE) write(node, other.textContent ?? "");
    else node.replaceWith(other);
  });
}

/**
 * @param {Explained} rate
 * @returns {{ shape: string, node: HTMLElement }}
 */
function explained(rate) {
  const state = stateOf(rate);
  const legs = rate.legs?.length ? rate.legs : [{
    pair: rate.path[0] ?? rate.pair, source: rate.source, value: rate.value, inverted: false,
    observed_at: rate.observed_at, expires_at: rate.expires_at,
  }];
  const [base = "", quote = ""] = rate.pair.split("-");
  const node = el("div", { class: "drawer-body" });
  node.append(
    el("p", { class: "result", "data-state": state },
      el("span", { class: "big" }, whole(rate.value)), " ", el("span", { class: "unit" }, quote)),
    el("p", { class: "facts" }, badge(state),
      rate.reason ? ` ${humane(rate.reason)}.` : ""));
  if (rate.depeg) {
    for (const depeg of rate.depeg) {
      node.append(el("p", { class: "note" }, `${depeg.pair} stands at ${depeg.value}: ${depeg.percent} % off its dollar.`));
    }
  }

  const steps = el("ol", { class: "steps" });
  let at = base;
  legs.forEach((leg, number) => {
    const [of = "", against = ""] = leg.pair.split("-");
    const from = number === 0 ? base : at;
    const to = number === legs.length - 1 ? quote : leg.inverted ? of : against;
    at = to;
    const observed = now() - Date.parse(leg.observed_at);
    steps.append(el("li", { class: "asset" }, el("span", { class: "knot", "aria-hidden": "true" }), el("b", {}, from)));
    const others = (rate.constituents ?? []).filter((one) => one.pair === leg.pair);
    steps.append(el("li", { class: "leg" },
      el("div", { class: "leg-head" },
        el("span", { class: "leg-pair" }, leg.pair),
        el("span", { class: "leg-value" }, leg.inverted ? "1 ÷ " : number > 0 ? "× " : "", whole(leg.value))),
      el("p", { class: "leg-facts" },
        el("span", { class: "source" }, leg.source), " · ",
        `${age(observed)} old`, " · ",
        Date.parse(leg.expires_at) < now() ? el("b", { class: "bad" }, "run out") : `good for ${age(Date.parse(leg.expires_at) - now())}`),
      sayings(others, leg.value)));
  });
  steps.append(el("li", { class: "asset" }, el("span", { class: "knot end", "aria-hidden": "true" }), el("b", {}, quote),
    el("span", { class: "product" }, `= ${whole(rate.value)}`)));
  node.append(el("h3", {}, legs.length > 1 ? `The path: ${legs.length} markets` : "The market"), steps);

  const rejections = rate.rejections ?? [];
  node.append(el("h3", {}, "Rejected"));
  if (rejections.length === 0) {
    node.append(el("p", { class: "soft" }, "Nothing: no better source was passed over."));
  } else {
    node.append(el("ul", { class: "rejected" }, ...rejections.map((one) =>
      el("li", {}, badge(one.state), el("span", { class: "source" }, one.source), el("span", { class: "soft" }, one.why)))));
  }
  const evidence = evidenceOf(rate);
  if (evidence) node.append(el("h3", {}, "Policy"), evidence);
  node.append(el("h3", {}, "The answer"), el("dl", { class: "list" },
    ...pairs([
      ["Bid, ask", rate.bid && rate.ask ? `${whole(rate.bid)}, ${whole(rate.ask)}` : "not known on every leg"],
      ["Confidence", rate.confidence ? `± ${shown(rate.confidence)} ${quote}` : "not known"],
      ["Oldest leg", `${age(rate.age_ms ?? now() - Date.parse(rate.observed_at))} old`],
      ["Published", clock(Date.parse(rate.published_at))],
      ["Update", `${rate.epoch}-${rate.seq}`],
    ])));
  const shape = [rate.path.join(), rate.legs?.map((leg) => leg.source).join(), rejections.length, rate.constituents?.length, Boolean(evidence)].join(" ");
  return { shape, node };
}

/**
 * What every source says about one market.
 * @param {Constituent[]} all
 * @param {string} used the price in use
 */
export function sayings(all, used) {
  if (all.length === 0) return el("p", { class: "soft small" }, "No other source is asked.");
  return el("table", { class: "sayings" },
    el("thead", {}, el("tr", {}, ...["Source", "Price", "Off by", "Age"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...all.map((one) => el("tr", { "data-used": one.used ? "yes" : false, "data-state": one.state === "live" ? false : one.state },
      el("th", { scope: "row" }, one.used ? el("span", { class: "tick" }, "✓", spoken(" in use")) : null, one.source,
        one.state === "live" ? null : el("small", { class: "why" }, `${one.state}${one.why ? `: ${humane(one.why)}` : ""}`)),
      el("td", {}, whole(one.value)),
      el("td", {}, one.used ? "–" : distance(one.value, used)),
      el("td", {}, age(one.age_ms))))));
}

/** @param {Explained} rate */
function evidenceOf(rate) {
  const evidence = /** @type {any} */ (rate).evidence;
  if (!evidence) return null;
  const node = el("div", {});
  node.append(el("dl", { class: "list" }, ...pairs([
    ["Policy", evidence.policy], ["Price", evidence.price], ["Rule", evidence.rule], ["In numbers", evidence.evaluated],
    ["Limit of the gate", evidence.gate?.limit],
  ])));
  const out = (evidence.constituents ?? []).filter((/** @type {any} */ one) => !one.used);
  if (out.length > 0) {
    node.append(el("ul", { class: "rejected" }, ...out.map((/** @type {any} */ one) =>
      el("li", {}, el("span", { class: "source" }, one.source), ` ${one.value} `, el("span", { class: "soft" }, one.why ?? "not used")))));
  }
  for (const note of evidence.notes ?? []) node.append(el("p", { class: "note" }, note));
  return node;
}

/** @param {[string, string | undefined | null][]} entries */
export function pairs(entries) {
  return entries.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]);
}

/** Mark and word of a state; the colour only repeats them. @param {string} state @param {string} [word] */
export function badge(state, word = state) {
  const good = state === "fresh" || state === "live";
  return el("span", { class: "badge", "data-state": state }, el("span", { "aria-hidden": "true" }, good ? "● " : "▲ "), word);
}
