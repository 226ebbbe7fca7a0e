// Decimal texts. What is shown as a rate never goes through binary floating point.

/**
 * Whole part and fraction, without sign.
 * @param {string} text
 * @returns {[string, string]}
 */
function parts(text) {
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  return [whole.replace(/^0+(?=\d)/, ""), fraction];
}

/**
 * Rounded half-even to at most this many decimals.
 * @param {string} text
 * @param {number} decimals
 * @returns {string}
 */
export function rounded(text, decimals) {
  const [whole, fraction] = parts(text);
  if (fraction.length <= decimals) return text;
  let digits = BigInt(whole + fraction.slice(0, decimals));
  const rest = fraction.slice(decimals);
  const half = rest[0] === "5" && /^50*$/.test(rest);
  if (half ? digits % 2n === 1n : (rest[0] ?? "") >= "5") digits += 1n;
  const all = digits.toString().padStart(decimals + 1, "0");
  const cut = all.length - decimals;
  const sign = text.startsWith("-") && digits !== 0n ? "-" : "";
  return sign + all.slice(0, cut) + (decimals > 0 ? `.${all.slice(cut)}` : "");
}

/**
 * How many decimals a rate of this size is shown with: eight digits or so.
 * @param {string} text
 * @returns {number}
 */
export function decimalsOf(text) {
  const [whole, fraction] = parts(text);
  if (whole !== "0") return Math.max(2, 7 - whole.length);
  const zeros = /^0*/.exec(fraction)?.[0].length ?? 0;
  return Math.min(16, zeros + 6);
}

/**
 * The whole part in groups of three.
 * @param {string} whole
 */
function grouped(whole) {
  return whole.replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * A rate for the table: whole part, and fraction with its point.
 * @param {string} text
 * @param {number} [decimals]
 * @returns {[string, string]}
 */
export function split(text, decimals = decimalsOf(text)) {
  const short = rounded(text, decimals);
  const [whole, fraction] = parts(short);
  const sign = short.startsWith("-") ? "−" : "";
  return [sign + grouped(whole), fraction ? `.${fraction}` : ""];
}

/**
 * A rate as one text.
 * @param {string} text
 * @param {number} [decimals]
 */
export function shown(text, decimals) {
  return split(text, decimals).join("");
}

/**
 * All digits, grouped.
 * @param {string} text
 */
export function whole(text) {
  return split(text, 1000).join("");
}

/**
 * -1, 0 or 1: how two decimal texts that are not negative compare, exactly.
 * @param {string} one
 * @param {string} other
 */
export function compare(one, other) {
  const [a, b] = [parts(one), parts(other)];
  if (a[0].length !== b[0].length) return a[0].length < b[0].length ? -1 : 1;
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  const length = Math.max(a[1].length, b[1].length);
  const [c, d] = [a[1].padEnd(length, "0"), b[1].padEnd(length, "0")];
  return c < d ? -1 : c > d ? 1 : 0;
}

/**
 * A percentage with its sign.
 * @param {string} text
 */
export function percent(text) {
  const short = rounded(text, 2);
  if (/^-?0*\.?0*$/.test(short)) return "0.00 %";
  const [, fraction] = parts(short);
  const digits = short.replace("-", "") + (fraction ? "" : ".") + "00".slice(fraction.length);
  return `${short.startsWith("-") ? "−" : "+"}${digits} %`;
}

/**
 * Which way a percentage goes: -1, 0 or 1.
 * @param {string} text
 */
export function direction(text) {
  if (/^-?0*\.?0*$/.test(rounded(text, 2))) return 0;
  return text.startsWith("-") ? -1 : 1;
}

/**
 * How far one price is from another, in percent: for people, so a float is good enough.
 * @param {string} price
 * @param {string} from
 */
export function distance(price, from) {
  const away = (Number(price) / Number(from) - 1) * 100;
  if (!Number.isFinite(away)) return "–";
  const text = Math.abs(away).toFixed(3);
  if (Number(text) === 0) return "0.000 %";
  return `${away < 0 ? "−" : "+"}${text} %`;
}
