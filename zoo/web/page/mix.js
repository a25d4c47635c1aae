// View: an image with the styles of another one in some layers.

import { addBase, addConditions, baseLatent, Controls } from "./common.js";
import { button, el, figure, next, picture, toggle, wordField } from "./dom.js";
import { animate, draw, single } from "./images.js";
import { blend, sampleLatent } from "./latents.js";
import { bands } from "./models.js";
import { parseWord } from "./state.js";

const FRAMES = 24;

export function mixView(app) {
  const { model } = app;
  const controls = new Controls();
  addBase(controls, app);
  const other = wordField("Styles of image", app.state.other, parseWord, (value) => app.set({ other: value }),
    next(() => app.state.other, 1n, "Styles of the next image"));
  controls.add(other, () => other.set(app.state.other));
  addConditions(controls, app);

  const middle = bands(model.layers).coarse;
  const chosen = () => {
    const { layers } = app.state;
    const of = (k) => (layers.length === model.layers ? layers[k] === "1" : k >= middle[0] && k < middle[1]);
    return Array.from({ length: model.layers }, (_, k) => of(k));
  };
  const write = (layers) => app.set({ layers: layers.map(Number).join("") });
  controls.add(el("h3", {}, "Layers with the other style"));
  const presets = Object.entries(bands(model.layers)).map(([name, [from, to]]) =>
    button(name, () => write(chosen().map((_, k) => k >= from && k < to)), { className: "quiet" }));
  controls.add(el("div", { className: "row" }, ...presets));
  const toggles = chosen().map((on, k) => {
    const side = 4 << Math.floor(k / 2);
    return toggle(`${k + 1} · ${side}×${side}`, on, (next) => write(chosen().with(k, next)));
  });
  controls.add(el("div", { className: "chips", role: "group", "aria-label": "Layers" }, ...toggles), () =>
    chosen().forEach((on, k) => toggles[k].set(on)));

  const canvases = ["The image", "The mixed image", "The image that gives styles"].map(picture);
  const captions = ["Image", "Mixed", "Gives the styles"];
  const stage = el("div", { className: "trio" }, ...canvases.map((canvas, k) => figure(captions[k], canvas, "large")));
  let shown = null;

  async function render(signal) {
    const { seed, other: index, truncation } = app.state;
    const b = sampleLatent(model, seed, index);
    const pair = [baseLatent(app), b];
    shown = await app.timed(3, () => app.source.mix(model, pair, pair, chosen(), truncation, signal));
    // Of the four pairs, the other image with the styles of this one is not shown.
    [0, 1, 3].forEach((row, k) => draw(canvases[k], shown, row));
  }

  /** The styles of the chosen layers from the image's own to the other's, and back. */
  async function frames(signal) {
    const { seed, other: index, truncation } = app.state;
    const ends = [baseLatent(app), sampleLatent(model, seed, index)];
    const way = Array.from({ length: FRAMES }, (_, k) => {
      const angle = (Math.PI / 4) * (1 - Math.cos((2 * Math.PI * k) / FRAMES));
      return blend(model, ends, [Math.cos(angle), Math.sin(angle)]);
    });
    return animate(await app.source.mix(model, [ends[0]], way, chosen(), truncation, signal));
  }

  const help = "Coarse layers shape the face, fine ones its colours. The layers draw no noise here.";
  return { controls, stage, render, png: () => single(shown, 1), frames, help };
}
