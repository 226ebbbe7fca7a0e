// The API browser: reads /openapi.json, shows every operation, and lets one call it.
// No library, nothing from other hosts: it works wherever the server does.

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** @param {string} id */
function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id}`);
  return element;
}

const METHODS = ["get", "post", "put", "patch", "delete"];
/** Values that make the first try a success. */
const EXAMPLES = {
  base: "BTC", quote: "USD", symbol: "BTCUSDT", pairs: "BTC-USD,ETH-USD", currency_pair: "bitcoin-usd",
};

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
  if (pattern) facts.push(`pattern ${pattern}`);
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
  return { row: make("div", { class: "field" }, label, input, make("small", {}, facts.filter(Boolean).join(" · "))), input };
}

/**
 * Text of an answer's body, indented when it is JSON. Numbers keep their digits: the text is
 * indented, not parsed and written again.
 * @param {string} text
 */
function indent(text) {
  let depth = 0;
  let inString = false;
  let result = "";
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (inString) {
      result += char;
      if (char === "\\") {
        at += 1;
        result += text[at] ?? "";
      } else if (char === '"') {
        inString = false;
      }
    } else if (char === '"') {
      inString = true;
      result += char;
    } else if (char === "{" || char === "[") {
      const closing = char === "{" ? "}" : "]";
      if (text[at + 1] === closing) {
        result += char + closing;
        at += 1;
      } else {
        depth += 1;
        result += `${char}\n${"  ".repeat(depth)}`;
      }
    } else if (char === "}" || char === "]") {
      depth -= 1;
      result += `\n${"  ".repeat(Math.max(depth, 0))}${char}`;
    } else if (char === ",") {
      result += `,\n${"  ".repeat(depth)}`;
    } else {
      result += char === ":" ? ": " : char;
    }
  }
  return result;
}

/**
 * The form that calls an operation, and the place of its answer.
 * @param {string} path
 * @param {string} method
 * @param {any} operation
 */
function caller(path, method, operation) {
  const form = /** @type {HTMLFormElement} */ (make("form"));
  const fields = (operation.parameters ?? []).map((/** @type {any} */ parameter) => ({ parameter, ...field(parameter) }));
  for (const { row } of fields) form.append(row);
  /** @type {HTMLTextAreaElement|null} */
  let body = null;
  if (operation.requestBody) {
    const id = `field-${(counter += 1)}`;
    body = /** @type {HTMLTextAreaElement} */ (make("textarea", { id, spellcheck: "false" }));
    body.value = '{"symbol":"ETHUSDT"}';
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
  form.append(make("button", {}, "Call"));
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
    await call(target, method, accept?.value, body?.value, answer);
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
  if (body !== undefined) command.push("-d", quoted(body));
  command.push(quoted(location.origin + target));
  place.replaceChildren(make("pre", {}, command.join(" ")), "Waiting …");
  const began = performance.now();
  try {
    const reply = await fetch(target, { method: method.toUpperCase(), headers, body, redirect: "follow", cache: "no-store" });
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
      make("tr", {}, make("th", { scope: "row" }, status), make("td", {}, /** @type {any} */ (response).description))));
    details.append(make("div", { class: "inside" },
      make("p", {}, operation.description ?? ""), caller(path, method, operation),
      make("details", {}, make("summary", {}, "Answers"), make("div", { class: "inside" }, answers))));
  });
  return details;
}

/** @param {any} api */
function show(api) {
  find("version").textContent = api.info.version;
  find("about").textContent = api.info.description;
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
  const order = ["rates", "history", "tracking", "sources", "operations", "documentation"];
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
  const words = /** @type {HTMLInputElement} */ (find("filter")).value.toLowerCase().split(/\s+/).filter(Boolean);
  const aliases = /** @type {HTMLInputElement} */ (find("aliases")).checked;
  let count = 0;
  for (const section of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("section[data-tag]"))) {
    let any = false;
    for (const details of /** @type {NodeListOf<HTMLElement>} */ (section.querySelectorAll(":scope > details"))) {
      const hit = words.every((word) => details.dataset.words?.includes(word));
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

try {
  const reply = await fetch("/openapi.json");
  if (!reply.ok) throw new Error(`${reply.status}`);
  show(await reply.json());
} catch (error) {
  find("status").textContent = `openapi.json cannot be read: ${error}`;
}
