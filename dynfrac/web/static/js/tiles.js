/** The tiles that have come, within a bound of memory, and which of them a view shows. */

import { displayLevel, intervals, showsWindow, tilePoints, visibleTiles } from "./geometry.js";

/** How many levels coarser than the displayed one are asked for on the way to it. */
const LEAD = 5;
const MEMORY = 64 * 2 ** 20;

/**
 * @typedef {Object} Tile
 * @property {number} z
 * @property {number} i0  global index of the first point along x; `nx` points follow
 * @property {number} j0  the same along y, upwards
 * @property {number} nx
 * @property {number} ny
 * @property {Float32Array} values  row 0 is the low end of y
 * @property {Uint8Array} status
 * @property {boolean} whole  no cell is pending
 * @property {OffscreenCanvas|null} image  painted by the map
 */

/** A cache of tiles; those used longest ago are dropped first. */
export class TileStore {
  #tiles = new Map(); // in order of use
  #never = new Set();
  #bytes = 0;

  constructor(limit = MEMORY) {
    this.limit = limit;
  }

  /** The tile, or undefined; it counts as used. */
  get(scope, z, X, Y) {
    const key = keyOf(scope, z, X, Y);
    const tile = this.#tiles.get(key);
    if (tile) {
      this.#tiles.delete(key);
      this.#tiles.set(key, tile);
    }
    return tile;
  }

  /** Whether a tile need not be asked for: it is here, or will never come. */
  settled(scope, [z, X, Y]) {
    const key = keyOf(scope, z, X, Y);
    return this.#tiles.has(key) || this.#never.has(key);
  }

  /** Remember that tiles are finer than the type of the numbers. */
  refuse(scope, tiles) {
    for (const [z, X, Y] of tiles) this.#never.add(keyOf(scope, z, X, Y));
  }

  /**
   * Keep a tile of the stream.
   * @param {string} scope  what the values are of: scene and field
   * @param {Object} scene
   * @param {{tile: number[], rows: number, columns: number}} header
   * @param {ArrayBuffer} payload
   */
  put(scope, scene, header, payload) {
    const [z, X, Y] = header.tile;
    const cells = header.rows * header.columns;
    const status = new Uint8Array(payload, 4 * cells, cells);
    const tile = {
      z,
      i0: tilePoints(scene, z, 0, X).first,
      j0: tilePoints(scene, z, 1, Y).first,
      nx: header.columns,
      ny: header.rows,
      values: new Float32Array(payload, 0, cells),
      status,
      whole: !status.includes(0),
      image: null,
      painted: 0,
      drawn: 0,
    };
    const key = keyOf(scope, z, X, Y);
    this.#bytes += payload.byteLength - (this.#tiles.get(key)?.values.buffer.byteLength ?? 0);
    this.#tiles.delete(key);
    this.#tiles.set(key, tile);
    for (const [old, { values }] of this.#tiles) {
      if (this.#bytes <= this.limit || old === key) break;
      this.#tiles.delete(old);
      this.#bytes -= values.buffer.byteLength;
    }
  }

  /** Drop the painted images of tiles that have not been drawn since picture number `since`. */
  forgetImages(since) {
    for (const tile of this.#tiles.values()) if (tile.drawn < since) tile.image = null;
  }

  get bytes() {
    return this.#bytes;
  }
}

const keyOf = (scope, z, X, Y) => `${scope}|${z}/${X}/${Y}`;

/**
 * The tiles a view still lacks, in the order in which they are wanted: coarse levels first, and
 * within a level those near the centre first.
 */
export function missingTiles(store, scope, scene, view) {
  if (!showsWindow(view)) return [];
  const last = displayLevel(scene, view);
  const missing = [];
  for (let z = Math.max(0, last - LEAD); z <= last; z++) {
    for (const tile of visibleTiles(scene, view, z)) if (!store.settled(scope, tile)) missing.push(tile);
  }
  return missing;
}

/**
 * The cached tiles that a view shows, level by level in the order in which they have to be drawn:
 * from coarse to fine, starting from the finest level that covers the view without gaps.
 * @returns {{z: number, N: number, tiles: Tile[]}[]}
 */
export function drawnLevels(store, scope, scene, view) {
  if (!showsWindow(view)) return [];
  const last = displayLevel(scene, view);
  const levels = [];
  for (let z = last; z >= 0; z--) {
    const wanted = visibleTiles(scene, view, z);
    const tiles = wanted.map(([, X, Y]) => store.get(scope, z, X, Y)).filter(Boolean);
    if (tiles.length) levels.unshift({ z, N: intervals(scene, z), tiles });
    const covers = tiles.length === wanted.length && tiles.every((tile) => tile.whole);
    if (covers) return levels;
    // After zooming out, the next finer level is often here already; better than what is coarser.
    if (z === last && last < view.finest) {
      const finer = visibleTiles(scene, view, z + 1).map(([, X, Y]) => store.get(scope, z + 1, X, Y)).filter(Boolean);
      if (finer.length) levels.unshift({ z: z + 1, N: intervals(scene, z + 1), tiles: finer });
    }
  }
  return levels;
}
