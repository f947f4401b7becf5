/**
 * Where things are: levels, blocks and tiles of the lattice, and the values along an axis.
 *
 * Places are fractions of the window. Indices reach 2^52 and are exact as doubles; what must not
 * happen is that two large pixel coordinates are subtracted, so that everything on screen is
 * `(fraction - centre) * scale`.
 */

const LN10 = Math.log(10);

/** The number of intervals along an axis at a level. */
export function intervals(scene, z) {
  return scene.first_cells * 2 ** z;
}

/** The level to be shown: its cells are one to two CSS pixels wide, or it is the finest there is. */
export function displayLevel(scene, view) {
  const ideal = Math.floor(Math.log2(view.scale / scene.first_cells) + 1e-9);
  return Math.min(Math.max(ideal, 0), view.finest);
}

function layout(scene, z, axis) {
  const b = Math.min(z, scene.block_levels);
  const B = scene.first_cells * 2 ** b;
  const edge = scene.tile_edges[b][axis];
  return { B, edge, perBlock: Math.ceil((B + 1) / edge), blocks: 2 ** (z - b) };
}

/** The global index of the tile that holds point i (0 to N); axis is 0 for x, 1 for y. */
export function tileOfPoint(scene, z, axis, i) {
  const { B, edge, perBlock, blocks } = layout(scene, z, axis);
  const block = Math.min(Math.floor(i / B), blocks - 1);
  return block * perBlock + Math.floor((i - block * B) / edge);
}

/** The points of a tile along an axis: the first one's global index, and how many. */
export function tilePoints(scene, z, axis, index) {
  const { B, edge, perBlock } = layout(scene, z, axis);
  const block = Math.floor(index / perBlock);
  const t = index - block * perBlock;
  return { first: block * B + t * edge, count: Math.min((t + 1) * edge, B + 1) - t * edge };
}

/** The nearest point of a level to a fraction. */
export function nearestPoint(scene, z, fraction) {
  const N = intervals(scene, z);
  return Math.min(Math.max(Math.round(fraction * N), 0), N);
}

/** First and last point, along x and y, whose cells a view shows. */
export function visiblePoints(scene, view, z) {
  const [left, right] = view.spanX();
  const [bottom, top] = view.spanY();
  return {
    i0: nearestPoint(scene, z, left),
    i1: nearestPoint(scene, z, right),
    j0: nearestPoint(scene, z, bottom),
    j1: nearestPoint(scene, z, top),
  };
}

/** Whether any part of the window is in view. */
export function showsWindow(view) {
  const [left, right] = view.spanX();
  const [bottom, top] = view.spanY();
  return right > 0 && left < 1 && top > 0 && bottom < 1;
}

/** The tiles of a level that a view shows, as [z, X, Y], those near its centre first. */
export function visibleTiles(scene, view, z) {
  const { i0, i1, j0, j1 } = visiblePoints(scene, view, z);
  const [X0, X1] = [tileOfPoint(scene, z, 0, i0), tileOfPoint(scene, z, 0, i1)];
  const [Y0, Y1] = [tileOfPoint(scene, z, 1, j0), tileOfPoint(scene, z, 1, j1)];
  const N = intervals(scene, z);
  const off = (axis, index, centre) => {
    const { first, count } = tilePoints(scene, z, axis, index);
    return (first + (count - 1) / 2) / N - centre;
  };
  const tiles = [];
  for (let Y = Y0; Y <= Y1; Y++) {
    const dy = off(1, Y, view.cy);
    for (let X = X0; X <= X1; X++) tiles.push({ tile: [z, X, Y], far: Math.hypot(off(0, X, view.cx), dy) });
  }
  return tiles.sort((a, b) => a.far - b.far).map(({ tile }) => tile);
}

/** How many units (decades on a logarithmic axis) the window spans. */
export function axisSpan({ low, high, scale }) {
  return scale === "log10" ? Math.log10(high) - Math.log10(low) : high - low;
}

/** The value of a hyperparameter at a fraction of its axis, never beyond the ends by rounding. */
export function valueAt({ low, high, scale }, fraction) {
  const a = Math.log10(low);
  const value = scale === "log10" ? 10 ** (a + fraction * (Math.log10(high) - a)) : low + fraction * (high - low);
  return Math.min(Math.max(value, low), high);
}

/** The change of the value at a fraction when the fraction changes by `step`, without cancellation. */
export function valueChange(axis, fraction, step) {
  if (axis.scale !== "log10") return step * (axis.high - axis.low);
  return valueAt(axis, fraction) * Math.expm1(LN10 * axisSpan(axis) * step);
}

/** How far a value lies from that at `fraction`, as a fraction; exact for near values. */
export function fractionChange(axis, fraction, value) {
  const here = valueAt(axis, fraction);
  if (axis.scale !== "log10") return (value - here) / (axis.high - axis.low);
  return Math.log1p((value - here) / here) / LN10 / axisSpan(axis);
}
