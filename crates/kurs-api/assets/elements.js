// Elements of a page, and text for it.

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * A text whose parts between backticks are code.
 * @param {string} text
 * @returns {Array<Node|string>}
 */
export function words(text) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? make("code", {}, part) : part));
}

/** @param {string} id */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id}`);
  return element;
}

/**
 * Text of an answer's body, indented when it is JSON. Numbers keep their digits: the text is
 * indented, not parsed and written again.
 * @param {string} text
 */
export function indent(text) {
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
