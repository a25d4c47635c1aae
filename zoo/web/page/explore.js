// Views: a plane of the latent space, and the square between four images.

import { addBase, addConditions, addPrior, addSeed, baseLatent, Controls, decode } from "./common.js";
import { choice, el, figure, next, picture, wordField } from "./dom.js";
import { animate, draw, drawGrid, single } from "./images.js";
import { between, plane, sampleLatent, stack } from "./latents.js";
import { makePad } from "./pad.js";
import { parseWord } from "./state.js";

const MAP = 7;
const FRAMES = 32;

export function planeView(app) {
  const controls = new Controls();
  addBase(controls, app);
  addPrior(controls, app);
  const names = Object.keys(app.model.directions);
  if (names.length) {
    const options = [["", "another sample"], ...names.map((name) => [name, name.replaceAll("_", " ")])];
    ["To the right", "Downwards"].forEach((label, k) => {
      const change = (axis) => app.set({ axes: app.state.axes.with(k, axis) });
      const root = choice(label, options, app.state.axes[k], change);
      controls.add(root, () => root.set(app.state.axes[k]));
    });
  }
  addConditions(controls, app);
  const points = ({ state, model }) => {
    const axes = state.axes.map((axis) => (axis in model.directions ? axis : ""));
    return plane(model, baseLatent(app), axes, state.seed, state.index, state.prior);
  };
  return explore(app, controls, {
    label: "Point of the plane",
    range: [-2, 2],
    at: ({ state }) => [state.x, state.y],
    move: (x, y) => app.set({ x, y }),
    points,
    key: ({ state: { seed, index, latent, prior, axes, label, truncation } }) =>
      [seed, index, latent, prior, axes, label, truncation],
    path: (t) => [1.3 * Math.cos(2 * Math.PI * t), 1.3 * Math.sin(2 * Math.PI * t)],
    help: "Drag over the map, or move the point with the arrow keys. The middle is the image itself.",
  });
}

export function cornersView(app) {
  const controls = new Controls();
  addSeed(controls, app);
  ["Top left", "Top right", "Bottom left", "Bottom right"].forEach((label, k) => {
    const change = (index) => app.set({ corners: app.state.corners.with(k, index) });
    const another = next(() => app.state.corners[k], 4n, `${label}: another image`);
    const root = wordField(label, app.state.corners[k], parseWord, change, another);
    root.classList.add("half");
    controls.add(root, () => root.set(app.state.corners[k]));
  });
  addPrior(controls, app);
  addConditions(controls, app);
  const points = ({ state, model }) =>
    between(model, state.corners.map((index) => sampleLatent(model, state.seed, index, state.prior)));
  return explore(app, controls, {
    label: "Point between the corners",
    range: [0, 1],
    at: ({ state }) => [state.cx, state.cy],
    move: (cx, cy) => app.set({ cx, cy }),
    points,
    key: ({ state: { seed, corners, prior, label, truncation } }) => [seed, corners, prior, label, truncation],
    path: alongTheSides,
    help: "Drag between the four images of the corners.",
  });
}

/** From each corner to the next, clockwise from the top left, t from 0 to 1. */
function alongTheSides(t) {
  const side = Math.floor(4 * t), way = 4 * t - side;
  return [[way, 0], [1, way], [1 - way, 1], [0, 1 - way]][side];
}

function explore(app, controls, { label, range, at, move, points, key, path, help }) {
  const [low, high] = range;
  const pad = makePad(label, low, high, move);
  const canvas = picture("The image at the point");
  const caption = el("span");
  const stage = el("div", { className: "pair" }, pad.element, figure(caption, canvas, "large"));
  let drawn = "", point = null, shown = null;

  async function render(signal) {
    const [x, y] = at(app);
    pad.set(x, y);
    const now = key(app).join("|");
    if (now !== drawn || !point) point = points(app);
    shown = await decode(app, point(x, y), signal);
    draw(canvas, shown);
    caption.textContent = `x ${x.toFixed(2)}, y ${y.toFixed(2)}`;
    if (now === drawn) return;
    const latents = [];
    for (let row = 0; row < MAP; ++row) {
      for (let column = 0; column < MAP; ++column) {
        latents.push(point(...[column, row].map((k) => low + ((high - low) * (k + 0.5)) / MAP)));
      }
    }
    drawGrid(pad.map, await decode(app, stack(latents), signal), MAP, 0);
    drawn = now;
  }

  async function frames(signal) {
    const steps = Array.from({ length: FRAMES }, (_, k) => point(...path(k / FRAMES)));
    return animate(await decode(app, stack(steps), signal));
  }

  return { controls, stage, render, png: () => single(shown), frames, help };
}
