/** Ticks and labels of the two axes, in the units of the hyperparameters. */

import { axisSpan, fractionChange, valueAt, valueChange } from "./geometry.js";
import { exponentOf, powerOfTen, significant, tickText } from "./numbers.js";

/** When ticks agree in more digits than this, the digits they share are written once. */
const SHARED_DIGITS = 5;

/**
 * The ticks of the visible part of an axis.
 * @param {Object} axis  name, low, high, scale
 * @param {number} centre  the fraction in the middle
 * @param {number} scale  CSS pixels per unit of fraction
 * @param {number} length  CSS pixels
 * @param {number} spacing  wanted between labels, CSS pixels
 * @returns {{ticks: {at: number, label: string}[], title: string}}  `at`: pixels from the middle
 */
export function axisTicks(axis, centre, scale, length, spacing) {
  const half = length / 2 / scale;
  const [from, to] = [Math.max(centre - half, 0), Math.min(centre + half, 1)];
  if (!(to > from)) return { ticks: [], title: axis.name };
  const decades = axis.scale === "log10" ? (to - from) * axisSpan(axis) : 0;
  return decades > 1.3
    ? decadeTicks(axis, [from, to], centre, scale, spacing)
    : valueTicks(axis, [from, to], centre, scale, spacing);
}

function decadeTicks(axis, [from, to], centre, scale, spacing) {
  const span = axisSpan(axis);
  const low = Math.log10(axis.low);
  const place = (power) => ((power - low) / span - centre) * scale;
  const perDecade = scale / span;
  const every = [1, 2, 3, 5, 10, 20, 50, 100].find((n) => n * perDecade >= spacing * 0.55) ?? 200;
  const inner = perDecade >= 3 * spacing ? [2, 5] : [];
  const ticks = [];
  const [first, last] = [low + from * span - 1e-9, low + to * span + 1e-9];
  for (let power = Math.floor(first); power <= last; power++) {
    for (let digit = 1; digit < 10; digit++) {
      const at = power + Math.log10(digit);
      if (at < first || at > last) continue;
      let label = "";
      if (digit === 1 && power % every === 0) label = powerOfTen(power);
      else if (inner.includes(digit)) label = `${digit}×${powerOfTen(power)}`;
      else if (digit > 1 && perDecade < 40) continue;
      ticks.push({ at: place(at), label });
    }
  }
  return { ticks, title: axis.name };
}

function valueTicks(axis, [from, to], centre, scale, spacing) {
  const here = valueAt(axis, centre);
  const low = here + valueChange(axis, centre, from - centre);
  const range = valueChange(axis, centre, to - centre) - valueChange(axis, centre, from - centre);
  const { digit, power } = niceStep((range * spacing) / ((to - from) * scale));
  const step = digit * 10 ** power;
  const first = Math.ceil(low / step - 1e-6);
  const count = Math.min(Math.floor(range / step + 1e-6) + 1, 60);
  const shared = Math.log10(Math.max(Math.abs(low), Math.abs(low + range)) / step) > SHARED_DIGITS;
  // The shared part is a short decimal below all ticks; the rest are whole numbers of steps.
  const baseStep = 10 ** Math.ceil(Math.log10(range));
  const base = Math.floor(low / baseStep);
  const stepsToBase = base * Math.round(baseStep / step);
  const ticks = [];
  for (let k = 0; k < count; k++) {
    const steps = first + k;
    const value = steps * step;
    const at = fractionChange(axis, centre, value) * scale;
    if (at < (from - centre) * scale - 1 || at > (to - centre) * scale + 1) continue;
    const label = shared ? String((steps - stepsToBase) * digit).replace("-", "−") : tickText(value, power);
    ticks.push({ at, label });
  }
  if (!shared) return { ticks, title: axis.name };
  return { ticks, title: `${axis.name} = ${baseText(base * baseStep, baseStep)} + … × ${powerOfTen(power)}` };
}

/** The next of 1, 2, 5 times a power of ten. */
export function niceStep(least) {
  const power = exponentOf(least);
  const mantissa = least / 10 ** power;
  if (mantissa <= 1) return { digit: 1, power };
  if (mantissa <= 2) return { digit: 2, power };
  if (mantissa <= 5) return { digit: 5, power };
  return { digit: 1, power: power + 1 };
}

function baseText(base, step) {
  return base === 0 ? "0" : significant(base, exponentOf(base) - Math.round(Math.log10(step)) + 1);
}

/**
 * Draw an axis beside the map.
 * @param {HTMLCanvasElement} canvas
 * @param {"x"|"y"} side
 * @param {Object} axis
 * @param {import("./view.js").View} view
 * @param {Object} theme  colours and font
 */
export function drawAxis(canvas, side, axis, view, theme) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  c.fillStyle = theme.ink;
  const across = side === "x";
  const length = across ? width : height;
  const [centre, sign] = across ? [view.cx, 1] : [view.cy, -1];
  const { ticks, title } = axisTicks(axis, centre, view.scale, length, across ? 84 : 56);
  c.font = theme.tickFont;
  let end = -Infinity;
  for (const { at, label } of across ? ticks : [...ticks].reverse()) {
    const p = length / 2 + sign * at;
    if (p < -0.5 || p > length + 0.5) continue;
    const crisp = Math.min(Math.max(Math.round(p * ratio) / ratio, 0), length - 1 / ratio);
    const tick = label ? 6 : 3;
    if (across) c.fillRect(crisp, 0, 1 / ratio, tick);
    else c.fillRect(width - tick, crisp, tick, 1 / ratio);
    const size = across ? c.measureText(label).width : 12;
    const middle = Math.min(Math.max(p, size / 2), length - size / 2); // whole labels only
    if (!label || middle - size / 2 < end + 8) continue;
    end = middle + size / 2;
    drawLabel(c, label, across ? [middle, 19] : [width - 9, middle], across ? "center" : "right");
  }
  c.font = theme.titleFont;
  drawTitle(c, title, across, width, height);
}

function drawLabel(c, text, [x, y], align) {
  Object.assign(c, { textAlign: align, textBaseline: align === "right" ? "middle" : "alphabetic" });
  c.fillText(text, x, y);
}

function drawTitle(c, text, across, width, height) {
  Object.assign(c, { textAlign: "center", textBaseline: "alphabetic" });
  if (across) {
    c.fillText(text, width / 2, height - 5, width);
  } else {
    c.translate(13, height / 2);
    c.rotate(-Math.PI / 2);
    c.fillText(text, 0, 0, height);
  }
}

/**
 * A bar of a round length along x.
 * @returns {{pixels: number, text: string}}
 */
export function scaleBar(axis, view) {
  const perUnit = view.scale / axisSpan(axis);
  const { digit, power } = niceStep(60 / perUnit);
  const pixels = digit * 10 ** power * perUnit;
  const length = digit * 10 ** power;
  const number = significant(length, 1);
  if (axis.scale !== "log10") return { pixels, text: `${number} in ${axis.name}` };
  return { pixels, text: length === 1 ? "1 decade" : `${number} decades` };
}
