/** Numbers as text: true minus signs, superscripts, and no more digits than are known. */

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const MINUS = "−";

/** The power of ten with exponent n, as text: 10⁻². */
export function powerOfTen(n) {
  const digits = String(Math.abs(n)).replace(/\d/g, (d) => SUPERSCRIPTS[d]);
  return `10${n < 0 ? "⁻" : ""}${digits}`;
}

/** An integer with thousands separators. */
export function grouped(n) {
  return Math.round(n).toLocaleString("en-GB");
}

/** floor(log10 |v|), exact for powers of ten. */
export function exponentOf(v) {
  return Number(Math.abs(v).toExponential().split("e")[1]);
}

/**
 * A number with `digits` significant digits; exponents are written as powers of ten.
 * @param {number} v
 * @param {number} digits  1 to 17
 */
export function significant(v, digits) {
  if (v === 0) return "0";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : v < 0 ? `${MINUS}∞` : "–";
  const places = Math.min(Math.max(Math.round(digits), 1), 17);
  const [mantissa, power] = v.toExponential(places - 1).split("e");
  const exponent = Number(power);
  const plain = exponent >= -4 && exponent < 6;
  const text = plain ? v.toFixed(Math.max(places - 1 - exponent, 0)) : timesPower(mantissa, exponent);
  return text.replace("-", MINUS);
}

/** Like `significant`, without the zeros at the end: for numbers that are round by choice. */
export function rounded(v, digits) {
  return significant(v, digits).replace(/(\.\d*?)0+(?=×|$)/, (_, kept) => (kept === "." ? "" : kept));
}

/** A value with the digits that a resolution (the change from one pixel to the next) is worth. */
export function resolved(v, resolution) {
  if (v === 0 || !(resolution > 0)) return significant(v, 3);
  return significant(v, Math.ceil(Math.log10(Math.abs(v) / resolution)) + 1);
}

/** A value of a field: counts as whole numbers, others with four digits. */
export function fieldValue(v) {
  return Number.isInteger(v) && Math.abs(v) < 1e6 ? grouped(v).replace("-", MINUS) : significant(v, 4);
}

/** A tick value that is a multiple of 10^q. */
export function tickText(v, q) {
  if (v === 0) return "0";
  const exponent = exponentOf(v);
  const plain = exponent >= -4 && exponent < 5 && q < 5;
  const text = plain
    ? v.toFixed(Math.min(Math.max(-q, 0), 100))
    : timesPower((v / 10 ** exponent).toFixed(Math.max(exponent - q, 0)), exponent);
  return text.replace("-", MINUS);
}

/** A share of one in per cent: whole numbers, but never 0 or 100 for what is not. */
export function percent(share) {
  const p = 100 * share;
  const number = p > 0 && p < 1 ? "<1" : p < 100 && p > 99 ? ">99" : String(Math.round(p));
  return `${number}\u00a0%`;
}

/** A magnification: ×1.5, ×12,000, ×3.1 × 10¹². */
export function magnification(m) {
  if (m < 10) return `×${m.toFixed(1).replace(".0", "")}`;
  if (m < 1e6) return `×${grouped(m)}`;
  return `×${significant(m, 2)}`;
}

/** Seconds in words: about 12 s, about 3 min. */
export function duration(seconds) {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${Math.round(seconds / 3600)} h`;
}

function timesPower(mantissa, exponent) {
  return mantissa === "1" ? powerOfTen(exponent) : `${mantissa}×${powerOfTen(exponent)}`;
}
