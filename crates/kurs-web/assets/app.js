// The page: address, stream, clock and keys. Each view is a module of its own; one more is a case
// in open(), a name in route.js and a link in index.html.

import { request, keep as keepKey, key as ownKey, whenKeyIsNeeded } from "./api.js";
import { byId, el, mark, put, write } from "./dom.js";
import { Feed } from "./feed.js";
import { Model, stateOf } from "./model.js";
import { current, link } from "./route.js";
import { keep, kept, showTheme, turnTheme } from "./settings.js";
import { Table } from "./table.js";
import { clock } from "./time.js";

/** @typedef {import("./types").View} View */
/** @typedef {import("./types").Route} Route */

const SUMMARY_MS = 30_000;
/** So many rates that wait to be shown are many. */
const MANY = 150;
const MANY_MS = 100;
/** Topics of one stream, less some for a pair of its own. */
const TOPICS_MAX = 480;

const model = new Model();
const world = { bases: /** @type {string[]} */ ([]), directions: /** @type {string[]} */ ([]), published: /** @type {string[]} */ ([]) };
const place = byId("view");
const drawerPlace = byId("drawer");
const pace = /** @type {HTMLSelectElement} */ (byId("pace"));
const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"));

/** @type {View | null} */
let view = null;
let viewName = "";
/** @type {import("./explain.js").Drawer | null} */
let drawer = null;
let listed = "";
let listening = "";
let paused = 0;
let drawn = 0;
let isWanted = false;
let summarised = 0;
/** @type {import("./feed.js").Status} */
let status = "connecting";
let retryAt = 0;
let heardAt = 0;

const feed = new Feed(
  (event, data) => {
    heardAt = Date.now();
    if (event === "hello") {
      byId("degraded").hidden = !data.degraded;
      write(byId("degraded"), data.degraded ? `Updates may be late: ${data.degraded}.` : "");
    }
    model.take(event, data);
    want();
  },
  (now, at) => {
    status = now;
    retryAt = at;
    showLink();
    want();
  },
);

/** Asks for a turn; there is one per frame at most. */
function want() {
  if (isWanted) return;
  isWanted = true;
  requestAnimationFrame(turn);
}

function turn() {
  isWanted = false;
  const time = performance.now();
  // When nearly everything moves at once, ten pictures a second are enough.
  const wait = Math.max(Number(pace.value), model.waiting.size > MANY ? MANY_MS : 0);
  if (!paused && time - drawn >= wait) {
    drawn = time;
    model.apply();
    view?.draw();
  }
}

function showLink() {
  const node = byId("link");
  const stale = [...model.rows.values()].filter((row) => row.place >= 0 && row.rate && stateOf(row.rate) !== "fresh").length;
  const isLost = status === "lost";
  put(node, "data-status", isLost ? "lost" : paused ? "paused" : stale > 0 && status === "live" ? "stale" : status);
  const words = isLost ? "Disconnected"
    : paused ? `Paused ${clock(paused)}`
    : status === "connecting" ? "Connecting"
    : stale > 0 ? `${stale} not fresh`
    : "Live";
  write(byId("link-text"), words);
  const lost = byId("lost");
  lost.hidden = !isLost;
  if (isLost) {
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const last = heardAt ? ` What is shown is of ${clock(heardAt)}.` : "";
    write(lost, `Disconnected. ${retryAt ? `Trying again in ${seconds} s.` : "Trying again now."}${last}`);
  }
  byId("simulated").hidden = !model.simulated;
  document.body.classList.toggle("is-lost", isLost);
  document.body.classList.toggle("is-paused", paused > 0);
  put(byId("icon"), "href", isLost || stale > 0 ? "/page/icon-lost.svg" : "/page/icon.svg");
  const name = view?.title() ?? "kurs";
  const title = isLost ? `⚠ Disconnected: ${name}` : stale > 0 ? `⚠ ${stale} not fresh: ${name}` : paused ? `Paused: ${name}` : name;
  if (document.title !== title) document.title = title;
  return stale;
}

/** Once a second: ages, the tab, and now and then a sentence for those who listen. */
function second() {
  const stale = showLink();
  const key = `${status} ${paused > 0} ${stale > 0}`;
  const time = performance.now();
  if (time - summarised > SUMMARY_MS || key !== second.said) {
    summarised = time;
    second.said = key;
    const rates = [...model.rows.values()].filter((row) => row.place >= 0).length;
    const how = status === "live" ? "connected" : status === "lost" ? "disconnected" : "connecting";
    write(byId("summary"), `${paused ? "Paused" : "Live"}, ${how}: ${rates} rates, ${stale} of them not fresh.`);
  }
  want();
}
second.said = "";

/** Which topics the address needs. */
async function listen(/** @type {Route} */ route) {
  const base = route.name === "rates" ? (route.query.get("base") ?? "") : listed;
  if (base !== listed || listening === "") {
    listed = base;
    if (base === "") {
      model.list([...new Set([...world.directions, ...world.published])]);
    } else {
      const { rates } = await request(`/api/v1/rates/${base}?allow_stale=true`);
      if (listed !== base) return;
      model.list(rates.map((/** @type {{ pair: string }} */ rate) => rate.pair).slice(0, TOPICS_MAX));
    }
  }
  const pairs = [...model.rows.values()].filter((row) => row.place >= 0).map((row) => row.pair);
  const extra = [route.pair, route.query.get("explain") ?? ""].filter((pair) => /^[A-Z0-9]+-[A-Z0-9]+$/.test(pair));
  const published = new Set(listed === "" ? world.published : []);
  const topics = new Set(["sources"]);
  if (listed === "") topics.add("rates");
  for (const pair of [...pairs, ...extra]) if (!published.has(pair)) topics.add(`rate:${pair}`);
  const text = [...topics].slice(0, 500).join(",");
  if (text === listening) return;
  // What is told already is not asked for anew.
  const told = new Set(listening.split(","));
  listening = text;
  if ([...topics].some((topic) => !told.has(topic))) feed.listen(text.split(","));
}

/** @param {Route} route */
async function open(route) {
  switch (route.name) {
    case "pair": return new (await import("./pair.js")).PairView(place, model, route);
    case "sources": return new (await import("./sources.js")).SourcesView(place, model);
    case "alerts": return new (await import("./alerts.js")).AlertsView(place, model, world, route);
    case "convert": return new (await import("./convert.js")).ConvertView(place, model, world, route);
    default: return new Table(place, model, world, route);
  }
}

async function go() {
  const route = current();
  const name = `${route.name} ${route.pair}`;
  const listens = listen(route).catch((error) => failed(error));
  for (const anchor of document.querySelectorAll("[data-view]")) {
    const isHere = /** @type {HTMLElement} */ (anchor).dataset.view === (route.name === "pair" ? "rates" : route.name);
    put(anchor, "aria-current", isHere ? "page" : null);
  }
  if (name === viewName) {
    view?.route?.(route);
  } else {
    const isFirst = viewName === "";
    viewName = name;
    view?.close();
    view = null;
    put(place, "data-view", route.name);
    const opened = await open(route);
    if (viewName !== name) return opened.close();
    view = opened;
    if (!isFirst) {
      scrollTo(0, 0);
      place.focus({ preventScroll: true });
    }
    model.apply();
    view.draw();
  }
  await explain(route.query.get("explain") ?? "");
  showLink();
  await listens;
}

/** @param {string} pair */
async function explain(pair) {
  if (drawer?.pair === pair) return;
  drawer?.close();
  drawer = null;
  document.body.classList.toggle("has-drawer", pair !== "");
  drawerPlace.hidden = pair === "";
  if (!pair) return;
  const { Drawer } = await import("./explain.js");
  const opener = /** @type {HTMLElement | null} */ (document.activeElement);
  drawer = new Drawer(drawerPlace, model, pair, () => paused > 0, () => {
    const { name, pair: shown, query } = current();
    query.delete("explain");
    history.replaceState(null, "", link(name, shown, query));
    go();
    if (opener?.isConnected) opener.focus();
  });
}

function turnPause() {
  paused = paused ? 0 : Date.now();
  const button = byId("pause");
  put(button, "aria-pressed", String(paused > 0));
  button.querySelector("use")?.setAttribute("href", `/page/marks.svg#${paused ? "play" : "pause"}`);
  showLink();
  want();
}

/** @param {unknown} error */
function failed(error) {
  const notice = byId("lost");
  if (status === "live" || !(error instanceof Error)) return;
  notice.hidden = false;
  write(notice, `The server cannot be asked: ${error.message}.`);
}

const KEYS = [
  ["/", "Search"], ["j or ↓, k or ↑", "Next and previous rate"], ["Enter", "Open the rate"],
  ["e", "Explain the rate"], ["f", "Favourite"], ["← →, Home, End", "Move along the chart"],
  ["p", "Pause and go on"], ["t", "Dark or light"], ["r, s, c, a", "Rates, sources, convert, alerts"],
  ["Esc", "Close, clear"], ["?", "This list"],
];

function showHelp() {
  const use = el("input", { type: "checkbox", id: "use-keys", onchange: () => keep("keys", use.checked ? "" : "off") });
  use.checked = kept("keys", "") !== "off";
  const close = el("button", { type: "button", class: "tool", onclick: () => dialog.close() }, mark("close"), el("span", { class: "hidden" }, "Close"));
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.replaceChildren(
    el("header", {}, el("h2", { id: "dialog-title" }, "Keyboard"), close),
    el("dl", { class: "keys" }, ...KEYS.flatMap(([keys = "", text = ""]) => [
      el("dt", {}, ...keys.split(/(, | or )/).map((part) => (/^(, | or )$/.test(part) ? part : el("kbd", {}, part)))),
      el("dd", {}, text),
    ])),
    el("label", { class: "check" }, use, "Single keys work on this page"));
  dialog.showModal();
}

let isAsked = false;

/** Reading needs a key here: it is asked for, and kept in this tab alone. */
function askKey() {
  if (isAsked || dialog.open) return;
  isAsked = true;
  const input = el("input", { type: "password", id: "key", autocomplete: "off", spellcheck: "false", required: true });
  const wrong = ownKey() !== "";
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.replaceChildren(
    el("form", { method: "dialog", class: "ask" },
      el("h2", { id: "dialog-title" }, "This server asks who you are"),
      el("p", {}, wrong ? "That key was not accepted. " : "", "Enter an API key with the scopes read, history and stream, and admin for alerts. It stays in this tab and is forgotten with it."),
      el("label", { for: "key" }, "API key"), input,
      el("button", { type: "submit", class: "primary" }, "Go on")));
  dialog.onclose = () => {
    dialog.onclose = null;
    isAsked = false;
    keepKey(input.value.trim());
    start();
  };
  dialog.showModal();
}

/** @param {KeyboardEvent} event */
function press(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const writes = target.matches("input:not([type=checkbox]), select, textarea");
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (event.key === "Escape") {
    if (drawer) drawer.done();
    else if (writes && view?.key?.(event)) target.blur();
    else if (writes) target.blur();
    else if (!view?.key?.(event) && current().name !== "rates") location.hash = link("rates");
    return;
  }
  if (writes && !(target.id === "search" && event.key === "ArrowDown")) return;
  const isSingle = event.key.length === 1 && event.key !== "?";
  if (isSingle && kept("keys", "") === "off") return;
  if (view?.key?.(event)) {
    event.preventDefault();
    return;
  }
  switch (event.key) {
    case "p": turnPause(); break;
    case "t": switchTheme(); break;
    case "?": showHelp(); break;
    case "r": location.hash = link("rates"); break;
    case "s": location.hash = link("sources"); break;
    case "c": location.hash = link("convert"); break;
    case "a": location.hash = link("alerts"); break;
    case "/": location.hash = link("rates"); setTimeout(() => byId("search").focus(), 50); break;
    default: return;
  }
  event.preventDefault();
}

function switchTheme() {
  turnTheme();
  view?.route?.(current());
}

async function start() {
  try {
    const pairs = await request("/api/v1/pairs");
    world.directions = pairs.directions;
    world.published = pairs.published;
    const assets = new Set([...world.directions, ...world.published].map((pair) => pair.split("-")[0] ?? ""));
    world.bases = [...assets].sort();
    listening = "";
    viewName = "";
    await go();
  } catch (error) {
    if (ownKey() === "" || !isAsked) failed(error);
    if (!isAsked) setTimeout(start, 2000);
  }
}

whenKeyIsNeeded(askKey);
pace.value = kept("pace", "0");
pace.onchange = () => keep("pace", pace.value);
byId("pause").onclick = turnPause;
byId("theme").onclick = switchTheme;
byId("help").onclick = showHelp;
addEventListener("keydown", press);
addEventListener("hashchange", () => go());
setInterval(second, 1000);
showTheme();
start();
