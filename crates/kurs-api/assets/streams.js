// Streams as they come: server-sent events, and a conversation over WebSocket.

import { make } from "./elements.js";

/** So many lines are shown, the newest first: a stream has no end, a page has. */
const LINES_MAX = 50;

/**
 * A list that keeps the newest lines.
 * @param {HTMLElement} list
 * @param {string} text
 */
function tell(list, text) {
  list.prepend(make("pre", {}, text));
  while (list.childElementCount > LINES_MAX) list.lastElementChild?.remove();
}

/**
 * Shows the events of an SSE stream until it ends or its reader stops it.
 * @param {ReadableStream<Uint8Array>} body
 * @param {AbortController} leaving
 * @param {HTMLElement} command
 * @param {HTMLElement} place
 */
export async function listen(body, leaving, command, place) {
  const stop = make("button", { type: "button" }, "Stop");
  const state = make("p", { class: "good" }, "Listening");
  const list = make("div", { class: "events", role: "log", "aria-label": "Events" });
  place.replaceChildren(command, state, stop, list);
  stop.addEventListener("click", () => leaving.abort());
  let count = 0;
  let rest = "";
  try {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        tell(list, block);
        count += 1;
      }
      state.textContent = `Listening: ${count} events`;
    }
    state.textContent = `The server ended the stream after ${count} events`;
  } catch (error) {
    state.textContent = leaving.signal.aborted ? `Stopped after ${count} events` : `Cut after ${count} events: ${error}`;
  }
  stop.remove();
}

/**
 * Connects by WebSocket; commands are typed and sent, and everything that is said is shown.
 * @param {string} target
 * @param {string} key
 * @param {HTMLElement} place
 */
export async function converse(target, key, place) {
  const url = new URL(target, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (key) {
    // A browser sends no headers here: a ticket, good once, stands for the key.
    const reply = await fetch("/api/v1/stream/ticket", { method: "POST", headers: { authorization: `Bearer ${key}` } });
    const answer = await reply.json();
    if (!reply.ok) {
      place.replaceChildren(make("p", { class: "bad" }, `${reply.status}: ${answer.detail}`));
      return;
    }
    url.searchParams.set("ticket", answer.ticket);
  }
  const socket = new WebSocket(url, "kurs.v1.json");
  const state = make("p", {}, `Connecting to ${url.origin}${url.pathname}`);
  const list = make("div", { class: "events", role: "log", "aria-label": "Messages" });
  const command = /** @type {HTMLTextAreaElement} */ (make("textarea", { "aria-label": "Command", spellcheck: "false" }));
  command.value = '{"id":1,"op":"subscribe","topics":["rate:BTC-USD"]}';
  const send = /** @type {HTMLButtonElement} */ (make("button", { disabled: "" }, "Send"));
  const close = make("button", { type: "button" }, "Close");
  const form = make("form", {}, command, send, " ", close);
  place.replaceChildren(state, form, list);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tell(list, `> ${command.value}`);
    socket.send(command.value);
  });
  close.addEventListener("click", () => socket.close(1000));
  socket.addEventListener("open", () => {
    state.textContent = "Connected";
    state.className = "good";
    send.disabled = false;
  });
  socket.addEventListener("message", (event) => tell(list, event.data));
  socket.addEventListener("close", (event) => {
    state.textContent = `Closed: ${event.code} ${event.reason}`;
    state.className = event.code === 1000 ? "" : "bad";
    form.remove();
  });
}
