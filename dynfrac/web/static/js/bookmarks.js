/** The address of a view: everything needed to come back to it stands behind the # of the URL. */

/** What of the address is about the view; everything else is the scene's query. */
const VIEW_KEYS = new Set(["field", "palette", "cx", "cy", "zoom", "at"]);

/**
 * The state an address describes.
 * @param {string} hash
 * @returns {{query: Object<string, string>, field?: string, palette?: string, cx?: number,
 *   cy?: number, zoom?: number, point: {fx: number, fy: number}|null}}
 */
export function readHash(hash) {
  const entries = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { query: {}, point: null };
  for (const [key, value] of entries) {
    if (key === "field" || key === "palette") state[key] = value;
    else if (!VIEW_KEYS.has(key)) state.query[key] = value;
  }
  for (const key of ["cx", "cy", "zoom"]) {
    const number = Number.parseFloat(entries.get(key) ?? "");
    if (Number.isFinite(number)) state[key] = number;
  }
  const place = (entries.get("at") ?? "").split(",").map(Number.parseFloat);
  if (place.length === 2 && place.every((f) => f >= 0 && f <= 1)) state.point = { fx: place[0], fy: place[1] };
  if (!["scene", "preset", "arch"].some((key) => key in state.query)) state.query.scene = "start";
  return state;
}

/**
 * The address of a state; the inverse of `readHash`.
 *
 * Numbers are written with all their digits, so that a deep view is found again to the pixel.
 */
export function writeHash({ query, field, palette, view, point }) {
  const entries = { ...query, field, palette, cx: view.cx, cy: view.cy, zoom: Number(view.zoom.toFixed(4)) };
  if (point) entries.at = `${point.fx},${point.fy}`;
  return `#${Object.entries(entries).map(([key, value]) => `${key}=${encode(value)}`).join("&")}`;
}

/** Like encodeURIComponent, but what is harmless in a fragment stays readable. */
function encode(value) {
  return encodeURIComponent(value).replace(/%(3A|2C|3D|2F)/g, decodeURIComponent);
}
