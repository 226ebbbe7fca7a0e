// Reads server-sent events from the body of an answer, as many as come. EventSource makes an object
// and a task of each; of thousands a second the page wants the newest of each pair only.

/** An event that is longer than this is none of kurs, characters. */
const LONGEST = 64_000_000;
/** Work goes on for so long before the page gets a turn, milliseconds. */
const TURN_MS = 8;

/**
 * Reads until the body ends.
 * @param {ReadableStream<Uint8Array>} body
 * @param {(name: string, id: string, data: string) => void} take
 */
export async function readEvents(body, take) {
  const reader = body.pipeThrough(/** @type {TransformStream<any, string>} */ (new TextDecoderStream())).getReader();
  let rest = "";
  let turn = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    let from = 0;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n", from)) {
      read(rest, from, end, take);
      from = end + 2;
    }
    rest = rest.slice(from);
    if (rest.length > LONGEST) throw new Error("an event without an end");
    if (performance.now() - turn > TURN_MS) {
      await new Promise((go) => setTimeout(go));
      turn = performance.now();
    }
  }
}

/**
 * One event: lines of a name, a colon and a value.
 * @param {string} text
 * @param {number} from
 * @param {number} to
 * @param {(name: string, id: string, data: string) => void} take
 */
function read(text, from, to, take) {
  let [name, id, data] = ["message", "", ""];
  while (from < to) {
    const next = text.indexOf("\n", from);
    const end = next < 0 || next > to ? to : next;
    const colon = text.indexOf(":", from);
    const start = text.charAt(colon + 1) === " " ? colon + 2 : colon + 1;
    switch (text.slice(from, colon)) {
      case "event": name = text.slice(start, end); break;
      case "id": id = text.slice(start, end); break;
      case "data": data += (data ? "\n" : "") + text.slice(start, end); break;
      default: break;
    }
    from = end + 1;
  }
  if (data) take(name, id, data);
}
