// What travels on streams and brokers, by /asyncapi.json.

import { make, words } from "./elements.js";

/**
 * The part of a document that a reference names.
 * @param {any} document
 * @param {any} value
 */
function resolve(document, value) {
  const path = value?.$ref;
  if (!path) return value;
  return path.slice(2).split("/").reduce((/** @type {any} */ part, /** @type {string} */ name) => part?.[name], document);
}

/**
 * One message: what it says, and its schema.
 * @param {any} document
 * @param {any} message
 */
function shown(document, message) {
  const details = make("details", {}, make("summary", {},
    make("span", { class: "path" }, message.name), " ", make("span", { class: "words" }, ...words(message.summary ?? ""))));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const schema = resolve(document, message.payload);
    details.append(make("div", { class: "inside" }, make("pre", { tabindex: "0", "aria-label": "Schema" }, JSON.stringify(schema, null, 2))));
  });
  return details;
}

/**
 * All channels, those for clients first.
 * @param {any} document
 */
export function channels(document) {
  const all = Object.entries(document.channels);
  const isStream = (/** @type {any} */ channel) => channel.address?.startsWith("/");
  all.sort(([, one], [, other]) => Number(isStream(other)) - Number(isStream(one)));
  return all.map(([name, channel]) => {
    const details = make("details", { id: `channel-${name}` }, make("summary", {},
      make("span", { class: "method" }, isStream(channel) ? "STREAM" : "BROKER"),
      make("span", { class: "path" }, channel.address ?? "(named in the command)")));
    details.addEventListener("toggle", () => {
      if (details.childElementCount > 1) return;
      const messages = Object.values(channel.messages ?? {}).map((message) => shown(document, resolve(document, message)));
      details.append(make("div", { class: "inside" }, make("p", { class: "rules" }, ...words(channel.description ?? "")), ...messages));
    });
    return details;
  });
}
