/** Drawing the tiles and what lies on them. */

/** Cells wider than this (device pixels) are drawn one by one: canvases hold no larger numbers well. */
const WIDE = 128;

/** The canvas of the map. */
export class MapCanvas {
  #picture = 0;
  #version = 0;
  #scale = null;
  /** Where the finest levels in view are, as they were last drawn. */
  levels = [];

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
  }

  /** Take new colours; tiles are painted anew when they are next drawn. */
  setScale(scale) {
    this.#scale = scale;
    this.#version++;
  }

  get pictures() {
    return this.#picture;
  }

  /**
   * Draw everything.
   * @param {import("./view.js").View} view
   * @param {Object[]} levels  see `drawnLevels`
   * @param {Object} marks  point {fx, fy}, box {x: [], y: []}, cross (boolean)
   * @param {Object} theme  colours
   */
  draw(view, levels, marks, theme) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.levels = levels;
    this.#picture++;
    const c = this.context;
    c.fillStyle = theme.outside;
    c.fillRect(0, 0, width, height);
    const frame = new Frame(view, ratio, width, height);
    this.#fill(frame.box([0, 1], [0, 1]), theme.pending);
    c.imageSmoothingEnabled = false;
    if (this.#scale) {
      for (const level of levels) for (const tile of level.tiles) this.#drawTile(tile, level.N, frame);
    }
    this.#drawMarks(marks, frame, ratio, theme);
  }

  #fill([x0, y0, x1, y1], colour) {
    this.context.fillStyle = colour;
    this.context.fillRect(x0, y0, x1 - x0, y1 - y0);
  }

  #drawTile(tile, N, frame) {
    // Only the cells in view, so that no coordinate leaves the canvas far.
    const [c0, c1] = frame.cellsX(tile.i0, tile.nx, N);
    const [r0, r1] = frame.cellsY(tile.j0, tile.ny, N);
    if (c0 > c1 || r0 > r1) return;
    tile.drawn = this.#picture;
    if (frame.scale / N > WIDE) {
      this.#drawCells(tile, N, frame, c0, c1, r0, r1);
      return;
    }
    if (!tile.image || tile.painted !== this.#version) this.#paint(tile);
    const [x0, y0, x1, y1] = frame.box(edges(tile.i0 + c0, tile.i0 + c1, N), edges(tile.j0 + r0, tile.j0 + r1, N));
    const top = tile.ny - 1 - r1;
    this.context.drawImage(tile.image, c0, top, c1 - c0 + 1, r1 - r0 + 1, x0, y0, x1 - x0, y1 - y0);
  }

  #drawCells(tile, N, frame, c0, c1, r0, r1) {
    for (let r = r0; r <= r1; r++) {
      for (let c = c0; c <= c1; c++) {
        const cell = r * tile.nx + c;
        if (tile.status[cell] === 0) continue;
        const pixel = this.#scale.pixel(tile.values[cell], tile.status[cell]);
        const [i, j] = [tile.i0 + c, tile.j0 + r];
        this.#fill(frame.box(edges(i, i, N), edges(j, j, N)), cssOf(pixel));
      }
    }
  }

  #paint(tile) {
    const { nx, ny, values, status } = tile;
    const image = new ImageData(nx, ny);
    const pixels = new Uint32Array(image.data.buffer);
    for (let r = 0; r < ny; r++) {
      const to = (ny - 1 - r) * nx; // pictures begin at the top
      for (let c = 0; c < nx; c++) {
        const code = status[r * nx + c];
        if (code !== 0) pixels[to + c] = this.#scale.pixel(values[r * nx + c], code);
      }
    }
    tile.image ??= new OffscreenCanvas(nx, ny);
    tile.image.getContext("2d").putImageData(image, 0, 0);
    tile.painted = this.#version;
  }

  #drawMarks({ point, box, cross }, frame, ratio, theme) {
    const c = this.context;
    const twice = (path, width, dash = []) => {
      // A dark line under a light one is seen on every colour.
      for (const [colour, extra] of [[theme.markEdge, 2], [theme.mark, 0]]) {
        Object.assign(c, { strokeStyle: colour, lineWidth: (width + extra) * ratio });
        c.setLineDash(extra ? [] : dash.map((d) => d * ratio));
        c.stroke(path);
      }
      c.setLineDash([]);
    };
    if (box) {
      const [x0, y0, x1, y1] = frame.box(box.x, box.y);
      const path = new Path2D();
      path.rect(x0, y0, x1 - x0, y1 - y0);
      twice(path, 1.5, [6, 4]);
    }
    if (point) {
      const path = new Path2D();
      const [x, y] = [frame.x(point.fx), frame.y(point.fy)];
      path.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
      addCross(path, x, y, 4 * ratio, 13 * ratio);
      twice(path, 1.5);
    }
    if (cross) {
      const path = new Path2D();
      addCross(path, frame.width / 2, frame.height / 2, 4 * ratio, 11 * ratio);
      twice(path, 1);
    }
  }
}

function addCross(path, x, y, inner, outer) {
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    path.moveTo(x + dx * inner, y + dy * inner);
    path.lineTo(x + dx * outer, y + dy * outer);
  }
}

/** From fractions to device pixels. */
class Frame {
  constructor(view, ratio, width, height) {
    Object.assign(this, { width, height, cx: view.cx, cy: view.cy, scale: view.scale * ratio });
    [this.spanX, this.spanY] = [view.spanX(), view.spanY()];
  }

  x(fx) {
    return clamp(this.width / 2 + (fx - this.cx) * this.scale, this.width);
  }

  y(fy) {
    return clamp(this.height / 2 - (fy - this.cy) * this.scale, this.height);
  }

  /** Whole device pixels of a rectangle: neighbours share an edge, so no seam is seen. */
  box([left, right], [bottom, top]) {
    return [this.x(left), this.y(top), this.x(right), this.y(bottom)].map(Math.round);
  }

  cellsX(first, count, N) {
    return cells(this.spanX, first, count, N);
  }

  cellsY(first, count, N) {
    return cells(this.spanY, first, count, N);
  }
}

/** Which of a tile's cells touch a span, as its first and last. */
function cells([low, high], first, count, N) {
  return [Math.max(Math.floor(low * N + 0.5) - first, 0), Math.min(Math.ceil(high * N + 0.5) - first, count - 1)];
}

/** The fractions at the edges of the cells from one to another. */
const edges = (from, to, N) => [(from - 0.5) / N, (to + 0.5) / N];

/** Far outside the canvas is as good as farther: canvases compute in single precision. */
const clamp = (v, size) => Math.min(Math.max(v, -4096), size + 4096);

const cssOf = (pixel) => `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
