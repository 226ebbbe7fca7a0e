// Calls the server as its reader asks, and shows what it says: at once, or as it comes.

import { find, indent, make, words } from "./elements.js";
import { converse, listen } from "./streams.js";

/** Values that make the first try a success. */
const EXAMPLES = {
  base: "BTC", quote: "USD", symbol: "BTCUSDT", pairs: "BTC-USD,ETH-USD", currency_pair: "bitcoin-usd",
};

/** The pattern of a text that only must not be empty. */
const ANYTHING = "^[\\s\\S]+$";

let counter = 0;

/**
 * The field of one parameter.
 * @param {any} parameter
 * @returns {{row: HTMLElement, input: HTMLInputElement|HTMLSelectElement}}
 */
function field(parameter) {
  const id = `field-${(counter += 1)}`;
  const schema = parameter.schema ?? {};
  const facts = [parameter.description];
  const pattern = schema.pattern ?? schema.items?.pattern;
  if (pattern && pattern !== ANYTHING) facts.push(`pattern ${pattern}`);
  if (schema.minimum !== undefined) facts.push(`${schema.minimum} to ${schema.maximum}`);
  if (schema.default !== undefined) facts.push(`default ${schema.default}`);
  /** @type {any} */
  let input;
  if (schema.type === "boolean" || schema.enum) {
    input = make("select", { id });
    const values = schema.enum ?? ["true", "false"];
    for (const value of ["", ...values.filter((/** @type {string} */ value) => value !== "")]) {
      input.append(make("option", { value }, value === "" ? "—" : value));
    }
  } else {
    input = make("input", { id, type: "text", autocomplete: "off", spellcheck: "false" });
    if (parameter.required) input.value = EXAMPLES[/** @type {keyof EXAMPLES} */ (parameter.name)] ?? "";
  }
  if (parameter.required) input.required = true;
  const label = make("label", { for: id }, make("code", {}, parameter.name), parameter.required ? " *" : "");
  return { row: make("div", { class: "field" }, label, input, make("small", {}, ...words(facts.filter(Boolean).join(" · ")))), input };
}

/**
 * A body that may be sent.
 * @param {any} requestBody
 */
function example(requestBody) {
  const content = requestBody.content?.["application/json"] ?? {};
  const shown = content.example ?? content.schema?.examples?.[0] ?? Object.values(content.examples ?? {})[0]?.value;
  return shown === undefined ? '{"symbol":"ETHUSDT"}' : JSON.stringify(shown);
}

/** The key to ask with. It is in no request but those of this page, and gone with it. */
function key() {
  return /** @type {HTMLInputElement} */ (find("key")).value.trim();
}

/**
 * The form that calls an operation, and the place of its answer.
 * @param {string} path
 * @param {string} method
 * @param {any} operation
 */
export function caller(path, method, operation) {
  const form = /** @type {HTMLFormElement} */ (make("form"));
  const fields = (operation.parameters ?? []).map((/** @type {any} */ parameter) => ({ parameter, ...field(parameter) }));
  for (const { row } of fields) form.append(row);
  /** @type {HTMLTextAreaElement|null} */
  let body = null;
  if (operation.requestBody) {
    const id = `field-${(counter += 1)}`;
    body = /** @type {HTMLTextAreaElement} */ (make("textarea", { id, spellcheck: "false" }));
    body.value = example(operation.requestBody);
    form.append(make("div", { class: "field" }, make("label", { for: id }, "body"), body));
  }
  const success = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
  const forms = Object.keys(/** @type {any} */ (success?.[1])?.content ?? {});
  /** @type {HTMLSelectElement|null} */
  let accept = null;
  if (forms.length > 1) {
    const id = `field-${(counter += 1)}`;
    accept = /** @type {HTMLSelectElement} */ (make("select", { id }, ...forms.map((media) => make("option", {}, media))));
    form.append(make("div", { class: "field" }, make("label", { for: id }, "Accept"), accept));
  }
  const isSocket = operation.operationId === "socket";
  form.append(make("button", {}, isSocket ? "Connect" : "Call"));
  const answer = make("div", { "aria-live": "polite" });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let target = path;
    const query = [];
    for (const { parameter, input } of fields) {
      const value = encodeURIComponent(input.value);
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, value);
      else if (input.value !== "") query.push(`${parameter.name}=${value}`);
    }
    if (query.length > 0) target += `?${query.join("&")}`;
    if (isSocket) await converse(target, key(), answer);
    else await call(target, method, accept?.value, body?.value, answer);
  });
  return make("div", {}, form, answer);
}

/**
 * Calls the server and shows what it says.
 * @param {string} target
 * @param {string} method
 * @param {string|undefined} accept
 * @param {string|undefined} body
 * @param {HTMLElement} place
 */
async function call(target, method, accept, body, place) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (accept) headers.accept = accept;
  if (body !== undefined) headers["content-type"] = "application/json";
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const command = ["curl", "-i"];
  if (method !== "get") command.push("-X", method.toUpperCase());
  for (const [name, value] of Object.entries(headers)) command.push("-H", quoted(`${name}: ${value}`));
  if (key()) {
    headers.authorization = `Bearer ${key()}`;
    // Whoever copies the command puts the key in; on the page it would be seen.
    command.push("-H", '"Authorization: Bearer $KEY"');
  }
  if (body !== undefined) command.push("-d", quoted(body));
  command.push(quoted(location.origin + target));
  place.replaceChildren(make("pre", {}, command.join(" ")), "Waiting …");
  const began = performance.now();
  try {
    const leaving = new AbortController();
    const reply = await fetch(target, {
      method: method.toUpperCase(), headers, body, redirect: "follow", cache: "no-store", signal: leaving.signal,
    });
    if (reply.body && reply.headers.get("content-type")?.startsWith("text/event-stream")) {
      await listen(reply.body, leaving, make("pre", {}, command.join(" ")), place);
      return;
    }
    const text = await reply.text();
    const took = Math.round(performance.now() - began);
    const isJson = (reply.headers.get("content-type") ?? "").includes("json") && !accept?.includes("ndjson");
    const shown = [...reply.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    place.replaceChildren(
      make("pre", {}, command.join(" ")),
      make("p", { class: reply.ok ? "good" : "bad" }, `${reply.status} ${reply.statusText} in ${took} ms`),
      make("pre", { tabindex: "0", "aria-label": "Headers" }, shown),
      make("pre", { tabindex: "0", "aria-label": "Body" }, isJson ? indent(text) : text.slice(0, 200_000)),
    );
  } catch (error) {
    place.replaceChildren(make("p", { class: "bad" }, `The server cannot be reached: ${error}`));
  }
}

