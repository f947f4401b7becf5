/** The picture: what is shown of a scene, kept drawn, coloured and refined. */

import { drawAxis, scaleBar } from "./axes.js";
import { makeScale } from "./colours.js";
import { readTheme } from "./controls.js";
import { debounced, el } from "./dom.js";
import { displayLevel, valueAt, valueChange, visiblePoints } from "./geometry.js";
import { drawKey } from "./legend.js";
import { MapCanvas } from "./map.js";
import { hideError, markStale, setStatus, showError, showProgress } from "./notices.js";
import { magnification, percent, resolved } from "./numbers.js";
import { Refiner } from "./refine.js";
import { sampleView } from "./sample.js";
import { drawnLevels, missingTiles, TileStore } from "./tiles.js";
import { View } from "./view.js";

/** A view must have rested this long before tiles are asked for. */
const REST_MS = 60;
/** Colours are scaled anew at most this often. */
const RECOLOUR_MS = 200;
/** Painted tiles that were not in the last so many pictures lose their images. */
const KEPT_PICTURES = 50;
const ABOUT = "refining";

/** The map with its axes, key and status line. */
export class Picture {
  scene = null;
  field = null;
  palette = null;
  /** The chosen run {fx, fy} and the rectangle {x: [,], y: [,]}, or null. */
  point = null;
  box = null;

  #store = new TileStore();
  #map = new MapCanvas(el("map"));
  #theme = readTheme();
  #sample = null;
  #limitMessage = "";
  #frame = 0;
  /** Whether the view has changed since tiles were asked for. */
  #moved = false;
  #recolourTimer = 0;
  #recolouredAt = -Infinity;
  #refineSoon = debounced(() => this.refine(), REST_MS);
  #describeSoon = debounced(() => this.#describe(), 600);

  /**
   * @param {Object} acts
   * @param {() => void} acts.changed  the view, or what is shown in it, is another
   * @param {() => void} acts.drawn
   * @param {() => void} acts.unknown  the server does not know the scene (it was started anew)
   */
  constructor(acts) {
    this.acts = acts;
    this.view = new View(() => this.#changed());
    this.refiner = new Refiner({
      tile: (job, header, payload) => this.#takeTile(job, header, payload),
      progress: showProgress,
      limit: (job, header) => this.#takeLimit(job, header),
      failed: (error) => this.#failed(error),
      done: () => this.#done(),
    });
  }

  /** Show another scene; `show` has to follow. */
  enter(scene) {
    this.refiner.stop();
    Object.assign(this, { scene, point: null, box: null });
    this.view.setScene(scene);
  }

  /**
   * Show a field in a palette at a place, of which any may be left as it is.
   * @param {{field?: Object, palette?: Object, cx?: number, cy?: number, zoom?: number}} wanted
   */
  show({ field = this.field, palette = this.palette, cx = this.view.cx, cy = this.view.cy, zoom = this.view.zoom }) {
    Object.assign(this, { field, palette });
    this.#limitMessage = "";
    this.view.moveTo(cx, cy, zoom);
  }

  /** The colours of the page are others. */
  retheme() {
    this.#theme = readTheme();
    this.#recolourSoon();
  }

  /** The levels of tiles in view, coarse to fine. */
  get levels() {
    return this.#map.levels;
  }

  get level() {
    return displayLevel(this.scene, this.view);
  }

  /** The values at a place, and as text with the digits that the zoom is worth. */
  valuesAt({ fx, fy }) {
    const { x, y } = this.scene.axes;
    const text = (axis, f) => resolved(valueAt(axis, f), Math.abs(valueChange(axis, f, 1 / this.view.scale)));
    return { x: valueAt(x, fx), y: valueAt(y, fy), textX: text(x, fx), textY: text(y, fy) };
  }

  /** Draw with the next frame of the screen. */
  redraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.scene) this.#draw();
    });
  }

  /** Ask for what the view lacks. */
  refine() {
    if (!this.scene) return;
    this.#moved = false;
    const job = { scope: this.#scope, scene: this.scene, field: this.field.name };
    const missing = missingTiles(this.#store, job.scope, job.scene, this.view);
    if (missing.length && !this.refiner.busy) setStatus("refining", "refining");
    this.refiner.aim(job, missing);
  }

  get #scope() {
    return `${this.scene.id}|${this.field.name}`;
  }

  #drawnLevels() {
    return drawnLevels(this.#store, this.#scope, this.scene, this.view);
  }

  #changed() {
    if (!this.scene) return;
    markStale();
    this.#moved = true;
    this.redraw();
    this.#recolourSoon();
    this.#refineSoon();
    this.acts.changed();
  }

  #draw() {
    const { scene, view } = this;
    const marks = { point: this.point, box: this.box, cross: el("map").matches(":focus-visible") };
    this.#map.draw(view, this.#drawnLevels(), marks, this.#theme);
    drawAxis(el("axis-x"), "x", scene.axes.x, view, this.#theme);
    drawAxis(el("axis-y"), "y", scene.axes.y, view, this.#theme);
    const bar = scaleBar(scene.axes.x, view);
    el("scale-bar").firstElementChild.textContent = bar.text;
    el("scale-bar").lastElementChild.style.width = `${bar.pixels}px`;
    el("magnification").textContent = magnification(2 ** view.zoom);
    Object.assign(el("map").dataset, { cx: view.cx, cy: view.cy, zoom: view.zoom, level: this.level });
    this.#showLimit();
    this.acts.drawn();
  }

  #showLimit() {
    const ends = this.view.atLimit;
    const text = this.#limitMessage || `${this.scene.dtype} ends here: finer cells would have the same numbers.`;
    if (ends && el("limit").textContent !== text) el("limit").textContent = text;
    el("limit").hidden = !ends;
    el("zoom-in").disabled = this.view.zoom >= this.view.mostZoom - 1e-6;
  }

  /** Recolour at once if that has not been done lately, or else when its time has come. */
  #recolourSoon() {
    const wait = Math.max(this.#recolouredAt + RECOLOUR_MS - performance.now(), 0);
    this.#recolourTimer ||= setTimeout(() => {
      this.#recolourTimer = 0;
      if (this.scene) this.#recolour();
    }, wait);
  }

  #recolour() {
    this.#recolouredAt = performance.now();
    const { scene, view, field, palette, level } = this;
    this.#sample = sampleView(this.#drawnLevels(), visiblePoints(scene, view, level), level);
    const scale = makeScale(field, this.#sample, palette, this.#theme.pending);
    this.#map.setScale(scale);
    drawKey(el("key"), field, scale.key, palette, scene.ends, this.#sample);
    this.#store.forgetImages(this.#map.pictures - KEPT_PICTURES);
    this.#describeSoon();
    this.redraw();
  }

  #takeTile(job, header, payload) {
    this.#store.put(job.scope, job.scene, header, payload);
    this.redraw();
    this.#recolourSoon();
  }

  #takeLimit(job, header) {
    this.#store.refuse(job.scope, header.tiles);
    this.#limitMessage = header.message;
    this.view.limitLevel(Math.min(...header.tiles.map(([z]) => z)));
    this.redraw();
  }

  #done() {
    if (this.#moved) return; // what is complete is the view before
    const ends = this.view.atLimit;
    setStatus(ends ? "limit" : "complete", ends ? `complete; ${this.scene.dtype} ends here` : "complete", 1);
    hideError(ABOUT);
  }

  #failed(error) {
    setStatus("error", "stopped by an error");
    showError(error, error.status === 404 ? this.acts.unknown : () => this.refine(), ABOUT);
  }

  /** Say in words what the canvas shows. */
  #describe() {
    if (!this.scene || !this.#sample) return;
    const inside = (f) => Math.min(Math.max(f, 0), 1);
    const [spanX, spanY] = [this.view.spanX(), this.view.spanY()];
    const [low, high] = [0, 1].map((k) => this.valuesAt({ fx: inside(spanX[k]), fy: inside(spanY[k]) }));
    const { x, y } = this.scene.axes;
    const share = this.#sample.known ? ` ${percent(this.#sample.shares[1])} of the cells in view converged.` : "";
    const place = `${x.name} ${low.textX} to ${high.textX} across, ${y.name} ${low.textY} to ${high.textY} upwards`;
    const times = magnification(2 ** this.view.zoom).slice(1);
    el("map").setAttribute("aria-label", `Map of ${this.field.label}: ${place}, magnified ${times} times.${share}`);
  }
}
