/** What the pointer does on the map: reading values, choosing a run, drawing a rectangle. */

import { OUTCOME_WORDS } from "./colours.js";
import { el } from "./dom.js";
import { intervals } from "./geometry.js";
import { listenToInput } from "./input.js";
import { showError } from "./notices.js";
import { fieldValue } from "./numbers.js";
import { PointPanel } from "./point.js";
import { RegionPanel } from "./region.js";
import { cellAt } from "./sample.js";

const inside = (f) => Math.min(Math.max(f, 0), 1);
const inWindow = ({ fx, fy }) => inside(fx) === fx && inside(fy) === fy;

/** Connects the map with the panels of a run and of a rectangle. */
export class Pointing {
  #points = new PointPanel(showError);
  #regions = new RegionPanel(showError);
  #measuring = false;
  #pointer = null;

  /**
   * @param {import("./picture.js").Picture} picture
   * @param {() => void} chosen  another run is chosen, or none
   */
  constructor(picture, chosen) {
    Object.assign(this, { picture, chosen });
    listenToInput(el("map"), picture.view, {
      click: (x, y) => this.#click(x, y),
      hover: (pointer) => {
        this.#pointer = pointer;
        this.showHover();
      },
      measuring: () => this.#measuring,
      rectangle: (corners, done) => this.#drawRectangle(corners, done),
      escape: () => {
        this.#setMeasuring(false);
        picture.box = null;
        picture.redraw();
      },
    });
    el("measure-toggle").addEventListener("click", () => this.#setMeasuring(!this.#measuring));
    el("measure-view").addEventListener("click", () => {
      this.#drawRectangle([0, 0, picture.view.width, picture.view.height], true);
    });
    el("point-close").addEventListener("click", () => this.choose(null));
  }

  /** Forget what belongs to the scene before. */
  clear() {
    this.#points.clear();
    this.#regions.clear();
    this.#setMeasuring(false);
  }

  /** Choose a run by its place {fx, fy}, or none. */
  choose(point) {
    const { picture } = this;
    picture.point = point;
    if (point) this.#points.show(picture.scene, picture.valuesAt(point));
    else this.#points.clear();
    picture.redraw();
    this.chosen();
  }

  /** Say what lies under the pointer. */
  showHover() {
    const { picture } = this;
    const place = this.#pointer && picture.scene && picture.view.fractionAt(this.#pointer.x, this.#pointer.y);
    if (!place || !inWindow(place)) {
      el("hover").textContent = "";
      return;
    }
    const { x, y } = picture.scene.axes;
    const { textX, textY } = picture.valuesAt(place);
    const cell = cellAt(picture.levels, place);
    let outcome = cell ? OUTCOME_WORDS[cell.status] : "not computed yet";
    if (cell && picture.field.kind !== "classes" && !Number.isNaN(cell.value)) {
      outcome += `, ${picture.field.name} ${fieldValue(cell.value)}`;
    }
    el("hover").textContent = `${x.name} ${textX} · ${y.name} ${textY} · ${outcome}`;
  }

  /** Choose the run of the cell that is seen at a place of the canvas. */
  #click(x, y) {
    const { picture } = this;
    if (!picture.scene) return;
    const place = picture.view.fractionAt(x, y);
    if (!inWindow(place)) return;
    const N = cellAt(picture.levels, place)?.N ?? intervals(picture.scene, picture.level);
    const nearest = (f) => Math.round(f * N) / N;
    this.choose({ fx: nearest(place.fx), fy: nearest(place.fy) });
  }

  #setMeasuring(on) {
    this.#measuring = on;
    el("measure-toggle").setAttribute("aria-pressed", String(on));
    el("map").classList.toggle("measuring", on);
  }

  #drawRectangle(corners, done) {
    const { picture } = this;
    if (!picture.scene) return;
    picture.box = corners && this.#boxOf(corners);
    picture.redraw();
    if (!done) return;
    this.#setMeasuring(false);
    if (picture.box) this.#measure(picture.box);
  }

  /** The part of a rectangle on the canvas that lies in the window, or null. */
  #boxOf([x0, y0, x1, y1]) {
    const [a, b] = [this.picture.view.fractionAt(x0, y0), this.picture.view.fractionAt(x1, y1)];
    const range = (p, q) => [inside(Math.min(p, q)), inside(Math.max(p, q))];
    const box = { x: range(a.fx, b.fx), y: range(a.fy, b.fy) };
    return box.x[1] > box.x[0] && box.y[1] > box.y[0] ? box : null;
  }

  #measure(box) {
    const { scene } = this.picture;
    const [low, high] = [0, 1].map((k) => this.picture.valuesAt({ fx: box.x[k], fy: box.y[k] }));
    const { x, y } = scene.axes;
    const text = `${x.name} ${low.textX} to ${high.textX}, ${y.name} ${low.textY} to ${high.textY}`;
    this.#regions.measure(scene, { x: [low.x, high.x], y: [low.y, high.y], text });
  }
}
