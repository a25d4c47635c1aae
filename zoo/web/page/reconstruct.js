// A picture through a generator: its latent, from the encoder or by a search, and the image of that.

import { addConditions, baseLatent, decode } from "./common.js";
import { announce, button, el } from "./dom.js";
import { draw, join } from "./images.js";
import { invert, psnr, squaredError } from "./invert.js";
import { pack, sampleLatent, unpack } from "./latents.js";

/** Seed of the samples that a search begins with: not one that users come upon. */
const SEED = 2n ** 63n;

/**
 * The step from a picture to its image. The latent is part of the permalink, the picture is not.
 * `own()` is true for a picture of the user's, whose latent is searched at once if the model has no
 * encoder. The step's `searching` is true during a search, which a change of the state ends.
 */
export function reconstructor(app, controls, stage, canvas, caption, own) {
  const { model } = app;
  addConditions(controls, app, "the nearest");
  const known = () => unpack(app.state.latent, model.width);
  let asked = false, stopped = false;

  const ask = button("", () => {
    asked = true;
    app.set({}, true);
  }, { className: "primary" });
  const go = (view, text) => button(text, () => app.set({ view, x: 0, y: 0 }), { className: "quiet" });
  const ways = [model.views.includes("edit") ? go("edit", "Edit it") : null, go("plane", "Explore around it")];
  const steps = el("div", { className: "row centre" }, ask, ...ways);
  const note = el("span");
  const bar = el("progress", { max: 1, "aria-label": "Search" });
  const stop = button("Stop here", () => (stopped = true), { className: "quiet" });
  const panel = el("div", { className: "search", hidden: true }, note, bar, stop);
  stage.append(steps, panel);

  function show(image, latent) {
    ask.hidden = !image;
    ask.textContent = latent ? "Search further" : "Find its latent";
    ask.className = latent ? "quiet" : "primary";
    ways.forEach((way) => way && (way.hidden = !latent));
  }

  async function search(image, latent, signal) {
    const { label, truncation } = app.state;
    const size = model.image;
    let phase = "";
    const began = performance.now();
    const focused = document.activeElement === ask;
    stopped = false;
    step.searching = true;
    panel.hidden = false;
    steps.hidden = true;
    note.textContent = "Searching";
    bar.value = 0;
    if (focused) stop.focus();
    announce("Searching the latent of the picture");
    try {
      const found = await invert({
        target: image.data,
        width: model.width,
        scale: model.std ?? new Array(model.width).fill(1),
        given: latent && { latent, label: Math.max(0, label) },
        start: (i) => ({
          latent: sampleLatent(model, SEED, BigInt(i)),
          label: model.classCount && label < 0 ? i % model.classCount : Math.max(0, label),
        }),
        decode: async (latents, labels) =>
          join(await app.source.decode(model, latents, { label: labels, truncation }, signal)),
        seen: (now) => {
          signal.throwIfAborted();
          note.textContent = `${now.phase}: ${psnr(now.error).toFixed(1)} dB`;
          bar.value = now.share;
          if (now.phase !== phase) announce(note.textContent);
          phase = now.phase;
          canvas.closest("figure").hidden = false;
          draw(canvas, { ...size, count: 1, data: now.image });
          return stopped;
        },
      });
      const seconds = (performance.now() - began) / 1000;
      if (model.classCount && label < 0) app.state.label = found.label;
      controls.sync();
      const rate = Math.round(found.images / seconds).toLocaleString("en");
      const images = found.images.toLocaleString("en");
      return { latent: found.latent, note: `Found with ${images} images in ${seconds.toFixed(1)} s · ${rate} images/s` };
    } finally {
      step.searching = false;
      panel.hidden = true;
      steps.hidden = false;
      if (document.activeElement === document.body && focused) ask.focus();
    }
  }

  async function step(image, signal) {
    const wanted = asked;
    asked = false;
    let latent = known(), found = null;
    show(image, latent);
    if (image && !latent && model.encodes) latent = await app.source.encode(model, image, signal);
    if (image && (wanted || (!latent && own()))) {
      found = await search(image, latent, signal);
      latent = found.latent;
    }
    app.state.latent = latent ? pack(latent) : "";
    show(image, latent);
    if (!image && !latent) return null;
    const output = latent && (await decode(app, baseLatent(app), signal));
    const quality = image && output ? ` · ${psnr(squaredError(output.data, image.data)).toFixed(1)} dB` : "";
    caption.textContent = `${model.encodes && !found ? "Reconstruction" : "Nearest image"}${quality}`;
    if (found) {
      app.say(found.note);
      announce(`${found.note}${quality}`);
    }
    return { input: image, output };
  }
  step.searching = false;
  return step;
}
