// View: one image, its attributes and its class.

import { addBase, addConditions, addPrior, baseLatent, Controls, decode } from "./common.js";
import { button, el, figure, picture, slider } from "./dom.js";
import { animate, draw, single } from "./images.js";
import { edit, stack } from "./latents.js";

const FRAMES = 16;

export function editView(app) {
  const { model } = app;
  const controls = new Controls();
  addBase(controls, app);
  addPrior(controls, app);
  addConditions(controls, app);
  const names = Object.keys(model.directions);
  if (names.length) {
    const reset = button("Reset", () => app.set({ edits: {} }), { className: "quiet" });
    controls.add(el("div", { className: "heading" }, el("h3", {}, "Attributes"), reset));
    const list = el("div", { className: "attributes", role: "group", "aria-label": "Attributes" });
    for (const name of names) {
      const change = (amount) => {
        const { [name]: _, ...others } = app.state.edits;
        app.set({ edits: amount ? { ...others, [name]: amount } : others });
      };
      const value = () => app.state.edits[name] ?? 0;
      const root = slider(name.replaceAll("_", " "), { min: -3, max: 3, step: 0.1, value: value(), digits: 1, change });
      list.append(root);
      controls.syncs.push(() => root.set(value()));
    }
    controls.add(list);
  }

  const before = picture("The image");
  const after = picture("The edited image");
  const edits = names.length > 0;
  const stage = el("div", {},
    el("div", { className: "pair" }, figure("Image", before, "large"),
      edits ? figure("Edited", after, "large") : null));
  const classes = el("div", { className: "classes", role: "group", "aria-label": "The same latent in every class" });
  if (model.classCount) stage.append(el("h3", {}, "The same latent in every class"), classes);
  const cells = Array.from({ length: model.classCount }, (_, k) => {
    const canvas = el("canvas");
    const cell = el("button", { type: "button", className: "cell", onclick: () => app.set({ label: k }) },
      canvas, el("span", {}, model.classes[k]));
    classes.append(cell);
    return cell;
  });
  let shown = null;

  async function render(signal) {
    const latent = baseLatent(app);
    const changed = edit(model, latent, app.state.edits);
    shown = await decode(app, stack([changed, latent]), signal);
    draw(before, shown, 1);
    draw(after, shown, 0);
    if (!model.classCount) return;
    const labels = cells.map((_, k) => k);
    const all = await decode(app, stack(labels.map(() => changed)), signal, labels);
    cells.forEach((cell, k) => {
      draw(cell.firstChild, all, k);
      cell.setAttribute("aria-pressed", String(k === Math.max(0, app.state.label)));
    });
  }

  /** From the image to the edited one and back; or all classes in turn. */
  async function frames(signal) {
    const latent = baseLatent(app);
    if (!edits && model.classCount) {
      const labels = cells.map((_, k) => k);
      return animate(await decode(app, stack(labels.map(() => latent)), signal, labels), 400);
    }
    const steps = Array.from({ length: FRAMES }, (_, k) => {
      const share = (1 - Math.cos((2 * Math.PI * k) / FRAMES)) / 2;
      const amounts = Object.entries(app.state.edits).map(([name, amount]) => [name, amount * share]);
      return edit(model, latent, Object.fromEntries(amounts));
    });
    return animate(await decode(app, stack(steps), signal));
  }

  const help = edits
    ? "An attribute moves the latent along the direction between images with it and without."
    : "Choose a class.";
  return { controls, stage, render, png: () => single(shown), frames, help };
}
