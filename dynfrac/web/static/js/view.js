/** What part of the window is shown: a centre in fractions, a zoom, and the size of the canvas. */

/** The window takes this part of the smaller edge of the canvas when the zoom is 0. */
const FIT = 0.97;
/** The farthest one can zoom out, in factors of two. */
const LEAST_ZOOM = -1;
/** Cells of the finest level become this wide (CSS pixels) before zooming ends. */
const WIDEST_CELL = 4;

export class View {
  cx = 0.5;
  cy = 0.5;
  zoom = 0;
  width = 1;
  height = 1;
  #deepest = 40;
  #cells = 16;
  #limit = null;

  /** @param {() => void} changed  called after every change */
  constructor(changed) {
    this.changed = changed;
  }

  /** CSS pixels per unit of fraction. */
  get scale() {
    return this.#fit * 2 ** this.zoom;
  }

  get #fit() {
    return FIT * Math.max(Math.min(this.width, this.height), 1);
  }

  /** The finest level there is here: beyond it the type of the numbers has no places between. */
  get finest() {
    return Math.max(0, Math.min(this.#deepest, (this.#limit ?? Infinity) - 1));
  }

  get mostZoom() {
    return Math.log2((WIDEST_CELL * this.#cells * 2 ** this.finest) / this.#fit);
  }

  /** Whether finer cells would be shown if there were any. */
  get atLimit() {
    return this.scale >= 2 * this.#cells * 2 ** this.finest;
  }

  /** Take the lattice of a scene, and forget the limits met in the one before. */
  setScene(scene) {
    this.#deepest = scene.deepest;
    this.#cells = scene.first_cells;
    this.#limit = null;
  }

  /** The server has said that tiles of level z do not exist here. */
  limitLevel(z) {
    this.#limit = Math.min(this.#limit ?? Infinity, z);
    if (this.zoom > this.mostZoom) this.moveTo(this.cx, this.cy, this.zoom);
  }

  resize(width, height) {
    Object.assign(this, { width, height });
    this.changed();
  }

  moveTo(cx, cy, zoom = this.zoom) {
    // Limits belong to a place: after zooming out well, others may be approached.
    if (this.#limit !== null && zoom < this.mostZoom - 3) this.#limit = null;
    this.cx = Math.min(Math.max(cx, 0), 1);
    this.cy = Math.min(Math.max(cy, 0), 1);
    this.zoom = Math.min(Math.max(zoom, LEAST_ZOOM), this.mostZoom);
    this.changed();
  }

  home() {
    this.moveTo(0.5, 0.5, 0);
  }

  /** Move the picture by CSS pixels (down is positive). */
  panBy(dx, dy) {
    this.moveTo(this.cx - dx / this.scale, this.cy + dy / this.scale);
  }

  /** Zoom by a number of doublings; the place under (x, y) stays where it is. */
  zoomBy(doublings, x = this.width / 2, y = this.height / 2) {
    const zoom = Math.min(Math.max(this.zoom + doublings, LEAST_ZOOM), this.mostZoom);
    const change = (1 - 2 ** (this.zoom - zoom)) / this.scale;
    this.moveTo(this.cx + (x - this.width / 2) * change, this.cy - (y - this.height / 2) * change, zoom);
  }

  /** The fractions under a CSS pixel of the canvas. */
  fractionAt(x, y) {
    return { fx: this.cx + (x - this.width / 2) / this.scale, fy: this.cy - (y - this.height / 2) / this.scale };
  }

  /** CSS pixels of a fraction along x and along y. */
  toX(fx) {
    return this.width / 2 + (fx - this.cx) * this.scale;
  }

  toY(fy) {
    return this.height / 2 - (fy - this.cy) * this.scale;
  }

  /** The fractions at the edges of the canvas. */
  spanX() {
    const half = this.width / 2 / this.scale;
    return [this.cx - half, this.cx + half];
  }

  spanY() {
    const half = this.height / 2 / this.scale;
    return [this.cy - half, this.cy + half];
  }
}
