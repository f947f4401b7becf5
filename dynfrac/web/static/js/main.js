/** The page of `dynfrac explore`: scenes, the address of the view, and the wiring of the rest. */

import { getMenu, getScene, isAbort } from "./api.js";
import { readHash, writeHash } from "./bookmarks.js";
import { baseOf, fillScenes, readForm, showScene, wireTheme } from "./controls.js";
import { debounced, el } from "./dom.js";
import { glide } from "./input.js";
import { hideError, setStatus, showError, showFormError, wireNotices } from "./notices.js";
import { Picture } from "./picture.js";
import { Pointing } from "./pointing.js";
import { wireSaving } from "./save.js";

let menu = null;
let palette = "";
let loading = null;

const addressSoon = debounced(() => writeAddress(), 250);
const picture = new Picture({
  changed: () => {
    addressSoon();
    commandStale();
  },
  drawn: () => pointing.showHover(),
  unknown: () => openScene(readHash(location.hash)),
});
const pointing = new Pointing(picture, addressSoon);

/**
 * Load a scene and show a view of it.
 * @param {Object} wanted  as `readHash` gives it
 * @param {Object} how  `push`: a new entry of the history; `inForm`: errors go beside the form
 */
async function openScene(wanted, { push = false, inForm = false } = {}) {
  loading?.abort();
  const control = (loading = new AbortController());
  setStatus("refining", "loading the scene");
  showFormError("");
  try {
    menu ??= await loadMenu();
    const scene = await getScene(wanted.query, control.signal);
    if (control !== loading) return;
    loading = null;
    hideError();
    enterScene(scene, wanted);
    writeAddress(push);
  } catch (error) {
    if (isAbort(error) || control !== loading) return;
    loading = null;
    sceneFailed(error, () => openScene(wanted, { push }), inForm);
  }
}

async function loadMenu() {
  const answer = await getMenu();
  fillScenes(answer);
  el("version").textContent = answer.version;
  return answer;
}

function enterScene(scene, wanted) {
  pointing.clear();
  picture.enter(scene);
  showScene(scene);
  applyView(wanted);
}

/** What was shown stays, and with it what its selectors say. */
function sceneFailed(error, again, inForm) {
  if (inForm) {
    showFormError(error.message);
    picture.refine();
    return;
  }
  if (picture.scene) {
    showScene(picture.scene);
    el("field-select").value = picture.field.name;
  }
  setStatus("error", "the scene could not be loaded");
  showError(error, again);
}

/** Show field, palette, place and run of an address. */
function applyView({ cx = 0.5, cy = 0.5, zoom = 0, point, ...wanted }) {
  const { fields } = picture.scene;
  const field = fields.find(({ name }) => name === wanted.field) ?? fields[0];
  palette = Object.hasOwn(menu.palettes, wanted.palette ?? "") ? wanted.palette : Object.keys(menu.palettes)[0];
  el("field-select").value = field.name;
  el("palette-select").value = palette;
  picture.show({ field, palette: menu.palettes[palette], cx, cy, zoom });
  pointing.choose(point);
}

/** Write the address of what is shown. */
function writeAddress(push = false) {
  const { scene, field, view, point } = picture;
  if (!scene || loading) return;
  const hash = writeHash({ query: scene.query, field: field.name, palette, view, point });
  if (hash === location.hash) return;
  if (push) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
}

/** Show what the address says, which the user or the history has changed. */
function readAddress() {
  const wanted = readHash(location.hash);
  const same = picture.scene && !loading && sameQuery(wanted.query, picture.scene.query);
  if (same) applyView(wanted);
  else openScene(wanted);
}

function sameQuery(a, b) {
  const text = (query) => JSON.stringify(Object.entries(query).map(([key, value]) => [key, String(value)]).sort());
  return text(a) === text(b);
}

/** Open a scene that was chosen on the page, in the field and palette that are shown. */
function chooseScene(query, how) {
  openScene({ query, field: picture.field?.name, palette, point: null }, { push: true, ...how });
}

el("scene-select").addEventListener("change", ({ target }) => {
  chooseScene(Object.fromEntries(new URLSearchParams(target.value)));
});
el("scene-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (picture.scene) chooseScene({ ...baseOf(picture.scene.query), ...readForm() }, { inForm: true });
});
el("field-select").addEventListener("change", ({ target }) => {
  picture.show({ field: picture.scene.fields.find(({ name }) => name === target.value) });
});
el("palette-select").addEventListener("change", ({ target }) => {
  palette = target.value;
  picture.show({ palette: menu.palettes[palette] });
});
el("zoom-in").addEventListener("click", () => glide(picture.view, 1));
el("zoom-out").addEventListener("click", () => glide(picture.view, -1));
el("home").addEventListener("click", () => picture.view.home());
for (const type of ["focus", "blur"]) el("map").addEventListener(type, () => picture.redraw());
// The skip link must not replace the address of the view.
el("skip").addEventListener("click", (event) => {
  event.preventDefault();
  el("map").focus();
});
wireNotices();
wireTheme(() => picture.retheme());
const commandStale = wireSaving(
  () => picture.scene && { scene: picture.scene, view: picture.view, field: picture.field.name, palette },
  showError,
);
addEventListener("hashchange", readAddress);
new ResizeObserver(([{ contentRect }]) => picture.view.resize(contentRect.width, contentRect.height)).observe(el("map"));
readAddress();
