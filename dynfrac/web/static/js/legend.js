/** The key of the colours, in words, with the shares of the cells in view. */

import { OUTCOMES, OUTCOME_WORDS, rampColours } from "./colours.js";
import { make } from "./dom.js";
import { percent, rounded } from "./numbers.js";

/**
 * Fill the key.
 * @param {HTMLElement} holder
 * @param {{label: string}} field
 * @param {Object} key  of the scale
 * @param {Object} palette
 * @param {string[]} ends  words for the ends of a signed field
 * @param {{shares: number[], known: number}} sample
 */
export function drawKey(holder, field, key, palette, ends, sample) {
  const parts = [make("p", { className: "key-field", textContent: field.label })];
  const share = (codes) => codes.reduce((sum, code) => sum + sample.shares[code], 0);
  if (key.kind === "signed") {
    const colours = rampColours(palette.signed);
    const end = Math.round(((1 - key.gap) / 2) * 255);
    parts.push(
      ramp("did not converge", share([2, 3, 4]), colours.slice(0, end + 1), ends[0], ends[1], sample.known),
      ramp("converged", share([1]), colours.slice(255 - end), ends[2], ends[3], sample.known),
    );
  } else if (key.kind === "classes") {
    parts.push(swatches([1, 2, 3, 4], palette, sample));
  } else if (key.kind === "log") {
    if (!key.empty) parts.push(bar(rampColours(palette.sequential), rounded(key.low, 2), rounded(key.high, 2), "logarithmic"));
    parts.push(swatches(key.classesShown, palette, sample));
  } else if (key.kind === "diverging") {
    parts.push(bar(rampColours(palette.diverging), rounded(key.low, 2), rounded(key.high, 2), "0"));
  } else {
    parts.push(bar(rampColours(palette.sequential), "0", "1", ""));
  }
  if (key.kind === "diverging" || key.kind === "share") {
    if (key.classesShown.length) parts.push(swatches(key.classesShown, palette, sample));
  }
  const shares = [1, 2, 3, 4].filter((code) => sample.shares[code] > 0);
  if (key.kind === "signed" || key.kind === "diverging" || key.kind === "share") {
    const words = shares.map((code) => `${percent(sample.shares[code])} ${OUTCOME_WORDS[code]}`);
    parts.push(make("p", { className: "fine", textContent: sample.known ? `In view: ${words.join(", ")}.` : "" }));
  }
  if (key.kind === "signed") {
    parts.push(make("p", { className: "fine", textContent: "Colours rank the cells in view, each class by itself." }));
  }
  holder.replaceChildren(...parts);
}

function ramp(title, share, colours, low, high, known) {
  const head = make("p", { className: "key-head" }, make("span", { textContent: title }));
  head.append(make("b", { textContent: known ? percent(share) : "–" }));
  return make("div", { className: "key-ramp" }, head, bar(colours, low, high, ""));
}

function bar(colours, low, high, middle) {
  const strip = make("div", { className: "key-bar" });
  const stops = colours.filter((_, k) => k % 8 === 0 || k === colours.length - 1);
  strip.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const words = [low, middle, high].filter((word, k) => k !== 1 || word);
  const ends = make("div", { className: "key-ends" }, ...words.map((textContent) => make("span", { textContent })));
  return make("div", {}, strip, ends);
}

function swatches(codes, palette, sample) {
  const items = codes.map((code) => {
    const patch = make("i");
    patch.style.background = palette.classes[OUTCOMES[code]];
    const share = make("b", { textContent: sample.known ? percent(sample.shares[code]) : "–" });
    return make("li", {}, patch, make("span", { textContent: OUTCOME_WORDS[code] }), share);
  });
  return make("ul", { className: "key-classes" }, ...items);
}
