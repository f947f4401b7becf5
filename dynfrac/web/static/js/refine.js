/** Asking the server for what a view lacks, and withdrawing what no view wants any more. */

import { isAbort, streamTiles } from "./api.js";

/** The most tiles a request may have. */
const BATCH = 1024;

/**
 * One request at a time, for the present view.
 *
 * `aim` is called when the view has come to rest. A request whose tiles are still those that are
 * missing goes on; any other is aborted and made anew, since the server serves what was asked last.
 */
export class Refiner {
  #control = null;
  #wanted = new Set();

  /**
   * @param {Object} acts
   * @param {(job: Object, header: Object, payload: ArrayBuffer) => void} acts.tile
   * @param {(header: Object) => void} acts.progress
   * @param {(job: Object, header: Object) => void} acts.limit
   * @param {(error: Error) => void} acts.failed
   * @param {() => void} acts.done
   */
  constructor(acts) {
    this.acts = acts;
  }

  /** Whether a request is under way. */
  get busy() {
    return this.#control !== null;
  }

  /** Withdraw the request. */
  stop() {
    this.#control?.abort();
    this.#control = null;
    this.#wanted.clear();
  }

  /**
   * Ask for tiles.
   * @param {{scope: string, scene: Object, field: string}} job
   * @param {number[][]} tiles  what is missing, in the order in which it is wanted
   */
  aim(job, tiles) {
    const names = tiles.map((tile) => nameOf(job, tile));
    const same = this.busy && names.length === this.#wanted.size && names.every((name) => this.#wanted.has(name));
    if (same) return;
    this.stop();
    if (tiles.length === 0) {
      this.acts.done();
      return;
    }
    this.#wanted = new Set(names);
    this.#control = new AbortController();
    this.#run(job, tiles, this.#control);
  }

  async #run(job, tiles, control) {
    try {
      for (let from = 0; from < tiles.length; from += BATCH) {
        const batch = tiles.slice(from, from + BATCH);
        for await (const { header, payload } of streamTiles(job.scene.id, job.field, batch, control.signal)) {
          if (control.signal.aborted) return;
          this.#take(job, header, payload);
        }
      }
    } catch (error) {
      if (isAbort(error) || control !== this.#control) return;
      control.abort();
      this.stop();
      this.acts.failed(error);
      return;
    }
    if (control !== this.#control) return;
    this.stop();
    this.acts.done();
  }

  #take(job, header, payload) {
    if (header.type === "tile") {
      this.#wanted.delete(nameOf(job, header.tile));
      this.acts.tile(job, header, payload);
    } else if (header.type === "progress") {
      this.acts.progress(header);
    } else if (header.type === "limit") {
      for (const tile of header.tiles) this.#wanted.delete(nameOf(job, tile));
      this.acts.limit(job, header);
    } else if (header.type === "error") {
      throw new Error(header.message);
    }
  }
}

const nameOf = (job, tile) => `${job.scope}|${tile.join("/")}`;
