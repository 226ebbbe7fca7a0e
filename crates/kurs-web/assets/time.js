// Times. The server's clock is estimated from its answers, so ages hold on machines whose clock is
// wrong; ages are for display alone.

let ahead = 0;

/**
 * Learns from the `Date` of an answer, which has whole seconds.
 * @param {Headers} headers
 */
export function learn(headers) {
  const date = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const off = date + 500 - Date.now();
  ahead = Math.abs(off) > 2000 ? off : 0;
}

/** Now, by the server's clock, milliseconds. */
export function now() {
  return Date.now() + ahead;
}

/**
 * An age in words as short as they get.
 * @param {number} ms
 */
export function age(ms) {
  if (!Number.isFinite(ms)) return "–";
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.floor(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 100) return `${Math.floor(minutes)} min`;
  const hours = minutes / 60;
  if (hours < 48) return `${Math.floor(hours)} h`;
  return `${Math.floor(hours / 24)} d`;
}

/**
 * Time since a moment.
 * @param {string | undefined | null} moment
 */
export function since(moment) {
  return moment ? age(now() - Date.parse(moment)) : "–";
}

const two = (/** @type {number} */ value) => String(value).padStart(2, "0");

/**
 * The time of day.
 * @param {number} ms
 */
export function clock(ms) {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Hours and minutes.
 * @param {number} ms
 */
export function minute(ms) {
  return clock(ms).slice(0, 5);
}

/**
 * A sentence of the server with its times as people write them.
 * @param {string} text
 */
export function humane(text) {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (moment) => {
    const at = Date.parse(moment);
    return now() - at > 43_200_000 ? `${day(at)}, ${minute(at)}` : clock(at);
  });
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * Day and month.
 * @param {number} ms
 */
export function day(ms) {
  const date = new Date(ms);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}
