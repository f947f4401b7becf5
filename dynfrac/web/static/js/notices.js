/** The status line, and the banner of errors. */

import { el } from "./dom.js";
import { duration, grouped } from "./numbers.js";

/**
 * Set the status line.
 * @param {"refining"|"complete"|"limit"|"error"} kind
 * @param {string} text
 * @param {number} [share]  of the work that is done, 0 to 1
 */
export function setStatus(kind, text, share = 0) {
  const status = el("status");
  status.dataset.state = kind;
  if (status.textContent !== text) status.textContent = text;
  el("progress-bar").style.width = `${100 * share}%`;
  el("progress-bar").parentElement.hidden = kind !== "refining";
}

/** Whoever waits for "complete" must not see the one of the view before; the text can wait. */
export function markStale() {
  el("status").dataset.state = "refining";
}

/** News of progress may come with every tile; nobody wants to read, or hear, all of it. */
const PROGRESS_MS = 500;
let toldAt = -Infinity;

/** Show how far a request is. */
export function showProgress({ done, total, seconds_left: left }) {
  if (performance.now() - toldAt < PROGRESS_MS) return;
  toldAt = performance.now();
  const time = left === null || left === undefined ? "" : `, ${duration(left)}`;
  setStatus("refining", `refining: ${grouped(done)} of ${grouped(total)} runs${time}`, total ? done / total : 0);
}

let topic = "";
let retry = null;

/**
 * Show an error until it is dismissed, repaired or replaced.
 * @param {Error} error  its message is a sentence
 * @param {(() => void)|null} again  what "Try again" does
 * @param {string} [about]  for `hideError`
 */
export function showError(error, again, about = "") {
  [topic, retry] = [about, again];
  el("error-text").textContent = error.message;
  el("error-retry").hidden = !again;
  el("error").hidden = false;
}

/** Hide the error about a topic, or any. */
export function hideError(about = topic) {
  if (topic === about) el("error").hidden = true;
}

/** Show what is wrong with the form of the axes; nothing hides it. */
export function showFormError(text) {
  el("form-error").textContent = text;
  el("form-error").hidden = !text;
}

/** Wire the buttons of the banner. */
export function wireNotices() {
  el("error-retry").addEventListener("click", () => {
    hideError();
    retry?.();
  });
  el("error-dismiss").addEventListener("click", () => hideError());
}
