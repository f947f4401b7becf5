/** The cells in view, finest known values first come: what colours are scaled by and shares counted in. */

/** About as many cells are looked at; enough for ranks in 96 colours and cheap to sort. */
const CELLS = 60000;

/**
 * Values and outcomes at evenly chosen points of the displayed level.
 * @param {{z: number, N: number, tiles: Object[]}[]} levels  coarse to fine, as they are drawn
 * @param {{i0: number, i1: number, j0: number, j1: number}} points  those in view at level z
 * @param {number} z
 * @returns {{values: Float32Array, status: Uint8Array, known: number, shares: number[]}}
 *   shares are those of the outcomes 1 to 4 (index 0 is unused)
 */
export function sampleView(levels, points, z) {
  const { i0, i1, j0, j1 } = points;
  const stride = Math.max(1, Math.ceil(Math.sqrt(((i1 - i0 + 1) * (j1 - j0 + 1)) / CELLS)));
  const nx = Math.floor((i1 - i0) / stride) + 1;
  const ny = Math.floor((j1 - j0) / stride) + 1;
  const values = new Float32Array(nx * ny).fill(NaN);
  const status = new Uint8Array(nx * ny);
  for (const level of levels) {
    const ratio = 2 ** (z - level.z);
    const columns = Float64Array.from({ length: nx }, (_, k) => Math.round((i0 + k * stride) / ratio));
    const rows = Float64Array.from({ length: ny }, (_, k) => Math.round((j0 + k * stride) / ratio));
    for (const tile of level.tiles) copyInto(tile, columns, rows, values, status);
  }
  const counts = [0, 0, 0, 0, 0];
  for (const code of status) counts[code]++;
  const known = status.length - counts[0];
  return { values, status, known, shares: counts.map((n) => (known ? n / known : 0)) };
}

function copyInto(tile, columns, rows, values, status) {
  const left = lowerBound(columns, tile.i0);
  const right = lowerBound(columns, tile.i0 + tile.nx);
  const bottom = lowerBound(rows, tile.j0);
  const top = lowerBound(rows, tile.j0 + tile.ny);
  for (let r = bottom; r < top; r++) {
    const from = (rows[r] - tile.j0) * tile.nx - tile.i0;
    for (let c = left; c < right; c++) {
      const cell = from + columns[c];
      if (tile.status[cell] === 0) continue;
      const to = r * columns.length + c;
      values[to] = tile.values[cell];
      status[to] = tile.status[cell];
    }
  }
}

/** The first index whose element is not below a value, in ascending order. */
export function lowerBound(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The value of the finest known cell at a place.
 * @returns {{value: number, status: number, i: number, j: number, z: number, N: number}|null}
 */
export function cellAt(levels, { fx, fy }) {
  for (const { z, N, tiles } of [...levels].reverse()) {
    const i = Math.round(fx * N);
    const j = Math.round(fy * N);
    for (const tile of tiles) {
      const [c, r] = [i - tile.i0, j - tile.j0];
      if (c < 0 || r < 0 || c >= tile.nx || r >= tile.ny) continue;
      const cell = r * tile.nx + c;
      if (tile.status[cell] !== 0) return { value: tile.values[cell], status: tile.status[cell], i, j, z, N };
    }
  }
  return null;
}
