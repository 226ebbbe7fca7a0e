// Candles on a canvas, with a crosshair that mouse, finger and arrow keys move. Floats here are
// pixels and the places of marks on the axis; the prices that are read out stay texts.

import { shown as text } from "./number.js";
import { day, minute } from "./time.js";

/** @typedef {import("./types").Candle} Candle */

const BOTTOM = 24;
const TOP = 10;
/** Times between two names on the axis, seconds. */
const STEPS_S = [10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];

export class Chart {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(at: number) => void} tell
   */
  constructor(canvas, tell) {
    this.canvas = canvas;
    this.tell = tell;
    /** @type {Candle[]} */
    this.candles = [];
    this.seconds = 60;
    this.cross = -1;
    this.step = 8;
    this.right = 76;
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => this.move(-1));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(canvas);
  }

  close() {
    this.observer.disconnect();
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const visible = this.#visible();
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    const at = visible.first + Math.floor((x - visible.left) / this.step);
    this.move(Math.min(this.candles.length - 1, Math.max(visible.first, at)));
  }

  /** @param {number} at the candle; -1 for none */
  move(at) {
    if (at === this.cross) return;
    this.cross = at;
    this.draw();
    this.tell(at);
  }

  #visible() {
    const width = this.canvas.clientWidth - this.right;
    const room = Math.max(1, Math.floor(width / this.step));
    const first = Math.max(0, this.candles.length - room);
    const left = width - (this.candles.length - first) * this.step;
    return { first, left, width };
  }

  draw() {
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === 0) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    if (!pen) return;
    const style = getComputedStyle(canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `11px ${style.fontFamily}`;
    this.right = pen.measureText(text(this.candles.at(-1)?.close ?? "")).width + 22;
    // Few candles are drawn wider.
    this.step = Math.min(14, Math.max(width < 500 ? 6 : 9, (width - this.right) / Math.max(1, this.candles.length)));
    const { first, left, width: plot } = this.#visible();
    const shown = this.candles.slice(first);
    if (shown.length === 0) return;

    let least = Infinity;
    let most = -Infinity;
    for (const candle of shown) {
      least = Math.min(least, Number(candle.low));
      most = Math.max(most, Number(candle.high));
    }
    if (least === most) [least, most] = [least * 0.999, most * 1.001 || 1];
    const floor = height - BOTTOM;
    const y = (/** @type {number} */ price) => TOP + (1 - (price - least) / (most - least)) * (floor - TOP);
    const middle = (/** @type {number} */ at) => left + (at - first) * this.step + this.step / 2;

    // Lines and names of the axes.
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (const [tick, name] of ticks(least, most, Math.max(2, Math.floor(floor / 56)))) {
      const line = Math.round(y(tick)) + 0.5;
      pen.strokeStyle = colour("--line-soft");
      pen.beginPath();
      pen.moveTo(0, line);
      pen.lineTo(plot, line);
      pen.stroke();
      // The price of now has its name there.
      if (Math.abs(line - y(Number(this.candles.at(-1)?.close))) < 14) continue;
      pen.fillStyle = colour("--soft");
      pen.fillText(name, plot + 9, line);
    }
    pen.textAlign = "center";
    const least_s = (88 / this.step) * this.seconds;
    const every = STEPS_S.find((step) => step >= least_s) ?? STEPS_S[STEPS_S.length - 1] ?? 1;
    let free = 24;
    shown.forEach((candle, number) => {
      const x = middle(first + number);
      if ((Date.parse(candle.start) / 1000) % every !== 0 || x < free || x > plot - 16) return;
      free = x + 64;
      pen.fillStyle = colour("--soft");
      pen.fillText(this.#time(candle), x, height - BOTTOM / 2 + 2);
    });

    const body = Math.max(2, this.step - 3);
    for (let at = first; at < this.candles.length; at += 1) {
      const candle = this.candles[at];
      if (!candle) continue;
      const [open, close] = [Number(candle.open), Number(candle.close)];
      const up = close >= open;
      const x = middle(at);
      pen.strokeStyle = pen.fillStyle = colour(up ? "--up" : "--down");
      pen.beginPath();
      pen.moveTo(Math.round(x) + 0.5, y(Number(candle.high)));
      pen.lineTo(Math.round(x) + 0.5, y(Number(candle.low)));
      pen.stroke();
      const [high, low] = [y(Math.max(open, close)), y(Math.min(open, close))];
      const box = /** @type {const} */ ([Math.round(x - body / 2) + 0.5, high, body, Math.max(1, low - high)]);
      // Rising ones are hollow: the colour is not the only mark.
      if (up) {
        pen.fillStyle = colour("--surface");
        pen.fillRect(...box);
        pen.strokeRect(...box);
      } else {
        pen.fillRect(...box);
        pen.strokeRect(...box);
      }
    }

    const last = this.candles.at(-1);
    if (last) this.#flag(pen, y(Number(last.close)), plot, last.close, colour("--text"), colour("--surface"));
    const crossed = this.candles[this.cross];
    if (crossed) {
      const x = Math.round(middle(this.cross)) + 0.5;
      pen.strokeStyle = colour("--soft");
      pen.setLineDash([3, 3]);
      pen.beginPath();
      pen.moveTo(x, TOP);
      pen.lineTo(x, floor);
      pen.moveTo(0, y(Number(crossed.close)));
      pen.lineTo(plot, y(Number(crossed.close)));
      pen.stroke();
      pen.setLineDash([]);
    }
  }

  /**
   * The price of now, at the axis.
   * @param {CanvasRenderingContext2D} pen
   * @param {number} y
   * @param {number} plot
   * @param {string} price
   * @param {string} back
   * @param {string} front
   */
  #flag(pen, y, plot, price, back, front) {
    pen.strokeStyle = back;
    pen.setLineDash([1, 3]);
    pen.beginPath();
    pen.moveTo(0, Math.round(y) + 0.5);
    pen.lineTo(plot, Math.round(y) + 0.5);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = back;
    pen.beginPath();
    pen.roundRect(plot + 3, y - 9, this.right - 5, 18, 4);
    pen.fill();
    pen.fillStyle = front;
    pen.textAlign = "left";
    pen.fillText(text(price), plot + 9, y + 0.5);
  }

  /** @param {Candle} candle */
  #time(candle) {
    const at = Date.parse(candle.start);
    return this.seconds >= 86_400 ? day(at) : this.seconds < 60 ? new Date(at).toTimeString().slice(0, 8) : minute(at);
  }
}

/**
 * Round places on the axis with their names.
 * @param {number} least
 * @param {number} most
 * @param {number} count
 * @returns {[number, string][]}
 */
export function ticks(least, most, count) {
  const rough = (most - least) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? power;
  const decimals = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  /** @type {[number, string][]} */
  const all = [];
  for (let at = Math.ceil(least / step) * step; at <= most; at += step) {
    all.push([at, at.toFixed(decimals).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ",")]);
  }
  return all;
}
