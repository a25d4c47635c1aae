// A square over which a point is dragged, with a map of images below it.

import { el } from "./dom.js";

/**
 * A pad for x and y from `low` to `high`. `move(x, y)` is called while the point is dragged, or
 * moved by arrow keys (with Shift in larger steps; Home moves it to the middle).
 */
export function makePad(label, low, high, move) {
  const map = el("canvas", { className: "map", width: 1, height: 1, "aria-hidden": "true" });
  const knob = el("span", {
    className: "knob",
    role: "slider",
    tabIndex: 0,
    "aria-label": `${label}: arrow keys move the point`,
    "aria-valuemin": low,
    "aria-valuemax": high,
  });
  const root = el("div", { className: "pad" }, map, knob);
  let at = [0, 0];
  const clamp = (value) => Math.min(high, Math.max(low, value));

  const set = (x, y) => {
    at = [x, y];
    knob.style.left = `${(100 * (x - low)) / (high - low)}%`;
    knob.style.top = `${(100 * (y - low)) / (high - low)}%`;
    knob.setAttribute("aria-valuenow", x.toFixed(2));
    knob.setAttribute("aria-valuetext", `x ${x.toFixed(2)}, y ${y.toFixed(2)}`);
  };
  const go = (x, y) => {
    set(clamp(x), clamp(y));
    move(...at);
  };
  const follow = (event) => {
    const box = map.getBoundingClientRect();
    go(
      low + ((high - low) * (event.clientX - box.left)) / box.width,
      low + ((high - low) * (event.clientY - box.top)) / box.height,
    );
  };
  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    root.setPointerCapture(event.pointerId);
    knob.focus({ preventScroll: true });
    follow(event);
    event.preventDefault();
  });
  root.addEventListener("pointermove", (event) => root.hasPointerCapture(event.pointerId) && follow(event));
  knob.addEventListener("keydown", (event) => {
    const step = ((high - low) / 40) * (event.shiftKey ? 5 : 1);
    const [x, y] = at;
    const moves = {
      ArrowLeft: [x - step, y],
      ArrowRight: [x + step, y],
      ArrowUp: [x, y - step],
      ArrowDown: [x, y + step],
      Home: [(low + high) / 2, (low + high) / 2],
    };
    if (!moves[event.key]) return;
    go(...moves[event.key]);
    event.preventDefault();
  });
  return { element: root, map, set };
}
