// View: images of a seed, in a grid.

import { addConditions, addPrior, addSeed, Controls } from "./common.js";
import { announce, el, slider, wordField } from "./dom.js";
import { animate, draw, drawGrid, gridColumns, join } from "./images.js";
import { MOST_IMAGES, parseWord } from "./state.js";

const COUNTS = [1, 4, 9, 16, 25, 36, 49, 64, 100, 144, 196, MOST_IMAGES];
const MOST_FRAMES = 64;

export function samples(app) {
  const controls = new Controls();
  addSeed(controls, app);
  const place = () => COUNTS.findIndex((count) => count >= app.state.n);
  const count = slider("Images", {
    min: 0,
    max: COUNTS.length - 1,
    step: 1,
    value: place(),
    digits: 0,
    change: (step) => app.set({ n: COUNTS[step] }),
  });
  const output = count.querySelector("output");
  controls.add(count, () => {
    count.set(place());
    output.value = String(app.state.n);
    count.querySelector("input").setAttribute("aria-valuetext", `${app.state.n} images`);
  });
  const first = wordField("First index", app.state.first, parseWord, (value) => app.set({ first: value }));
  controls.add(first, () => first.set(app.state.first));
  addPrior(controls, app);
  addConditions(controls, app, "all, in turn");
  if (app.model.layers) {
    const noise = slider("Noise of the layers", {
      min: 0,
      max: 2,
      step: 0.05,
      value: app.state.noise,
      change: (value) => app.set({ noise: value }),
    });
    controls.add(noise, () => noise.set(app.state.noise));
  }

  const grid = el("div", { className: "grid", role: "group", "aria-label": "Images" });
  let shown = null;

  function cell(index) {
    const open = () => app.set({ index, latent: "", view: "plane", x: 0, y: 0 });
    const canvas = el("canvas", { width: app.model.image.width, height: app.model.image.height });
    return el("button", { type: "button", className: "cell", onclick: open }, canvas);
  }

  async function render(signal) {
    const { n, first } = app.state;
    grid.style.setProperty("--columns", gridColumns(n));
    const at = (row) => BigInt.asUintN(64, first + BigInt(row));
    while (grid.children.length > n) grid.lastChild.remove();
    while (grid.children.length < n) grid.append(el("span"));
    const parts = [];
    let done = 0;
    await app.timed(n, () =>
      app.source.sample(app.model, app.state, signal, (images) => {
        if (signal.aborted) return;
        for (let row = 0; row < images.count; ++row, ++done) {
          const index = at(done);
          const next = cell(index);
          next.setAttribute("aria-label", `Image ${index}: explore around it`);
          next.title = `Image ${index}`;
          draw(next.firstChild, images, row);
          grid.children[done].replaceWith(next);
        }
        parts.push(images);
      }),
    );
    signal.throwIfAborted();
    shown = join(parts);
    announce(`${n} images of seed ${app.state.seed}`);
  }

  function png() {
    const canvas = el("canvas");
    drawGrid(canvas, shown, gridColumns(shown.count));
    return canvas;
  }

  const frames = () => animate({ ...shown, count: Math.min(shown.count, MOST_FRAMES) }, 250);

  return {
    controls,
    stage: grid,
    render,
    png,
    frames,
    supersede: true,
    help: "Choose an image to explore the latent space around it.",
  };
}
