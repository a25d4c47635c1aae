// Painting pixels on a canvas, with a pointer or by keys.

import { announce, el } from "./dom.js";

const FAR = 5;

/**
 * Let users paint on a canvas that shows a mask's pixels. `begin()` returns {bits, on, radius, height,
 * width}; `change(bits)` is called with new bits while the brush moves. Arrow keys move the brush by
 * a pixel (with Shift by five), Space sets it down or lifts it. `label` names the canvas, `words` are
 * what a pixel is called that is on, and one that is off.
 */
export function paint(canvas, { label, words, begin, change }) {
  const cursor = el("span", { className: "brush", "aria-hidden": "true" });
  const frame = el("div", { className: "painting" });
  canvas.replaceWith(frame);
  frame.append(canvas, cursor);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `${label}: arrow keys move the brush, Space sets it down or lifts it`);

  let brush = null, at = null, down = false;
  const place = () => {
    const { radius, height, width } = begin();
    at ??= [Math.floor(width / 2) + 0.5, Math.floor(height / 2) + 0.5];
    cursor.style.left = `${(100 * at[0]) / width}%`;
    cursor.style.top = `${(100 * at[1]) / height}%`;
    cursor.style.width = `${(100 * (2 * radius + 0.5)) / width}%`;
    frame.classList.toggle("down", down);
  };
  const start = () => {
    brush = begin();
    brush.bits = Uint8Array.from(brush.bits);
  };
  const stroke = (from, to) => {
    dab(brush, from, to);
    change(brush.bits);
  };

  const pointed = (event) => {
    const { height, width } = brush;
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start();
    down = false;
    at = pointed(event);
    canvas.setPointerCapture(event.pointerId);
    stroke(at, at);
    place();
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const to = pointed(event);
    stroke(at, to);
    at = to;
    place();
  });

  const say = () => {
    const { bits, height, width } = begin();
    const [x, y] = at.map(Math.floor);
    const inside = x >= 0 && y >= 0 && x < width && y < height;
    const what = inside ? `, ${words[bits[y * width + x] ? 0 : 1]}` : "";
    announce(`Row ${y + 1}, column ${x + 1}${what}, brush ${down ? "down" : "up"}`);
  };
  const move = (dx, dy) => {
    const { height, width } = begin();
    const keep = (value, most) => Math.min(most - 0.5, Math.max(0.5, Math.floor(value) + 0.5));
    const to = [keep(at[0] + dx, width), keep(at[1] + dy, height)];
    if (down) stroke(at, to);
    at = to;
  };
  const actions = {
    ArrowLeft: (step) => move(-step, 0),
    ArrowRight: (step) => move(step, 0),
    ArrowUp: (step) => move(0, -step),
    ArrowDown: (step) => move(0, step),
    " ": () => {
      down = !down;
      if (!down) return;
      start();
      stroke(at, at);
    },
    Escape: () => (down = false),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = actions[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    place();
    act(event.shiftKey ? FAR : 1);
    place();
    say();
  });
  canvas.addEventListener("focus", () => (place(), say()));
  canvas.addEventListener("blur", () => {
    down = false;
    place();
  });
}

/** Set the bits of a brush along a line. */
function dab({ bits, on, radius, height, width }, from, to) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
  for (let step = 0; step <= steps; ++step) {
    const [x, y] = from.map((value, k) => value + ((to[k] - value) * step) / steps);
    for (let row = Math.floor(y - radius); row <= y + radius; ++row) {
      for (let column = Math.floor(x - radius); column <= x + radius; ++column) {
        const inside = row >= 0 && row < height && column >= 0 && column < width;
        const near = Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius + 0.25;
        if (inside && near) bits[row * width + column] = Number(on);
      }
    }
  }
}
