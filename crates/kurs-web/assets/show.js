// How parts of a rate are shown wherever they are.

import { mark, put, spoken, write } from "./dom.js";
import { direction, percent } from "./number.js";
import { isFavourite } from "./settings.js";

/**
 * Names of the sources on the path, the mark of simulated ones once in front.
 * @param {import("./types").Rate | null} rate
 */
export function sourcesOf(rate) {
  if (!rate) return "";
  const all = rate.legs?.length ? rate.legs.map((leg) => leg.source) : [rate.source];
  if (rate.legs?.length && all[0] !== rate.source) all.unshift(rate.source);
  const names = all.filter((name, at) => name !== all[at - 1]);
  return names.map((name, at) => (at > 0 ? name.replace("sim:", "") : name)).join(" → ");
}

/**
 * @param {HTMLElement} node
 * @param {string | undefined} text
 */
export function showChange(node, text) {
  const way = text === undefined ? 0 : direction(text);
  write(node, text === undefined ? "–" : `${way > 0 ? "▲ " : way < 0 ? "▼ " : ""}${percent(text)}`);
  put(node, "data-way", way > 0 ? "up" : way < 0 ? "down" : null);
  put(node, "title", text === undefined ? "not known: the history is too short" : null);
}

/**
 * @param {HTMLElement} button
 * @param {string} pair
 */
export function showStar(button, pair) {
  const on = isFavourite(pair);
  put(button, "aria-pressed", String(on));
  button.replaceChildren(mark(on ? "starred" : "star"), spoken(`Favourite ${pair}`));
}

/**
 * The outline of some prices, as the `d` of a path.
 * @param {string[]} points
 * @param {number} width
 * @param {number} height
 */
export function sparkline(points, width, height) {
  if (points.length < 2) return "";
  const values = points.map(Number);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const span = most - least;
  return values.map((value, at) => {
    const x = 2 + (at / (values.length - 1)) * (width - 4);
    const y = span === 0 ? height / 2 : height - 3 - ((value - least) / span) * (height - 6);
    return `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}
