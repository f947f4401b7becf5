/** A loss curve as SVG, on a logarithmic axis. */

import { svg } from "./dom.js";
import { exponentOf, grouped, powerOfTen, rounded, significant } from "./numbers.js";

const SIZE = { width: 340, height: 170, left: 44, right: 10, top: 10, bottom: 30 };
/** Decades shown above and below the median loss; what lies beyond runs along the edge. */
const REACH = { up: 15, down: 25 };

/**
 * Draw losses over steps.
 * @param {SVGElement} holder
 * @param {number[]} steps
 * @param {(number|null)[]} losses  null where not finite
 * @param {number} escape  the first step over the limit, negative if there is none
 */
export function drawLossCurve(holder, steps, losses, escape) {
  const finite = losses.filter((loss) => loss !== null && loss > 0);
  holder.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
  if (finite.length === 0) {
    holder.replaceChildren(svg("text", { x: SIZE.width / 2, y: SIZE.height / 2, "text-anchor": "middle" }, "no finite positive loss"));
    holder.setAttribute("aria-label", "Loss curve: no loss is finite and positive.");
    return;
  }
  const scales = makeScales(steps, finite);
  holder.replaceChildren(...gridLines(scales), ...markers(steps, losses, escape, scales), ...curves(steps, losses, scales));
  const last = losses.at(-1);
  const ending = last === null ? "not finite at the end" : `${significant(last, 3)} at the end`;
  holder.setAttribute("aria-label", `Loss curve over ${grouped(steps.at(-1))} steps: ${significant(finite[0], 3)} first, ${ending}.`);
}

function makeScales(steps, finite) {
  const powers = finite.map(Math.log10).sort((a, b) => a - b);
  // A run that escapes ends at 10^300, beside which all that went before would be one flat line.
  const middle = powers[Math.floor(powers.length / 2)];
  const highest = Math.min(powers.at(-1), middle + REACH.up);
  const lowest = Math.max(powers[0], middle - REACH.down);
  const pad = Math.max((highest - lowest) * 0.05, 0.1);
  const [top, bottom] = [highest + pad, lowest - pad];
  const [first, last] = [steps[0], Math.max(steps.at(-1), steps[0] + 1)];
  const inner = { x: SIZE.width - SIZE.left - SIZE.right, y: SIZE.height - SIZE.top - SIZE.bottom };
  const x = (step) => SIZE.left + (inner.x * (step - first)) / (last - first);
  const power = (p) => SIZE.top + (inner.y * (top - p)) / (top - bottom);
  const y = (loss) => power(Math.min(Math.max(Math.log10(loss), bottom), top));
  return { x, y, power, top, bottom, first, last };
}

function gridLines({ x, y, power, top, bottom, first, last }) {
  const parts = [];
  const right = SIZE.width - SIZE.right;
  const level = (at, label) => {
    parts.push(svg("line", { x1: SIZE.left, x2: right, y1: at, y2: at, class: "grid" }));
    parts.push(svg("text", { x: SIZE.left - 6, y: at + 3.5, "text-anchor": "end" }, label));
  };
  const every = Math.max(1, Math.ceil((top - bottom) / 5));
  const decades = [];
  for (let p = Math.ceil(bottom / every) * every; p <= top; p += every) decades.push(p);
  if (decades.length >= 2) {
    for (const p of decades) level(power(p), powerOfTen(p));
  } else {
    // Less than a decade or two: name values near the ends instead.
    for (const p of [bottom * 0.85 + top * 0.15, bottom * 0.15 + top * 0.85]) {
      const value = Number((10 ** p).toPrecision(2));
      level(y(value), rounded(value, 2));
    }
  }
  const base = SIZE.height - SIZE.bottom;
  const stride = 10 ** exponentOf(last - first);
  const step = [1, 2, 5].map((m) => (m * stride) / 2).find((s) => (last - first) / s <= 5) ?? stride * 5;
  for (let s = Math.ceil(first / step) * step; s <= last; s += step) {
    parts.push(svg("line", { x1: x(s), x2: x(s), y1: base, y2: base + 4, class: "tick" }));
    parts.push(svg("text", { x: Math.min(x(s), right - 4), y: base + 15, "text-anchor": "middle" }, grouped(s)));
  }
  parts.push(svg("line", { x1: SIZE.left, x2: right, y1: base, y2: base, class: "tick" }));
  parts.push(svg("text", { x: right, y: SIZE.height - 2, "text-anchor": "end" }, "step"));
  parts.push(svg("text", { x: 2, y: SIZE.height - 2, "text-anchor": "start" }, "loss"));
  return parts;
}

function curves(steps, losses, { x, y }) {
  const parts = [];
  let path = "";
  let alone = true;
  const end = () => {
    if (path) parts.push(svg("path", { d: alone ? `${path}h0.01` : path, class: "curve" }));
    path = "";
    alone = true;
  };
  losses.forEach((loss, k) => {
    if (loss === null || loss <= 0) return end();
    alone = path === "";
    path += `${path ? "L" : "M"}${x(steps[k]).toFixed(1)} ${y(loss).toFixed(1)}`;
  });
  end();
  return parts;
}

function markers(steps, losses, escape, { x }) {
  const parts = [];
  const [top, base] = [SIZE.top, SIZE.height - SIZE.bottom];
  const gone = losses.findIndex((loss) => loss === null);
  if (gone >= 0) {
    const from = x(steps[Math.max(gone - 1, 0)]);
    parts.push(svg("rect", { x: from, y: top, width: SIZE.width - SIZE.right - from, height: base - top, class: "gone" }));
  }
  if (escape >= 0) parts.push(svg("line", { x1: x(escape), x2: x(escape), y1: top, y2: base, class: "escape" }));
  return parts;
}
