/** The selectors of the header and the form of the axes. */

import { el, make } from "./dom.js";

const option = (value, text, title = "") => make("option", { value, textContent: text, title });

/** Fill the selector of scenes from the menu. */
export function fillScenes(menu) {
  const group = (label, key, entries) => {
    const options = entries.map(({ name, description }) => option(`${key}=${name}`, name, description));
    return Object.assign(make("optgroup", {}, ...options), { label });
  };
  el("scene-select").replaceChildren(
    option("scene=start", "as started"),
    group("Presets", "preset", menu.presets),
    group("Architectures", "arch", menu.architectures),
  );
  const palettes = Object.entries(menu.palettes).map(([name, { label }]) => option(name, label));
  el("palette-select").replaceChildren(...palettes);
}

/** The part of a query that says which scene it is, without axes and steps. */
export function baseOf(query) {
  const key = ["scene", "preset", "arch"].find((name) => name in query);
  return key ? { [key]: query[key] } : { scene: "start" };
}

/** Show a scene in the heading, the selectors and the form. */
export function showScene(scene) {
  document.title = `${scene.title} · dynfrac explore`;
  el("title").textContent = scene.title;
  el("conditions").textContent = scene.conditions;
  const [[key, name]] = Object.entries(baseOf(scene.query));
  const select = el("scene-select");
  if (![...select.options].some(({ value }) => value === `${key}=${name}`)) select.append(option(`${key}=${name}`, name));
  select.value = `${key}=${name}`;
  el("field-select").replaceChildren(...scene.fields.map(({ name: field, label }) => option(field, label)));
  for (const side of ["x", "y"]) {
    const axis = scene.axes[side];
    const names = [...new Set([...scene.hyperparameters, axis.name])];
    el(`${side}-name`).replaceChildren(...names.map((each) => option(each, each)));
    el(`${side}-name`).value = axis.name;
    el(`${side}-low`).value = String(axis.low);
    el(`${side}-high`).value = String(axis.high);
    el(`${side}-scale`).value = axis.scale;
  }
  el("n-steps").value = String(scene.n_steps);
}

/** What the form asks for, as the keys of a query. */
export function readForm() {
  const query = {};
  for (const side of ["x", "y"]) {
    const [name, low, high, scale] = ["name", "low", "high", "scale"].map((part) => el(`${side}-${part}`).value.trim());
    query[side] = `${name}=${low}:${high}:${scale}`;
  }
  query.steps = el("n-steps").value.trim();
  return query;
}

const KEPT = "dynfrac-theme";

/** Wire the choice of light and dark; `changed` is called when the colours are others. */
export function wireTheme(changed) {
  const select = el("theme-select");
  const apply = (choice) => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept === "light" || kept === "dark") select.value = kept;
  } catch {
    // Storage may be forbidden; the choice then holds for this page only.
  }
  apply(select.value);
  select.addEventListener("change", () => {
    apply(select.value);
    try {
      localStorage.setItem(KEPT, select.value);
    } catch {
      // As above.
    }
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

/** The colours of the style sheet, for the canvases. */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const family = getComputedStyle(document.body).fontFamily;
  return {
    ink: colour("ink-soft"),
    outside: colour("outside"),
    pending: colour("pending"),
    mark: "#ffffff",
    markEdge: "#000000",
    tickFont: `12px ${family}`,
    titleFont: `600 12px ${family}`,
  };
}
