/** The panel of a rectangle: the dimension of the boundary in it. */

import { cancelRegion, getRegion, startRegion } from "./api.js";
import { el, listSentences, make, showCommand } from "./dom.js";
import { grouped, rounded } from "./numbers.js";

const POLL_MS = 700;
const LEAST_BUDGET = 500;

/** One measurement at a time; a new one cancels the one before. */
export class RegionPanel {
  #name = null;
  #turn = 0;
  #last = null;

  /** @param {(error: Error, again: () => void) => void} failed */
  constructor(failed) {
    this.failed = failed;
    el("region-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#last) this.measure(...this.#last);
    });
    el("region-cancel").addEventListener("click", () => this.cancel());
    // Nobody would read the result, and the next rectangle would wait for it.
    addEventListener("pagehide", () => {
      if (this.#name !== null) cancelRegion(this.#name).catch(() => {});
    });
  }

  /** Forget the rectangle, as a new scene does. */
  clear() {
    this.cancel();
    this.#turn++; // a rectangle that is just being handed in is of the scene before
    this.#last = null;
    el("region-start").disabled = true;
    el("region-where").textContent = "";
    el("region-result").replaceChildren();
    showCommand(el("region-command"), "");
    el("region-hint").hidden = false;
  }

  /** Stop what is being measured. */
  async cancel() {
    const name = this.#name;
    if (name === null) return;
    this.#end();
    el("region-result").replaceChildren(make("p", { textContent: "Cancelled." }));
    try {
      await cancelRegion(name);
    } catch (error) {
      this.failed(error, null);
    }
  }

  /**
   * Measure a rectangle.
   * @param {Object} scene
   * @param {{x: number[], y: number[], text: string}} box  low and high values, and both in words
   */
  async measure(scene, box) {
    await this.cancel();
    const turn = ++this.#turn;
    this.#last = [scene, box];
    el("region-hint").hidden = true;
    el("region-start").disabled = false;
    el("region-where").textContent = box.text;
    el("region-result").replaceChildren();
    showCommand(el("region-command"), "");
    const budget = Math.round(Number(el("region-budget").value));
    if (!(budget >= LEAST_BUDGET)) {
      el("region-result").replaceChildren(make("p", { className: "problem", textContent: `At least ${LEAST_BUDGET} runs are needed.` }));
      el("region-budget").focus();
      return;
    }
    try {
      const { region } = await startRegion(scene.id, { x: box.x, y: box.y, budget });
      if (turn !== this.#turn) return void cancelRegion(region).catch(() => {});
      this.#name = region;
      el("region-cancel").hidden = false;
      await this.#follow(region);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#end();
      this.failed(error, () => this.measure(scene, box));
    }
  }

  async #follow(region) {
    while (this.#name === region) {
      const report = await getRegion(region);
      if (this.#name !== region) return;
      this.#progress(report);
      showCommand(el("region-command"), report.command);
      if (report.state !== "waiting" && report.state !== "running") {
        this.#end();
        this.#result(report);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #progress({ state, done, total }) {
    const bar = el("region-progress");
    bar.hidden = false;
    bar.value = total > 0 ? done / total : 0;
    const words = state === "waiting" ? "Waiting for a place …" : `${grouped(done)} of ${grouped(total)} runs`;
    el("region-count").textContent = words; // not in the live region: it would be read out each second
  }

  #result({ state, message, estimate }) {
    const parts = [];
    if (message) parts.push(make("p", { className: state === "failed" ? "problem" : "", textContent: message }));
    if (state === "cancelled" && !message) parts.push(make("p", { textContent: "Cancelled." }));
    if (estimate) parts.push(...this.#estimate(estimate));
    el("region-result").replaceChildren(...parts);
  }

  #estimate({ value, stderr, ci_low: low, ci_high: high, n_runs: runs, window, method, flags }) {
    const parts = [];
    if (value === null) {
      parts.push(make("p", { className: "verdict", textContent: "No dimension could be estimated." }));
    } else {
      const known = (v) => v !== null && v !== undefined;
      const text = `D = ${value.toFixed(2)}${known(stderr) ? ` ± ${stderr.toFixed(2)}` : ""}`;
      parts.push(make("p", { className: "headline", textContent: text }));
      if (known(low) && known(high)) {
        parts.push(make("p", { textContent: `95 % interval ${low.toFixed(2)} to ${high.toFixed(2)}` }));
      }
    }
    const scales = window?.every(Number.isFinite) ? `, scales ${rounded(window[0], 2)} to ${rounded(window[1], 2)}` : "";
    const how = method ? `, by ${method}` : "";
    parts.push(make("p", { className: "fine", textContent: `From ${grouped(runs)} runs${how}${scales}.` }));
    const list = make("ul", { className: "flags" });
    listSentences(list, flags ?? []);
    parts.push(list);
    return parts;
  }

  #end() {
    this.#name = null;
    this.#turn++;
    el("region-cancel").hidden = true;
    el("region-progress").hidden = true;
    el("region-count").textContent = "";
  }
}
