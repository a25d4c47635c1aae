// Controls and steps that several views share.

import { choice, next, randomSeed, slider, wordField } from "./dom.js";
import { join } from "./images.js";
import { sampleLatent, unpack } from "./latents.js";
import { parseWord } from "./state.js";

/** Controls that show the state: each has an element and, with `sync`, takes a changed value. */
export class Controls {
  constructor() {
    this.elements = [];
    this.syncs = [];
  }

  add(element, sync) {
    this.elements.push(element);
    if (sync) this.syncs.push(sync);
  }

  sync() {
    this.syncs.forEach((sync) => sync());
  }
}

export function addSeed(controls, app) {
  const change = (seed) => app.set({ seed, latent: "" });
  const another = { value: randomSeed, name: "Draw another seed", icon: "⚄" };
  const root = wordField("Seed", app.state.seed, parseWord, change, another);
  controls.add(root, () => root.set(app.state.seed));
}

/** The image that a view starts from: an index of the seed, or the latent of a picture. */
export function addBase(controls, app) {
  addSeed(controls, app);
  const root = wordField(
    "Image",
    app.state.index,
    parseWord,
    (index) => app.set({ index, latent: "" }),
    next(() => app.state.index),
  );
  controls.add(root, () => {
    root.set(app.state.index);
    root.querySelector("label").textContent = app.state.latent ? "Image (now: your picture)" : "Image";
  });
}

export function addPrior(controls, app) {
  if (app.model.priors.length < 2) return;
  const names = [["normal", "N(0, I)"], ["mixture", "learned: mixture of Gaussians"]];
  const root = choice("Prior", names, app.state.prior, (prior) => app.set({ prior }));
  controls.add(root, () => root.set(app.state.prior));
}

/** Class and truncation. `all` is what no class in particular is called, if that is a choice. */
export function addConditions(controls, app, all = "") {
  const { model, state } = app;
  if (model.classCount) {
    const names = model.classes.map((name, k) => [String(k), name]);
    if (all) names.unshift(["-1", all]);
    const value = () => String(all ? app.state.label : Math.max(0, app.state.label));
    const root = choice("Class", names, value(), (label) => app.set({ label: Number(label) }));
    controls.add(root, () => root.set(value()));
  }
  if (model.layers) {
    const root = slider("Truncation ψ", {
      min: 0,
      max: 1.5,
      step: 0.05,
      value: state.truncation,
      change: (truncation) => app.set({ truncation }),
    });
    controls.add(root, () => root.set(app.state.truncation));
  }
}

/** The latent of the image that a view starts from. */
export function baseLatent({ model, state }) {
  const { seed, index, latent, prior } = state;
  return (latent && unpack(latent, model.width)) || sampleLatent(model, seed, index, prior);
}

/** Decode latents [n·D] to images, timed. */
export async function decode(app, latents, signal, labels = null) {
  const { label, truncation } = app.state;
  const options = { label: labels ?? Math.max(0, label), truncation };
  const count = latents.length / app.model.width;
  return app.timed(count, async () => join(await app.source.decode(app.model, latents, options, signal)));
}
