/** From values to colours: what a field's kind means, scaled by the cells in view. */

/** The outcomes by their code. */
export const OUTCOMES = ["pending", "converged", "bounded", "escaped", "not finite"];
/** The same in words for readers. */
export const OUTCOME_WORDS = ["not known yet", "converged", "stayed bounded", "escaped", "not finite"];

/** Equalised values keep this distance from zero, so that the two classes never meet in colour. */
const GAP = 0.25;

/**
 * A scale turns cells into pixels and says what its ends are.
 * @typedef {Object} Scale
 * @property {(value: number, status: number) => number} pixel  RGBA as a little-endian integer
 * @property {Object} key  what the legend has to show
 */

/** A colour "#rrggbb" (or six hex digits) as an opaque pixel. */
export function toPixel(colour) {
  const rgb = parseInt(colour.replace("#", ""), 16);
  return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

/** The colours of a ramp, as CSS. */
export function rampColours(hex) {
  return Array.from({ length: hex.length / 6 }, (_, k) => `#${hex.slice(6 * k, 6 * k + 6)}`);
}

/**
 * The scale of a field for the cells in view.
 * @param {{name: string, kind: string}} field
 * @param {{values: Float32Array, status: Uint8Array}} sample
 * @param {Object} palette  one of the menu
 * @param {string} background  CSS colour where there is nothing to colour
 * @returns {Scale}
 */
export function makeScale(field, sample, palette, background) {
  const classes = OUTCOMES.map((name) => toPixel(palette.classes[name] ?? background));
  const nothing = toPixel(background);
  const ramp = (name) => rampColours(palette[name]).map(toPixel);
  const makers = { signed, log, classes: outcomes, diverging, share };
  return (makers[field.kind] ?? share)({ field, sample, classes, nothing, ramp });
}

function outcomes({ classes }) {
  return { pixel: (_, status) => classes[status], key: { kind: "classes" } };
}

function signed({ sample, nothing, ramp }) {
  const colours = ramp("signed");
  // Negative values are ranked from the smallest, the others from the largest, which lie farthest
  // from zero: 1 and -1.
  const converged = rankSteps(sample.values.filter((v) => v < 0), 1);
  const others = rankSteps(sample.values.filter((v) => v >= 0).map((v) => -v), -1);
  const pixel = (value) => {
    if (value < 0) return colours[stepAt(converged, value)];
    if (value >= 0) return colours[stepAt(others, -value)];
    return nothing;
  };
  return { pixel, key: { kind: "signed", gap: GAP } };
}

/**
 * Equalisation as steps: from `from[k]` on, values have the colour of index `index[k]`.
 *
 * Equal values share the middle of their ranks, and with them one colour. Of 256 colours a sign has
 * 96, so a value is found in a short list, however many cells there are.
 */
function rankSteps(values, sign) {
  const order = values.sort();
  const last = Math.max(order.length - 1, 1);
  const from = [];
  const index = [];
  for (let low = 0; low < order.length; ) {
    let high = low + 1;
    while (high < order.length && order[high] === order[low]) high++;
    const place = (low + high - 1) / 2 / last;
    const colour = Math.round(((sign * (1 - (1 - GAP) * place) + 1) / 2) * 255);
    if (colour !== index.at(-1)) {
      from.push(order[low]);
      index.push(colour);
    }
    low = high;
  }
  if (from.length === 0) {
    from.push(0);
    index.push(sign > 0 ? 255 : 0);
  }
  return { from: Float64Array.from(from), index };
}

function stepAt({ from, index }, value) {
  let [low, high] = [0, from.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (from[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return index[Math.max(low - 1, 0)];
}

function log({ field, sample, classes, nothing, ramp }) {
  const colours = ramp("sequential");
  // The number of the first loss over the limit is what the escaped runs have, and mostly only they
  // (elsewhere it is no number, or negative). Counted from 1, the first has a place on the scale.
  const counted = field.name === "t_escape";
  const hidden = (value, status) => (counted ? !(value >= 0) : status >= 3);
  const number = (value) => (counted ? value + 1 : value);
  const known = sample.values.filter((v, k) => sample.status[k] && !hidden(v, sample.status[k]) && number(v) > 0 && number(v) < Infinity);
  const order = known.map(number).sort();
  const low = quantile(order, 0.01) || 1e-3;
  const high = Math.max(quantile(order, 0.99) || 1, low * (1 + 1e-6));
  const [a, width] = [Math.log(low), Math.log(high / low)];
  const pixel = (value, status) => {
    if (hidden(value, status)) return classes[status];
    const v = number(value);
    if (Number.isNaN(v)) return status >= 3 ? classes[status] : nothing;
    return colours[step(v > 0 ? (Math.log(v) - a) / width : 0)];
  };
  const classesShown = counted ? [1, 2] : [3, 4];
  return { pixel, key: { kind: "log", low, high, empty: order.length === 0, classesShown } };
}

function diverging({ sample, classes, nothing, ramp }) {
  const colours = ramp("diverging");
  const sizes = (kept) => sample.values.filter((v, k) => kept(sample.status[k]) && Number.isFinite(v)).map(Math.abs);
  // Escaped runs have values far beyond the others'; they count only where there are no others.
  let known = sizes((status) => status === 1 || status === 2);
  if (known.length === 0) known = sizes((status) => status > 0);
  const limit = quantile(known.sort(), 0.98) || 1e-3;
  const pixel = (value, status) => {
    if (Number.isNaN(value)) return status >= 3 ? classes[status] : nothing;
    return colours[step((value / limit + 1) / 2)];
  };
  return { pixel, key: { kind: "diverging", low: -limit, high: limit, classesShown: withoutValue(sample) } };
}

function share({ sample, classes, nothing, ramp }) {
  const colours = ramp("sequential");
  const pixel = (value, status) => {
    if (Number.isNaN(value)) return status >= 3 ? classes[status] : nothing;
    return colours[step(value)];
  };
  return { pixel, key: { kind: "share", low: 0, high: 1, classesShown: withoutValue(sample) } };
}

/** The outcomes beyond the limit of which a run in view has no value, and so the class's colour. */
function withoutValue({ values, status }) {
  return [3, 4].filter((code) => status.some((each, k) => each === code && Number.isNaN(values[k])));
}

const step = (place) => Math.round(255 * Math.min(Math.max(place, 0), 1));

const quantile = (order, q) => (order.length ? order[Math.round(q * (order.length - 1))] : NaN);
