// The address of what is shown. It lives behind the `#`, so it never travels to the server.

/** @typedef {import("./types").Route} Route */

const VIEWS = ["rates", "pair", "sources", "convert", "alerts"];

/** @returns {Route} */
export function current() {
  const [path = "", text = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [first = "", pair = ""] = path.split("/").map(decodeURIComponent);
  const name = VIEWS.includes(first) ? first : "rates";
  return { name, pair: pair.toUpperCase(), query: new URLSearchParams(text) };
}

/**
 * @param {string} name
 * @param {string} [pair]
 * @param {URLSearchParams} [query]
 */
export function link(name, pair = "", query = new URLSearchParams()) {
  const path = name === "rates" ? "" : pair ? `${name}/${encodeURIComponent(pair)}` : name;
  const text = query.toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}
