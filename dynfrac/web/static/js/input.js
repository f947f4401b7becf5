/** Pointer, wheel, touch and keyboard on the map. */

/** A press that moves less than this (CSS pixels) is a click. */
const SLACK = 5;
/** A second click within this time is a double click, so that the first must wait for it. */
const DOUBLE_CLICK_MS = 280;
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * Let a canvas move a view.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./view.js").View} view
 * @param {Object} acts
 * @param {(x: number, y: number) => void} acts.click
 * @param {(place: {x: number, y: number}|null) => void} acts.hover
 * @param {() => boolean} acts.measuring  whether a drag draws a rectangle
 * @param {(box: number[]|null, done: boolean) => void} acts.rectangle  x0, y0, x1, y1
 * @param {() => void} acts.escape
 */
export function listenToInput(canvas, view, acts) {
  const pointers = new Map();
  let gesture = null; // "pan" | "rectangle" | "pinch" | "spent"
  let start = null;
  let lastClick = { time: -Infinity, x: 0, y: 0, timer: 0 };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 2) {
      if (gesture === "rectangle") acts.rectangle(null, true);
      gesture = "pinch";
    } else if (pointers.size === 1) {
      start = { ...place(event), moved: false };
      gesture = event.shiftKey || acts.measuring() ? "rectangle" : "pan";
    }
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (event.pointerType === "mouse" || before) acts.hover(now);
    if (!before) return;
    if (gesture === "pinch") {
      pinch(event.pointerId, before, now);
    } else if (gesture) {
      if (!start.moved && Math.hypot(now.x - start.x, now.y - start.y) < SLACK) return;
      const from = start.moved ? before : start;
      start.moved = true;
      if (gesture === "pan") view.panBy(now.x - from.x, now.y - from.y);
      if (gesture === "rectangle") acts.rectangle([start.x, start.y, now.x, now.y], false);
      canvas.classList.toggle("dragging", gesture === "pan");
    }
    pointers.set(event.pointerId, now);
  });

  function pinch(id, before, now) {
    const [otherId] = [...pointers.keys()].filter((key) => key !== id);
    const other = pointers.get(otherId);
    const [d0, d1] = [before, now].map((p) => Math.hypot(p.x - other.x, p.y - other.y));
    view.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
    if (d0 > 1 && d1 > 1) view.zoomBy(Math.log2(d1 / d0), (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  function release(event) {
    if (!pointers.delete(event.pointerId)) return;
    canvas.classList.remove("dragging");
    if (gesture === "pinch") {
      gesture = "spent"; // the finger that is left neither pans nor clicks
    } else if (event.type === "pointercancel") {
      if (gesture === "rectangle") acts.rectangle(null, true);
      gesture = "spent";
    } else if (gesture === "rectangle" && start.moved) {
      const now = place(event);
      acts.rectangle([start.x, start.y, now.x, now.y], true);
    } else if (gesture === "pan" && !start.moved) {
      clicked(place(event), event);
    }
    if (pointers.size === 0) gesture = null;
  }
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => acts.hover(null));

  function clicked({ x, y }, event) {
    const again = event.timeStamp - lastClick.time < DOUBLE_CLICK_MS && Math.hypot(x - lastClick.x, y - lastClick.y) < 20;
    clearTimeout(lastClick.timer);
    if (again) {
      glide(view, event.shiftKey ? -1 : 1, x, y);
      lastClick.time = -Infinity;
    } else {
      lastClick = { time: event.timeStamp, x, y, timer: setTimeout(acts.click, DOUBLE_CLICK_MS, x, y) };
    }
  }

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    // Lines and pages of old mice in pixels; a pinch on a touch pad comes as a wheel with ctrl.
    const unit = [1, 16, 400][event.deltaMode];
    const speed = event.ctrlKey ? 1 / 60 : 1 / 260;
    const doublings = Math.max(-1.5, Math.min(1.5, -event.deltaY * unit * speed));
    const { x, y } = place(event);
    view.zoomBy(doublings, x, y);
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const reach = Math.min(view.width, view.height) / (event.shiftKey ? 40 : 8);
    if (event.key in ARROWS) view.panBy(ARROWS[event.key][0] * reach, ARROWS[event.key][1] * reach);
    else if (event.key === "+" || event.key === "=") glide(view, 1);
    else if (event.key === "-" || event.key === "_") glide(view, -1);
    else if (event.key === "0" || event.key === "Home") view.home();
    else if (event.key === "Enter") acts.click(view.width / 2, view.height / 2);
    else if (event.key === "Escape") acts.escape();
    else return;
    event.preventDefault();
  });
}

/** Zoom by doublings in a fifth of a second, or at once where motion is not wanted. */
export function glide(view, doublings, x, y) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    view.zoomBy(doublings, x, y);
    return;
  }
  const began = performance.now();
  let done = 0;
  const step = (now) => {
    const t = Math.min(Math.max((now - began) / 180, 0), 1);
    const share = t * (2 - t);
    view.zoomBy(doublings * (share - done), x, y);
    done = share;
    if (t < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
