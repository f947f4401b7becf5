/** Files and the command line of the current view. */

import { getCommand, getDownload } from "./api.js";
import { copyText, el } from "./dom.js";
import { displayLevel, visiblePoints } from "./geometry.js";

/** The most points a file may have each way. */
const MOST_POINTS = 2048;

/**
 * What the server calls the visible part of the displayed level.
 * @returns {{level: string, columns: string, rows: string}}
 */
export function partInView(scene, view) {
  const z = displayLevel(scene, view);
  const { i0, i1, j0, j1 } = visiblePoints(scene, view, z);
  const range = (from, to) => {
    const excess = Math.max(to - from + 1 - MOST_POINTS, 0);
    const first = from + Math.floor(excess / 2);
    return `${first}:${Math.min(to, first + MOST_POINTS - 1)}`;
  };
  return { level: String(z), columns: range(i0, i1), rows: range(j0, j1) };
}

/**
 * Wire the buttons.
 * @param {() => {scene: Object, view: Object, field: string, palette: string}|null} current
 * @param {(error: Error, again: () => void) => void} failed
 * @returns {() => void}  to be called when the view changes: takes back what is no longer true
 */
export function wireSaving(current, failed) {
  const note = (text) => (el("save-note").textContent = text);
  const idOf = ({ scene, view }) => JSON.stringify([scene.id, partInView(scene, view)]);
  let shown = "";

  async function download(format) {
    const now = current();
    if (!now) return;
    note("Preparing the file …");
    try {
      const part = partInView(now.scene, now.view);
      const { blob, name } = await getDownload(now.scene.id, { format, field: now.field, palette: now.palette, ...part });
      offer(blob, name);
      note(`${name} is ready.`);
    } catch (error) {
      note("");
      failed(error, () => download(format));
    }
  }

  async function command() {
    const now = current();
    if (!now) return;
    try {
      const { command: text } = await getCommand(now.scene.id, partInView(now.scene, now.view));
      const box = el("command-text");
      el("command-box").hidden = false;
      box.value = text;
      shown = idOf(now);
      if (await copyText(text)) {
        note("Copied to the clipboard.");
      } else {
        box.select();
        note("Selected below: copy it from there.");
      }
    } catch (error) {
      note("");
      failed(error, command);
    }
  }

  for (const format of ["png", "npz", "zarr"]) el(`download-${format}`).addEventListener("click", () => download(format));
  el("copy-command").addEventListener("click", command);

  return () => {
    if (el("command-box").hidden || idOf(current()) === shown) return;
    el("command-box").hidden = true;
    note("");
  };
}

function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
