// The API browser: reads /openapi.json and /asyncapi.json, shows every operation and message, and
// lets one call the server. No library, nothing from other hosts: it works wherever the server does.

import { find, make, words } from "./elements.js";
import { channels } from "./messages.js";
import { caller } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/**
 * One operation.
 * @param {string} path
 * @param {string} method
 * @param {any} operation
 */
function card(path, method, operation) {
  const details = make("details", { id: operation.operationId, class: operation.deprecated ? "deprecated" : "" });
  details.append(make("summary", {},
    make("span", { class: "method" }, method.toUpperCase()), make("span", { class: "path" }, path), " ",
    make("span", { class: "words" }, operation.summary)));
  details.dataset.words = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  // Filled when it is opened first: the page stays light however long the API grows.
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const answers = make("table", {}, ...Object.entries(operation.responses).map(([status, response]) =>
      make("tr", {}, make("th", { scope: "row" }, status), make("td", {}, ...words(/** @type {any} */ (response).description)))));
    details.append(make("div", { class: "inside" },
      make("p", {}, ...words(operation.description ?? "")), caller(path, method, operation),
      make("details", {}, make("summary", {}, "Answers"), make("div", { class: "inside" }, answers))));
  });
  return details;
}

/** @param {any} api */
function show(api) {
  find("version").textContent = api.info.version;
  find("about").replaceChildren(...words(api.info.description));
  /** @type {Map<string, HTMLElement>} */
  const sections = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? "other";
      if (!sections.has(tag)) sections.set(tag, make("section", { "data-tag": tag }, make("h2", {}, tag)));
      sections.get(tag)?.append(card(path, method, operation));
    }
  }
  const order = ["rates", "streams", "history", "tracking", "sources", "alerts", "admin", "operations", "documentation"];
  const known = [...sections].sort(([one], [other]) => (order.indexOf(one) + 99) % 99 - (order.indexOf(other) + 99) % 99);
  find("operations").replaceChildren(...known.map(([, section]) => section));
  filter();
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted instanceof HTMLDetailsElement) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

function filter() {
  const sought = /** @type {HTMLInputElement} */ (find("filter")).value.toLowerCase().split(/\s+/).filter(Boolean);
  const aliases = /** @type {HTMLInputElement} */ (find("aliases")).checked;
  let count = 0;
  for (const section of /** @type {NodeListOf<HTMLElement>} */ (find("operations").querySelectorAll("section[data-tag]"))) {
    let any = false;
    for (const details of /** @type {NodeListOf<HTMLElement>} */ (section.querySelectorAll(":scope > details"))) {
      const hit = sought.every((word) => details.dataset.words?.includes(word));
      details.hidden = !hit || (section.dataset.tag === "aliases" && !aliases);
      if (!details.hidden) {
        any = true;
        count += 1;
      }
    }
    section.hidden = !any;
  }
  find("status").textContent = `${count} operations`;
}

find("filter").addEventListener("input", filter);
find("aliases").addEventListener("change", filter);
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    find("filter").focus();
  }
});

/** @param {string} path */
async function read(path) {
  try {
    const reply = await fetch(path);
    if (!reply.ok) throw new Error(`${reply.status}`);
    return await reply.json();
  } catch (error) {
    find("status").textContent = `${path} cannot be read: ${error}`;
    return null;
  }
}

const [api, messages] = await Promise.all([read("/openapi.json"), read("/asyncapi.json")]);
if (messages) find("messages").replaceChildren(...channels(messages));
if (api) show(api);
