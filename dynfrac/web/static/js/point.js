/** The panel of one run: its outcome, its loss curve and its exponents. */

import { getExponents, getPoint, isAbort } from "./api.js";
import { drawLossCurve } from "./chart.js";
import { el, listSentences, make, showCommand } from "./dom.js";
import { grouped, significant } from "./numbers.js";

const OUTCOME_SENTENCES = {
  converged: "converged",
  bounded: "stayed bounded",
  escaped: "escaped",
  "not finite": "became not finite",
};

const known = (value, digits) => (value === null || value === undefined ? "none" : significant(value, digits));

/** Shows the run at a place; a newer place withdraws the questions about the one before. */
export class PointPanel {
  #control = null;

  /** @param {(error: Error, again: () => void) => void} failed */
  constructor(failed) {
    this.failed = failed;
  }

  /** Empty the panel. */
  clear() {
    this.#control?.abort();
    this.#control = null;
    this.#reveal(false);
  }

  /**
   * Show the run at values of the hyperparameters.
   * @param {Object} scene
   * @param {{x: number, y: number, textX: string, textY: string}} place
   */
  async show(scene, place) {
    this.#control?.abort();
    const control = (this.#control = new AbortController());
    this.#reveal(true);
    this.#facts([[scene.axes.x.name, place.textX], [scene.axes.y.name, place.textY], ["outcome", "computing …"]]);
    el("loss-curve").replaceChildren();
    el("exponents").replaceChildren();
    listSentences(el("point-flags"), []);
    showCommand(el("point-command"), "");
    el("point-panel").setAttribute("aria-busy", "true");
    try {
      this.#showRun(scene, place, await getPoint(scene.id, place.x, place.y, control.signal));
      el("exponents").replaceChildren(make("p", { className: "fine", textContent: "Computing the exponents …" }));
      this.#showExponents(await getExponents(scene.id, place.x, place.y, control.signal));
    } catch (error) {
      if (isAbort(error) || control !== this.#control) return;
      el("exponents").replaceChildren();
      this.failed(error, () => this.show(scene, place));
    } finally {
      if (control === this.#control) el("point-panel").removeAttribute("aria-busy");
    }
  }

  #reveal(shown) {
    el("point-body").hidden = !shown;
    el("point-close").hidden = !shown;
    el("point-hint").hidden = shown;
  }

  #showRun(scene, place, run) {
    const escape = run.t_escape ?? -1;
    this.#facts([
      [scene.axes.x.name, place.textX],
      [scene.axes.y.name, place.textY],
      ["outcome", OUTCOME_SENTENCES[run.status] ?? run.status],
      ["first loss over the limit", escape >= 0 ? `step ${grouped(escape)}` : "none"],
      ["last loss", run.final_loss === null ? "not finite" : known(run.final_loss, 4)],
      ["measure", known(run.measure, 5)],
      ...Object.entries(run.recorded ?? {}).map(([name, value]) => [name, known(value, 4)]),
    ]);
    drawLossCurve(el("loss-curve"), run.steps, run.losses, escape);
    listSentences(el("point-flags"), run.flags ?? []);
    showCommand(el("point-command"), run.command);
  }

  #showExponents({ exponents, stderr, unit, n_steps: steps, flags, command }) {
    const list = make("ul", { className: "values" });
    exponents.forEach((value, k) => {
      const error = stderr?.[k] ? ` ± ${significant(stderr[k], 1)}` : "";
      const text = value === null ? "none" : `${significant(value, 3)}${error}`;
      const sub = make("sub", { textContent: k + 1 });
      list.append(make("li", {}, make("span", {}, "λ", sub), make("b", { textContent: text })));
    });
    const note = make("p", { className: "fine", textContent: `Largest exponents, in ${unit}, over ${grouped(steps)} steps.` });
    const sentences = make("ul", { className: "flags" });
    listSentences(sentences, flags ?? []);
    const how = make("div", { className: "command" });
    showCommand(how, command);
    el("exponents").replaceChildren(list, note, sentences, how);
  }

  #facts(pairs) {
    const rows = pairs.map(([term, value]) => make("div", {}, make("dt", { textContent: term }), make("dd", { textContent: value })));
    el("point-facts").replaceChildren(...rows);
  }
}
