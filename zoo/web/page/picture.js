// View: a picture through a generator, or through a translator.

import { addSeed, Controls } from "./common.js";
import { button, choice, el, figure, next, picture, wordField } from "./dom.js";
import { draw, join, single, withChannels } from "./images.js";
import { readPicture } from "./pictures.js";
import { reconstructor } from "./reconstruct.js";
import { parseWord } from "./state.js";
import { HELP, translator } from "./tasks.js";

const OWN = "picture";

export function pictureView(app) {
  const { model } = app;
  const { height, width } = model.input ?? model.image;
  const controls = new Controls();
  const providers = [...app.models.values()].filter(
    (other) => other.priors?.length && other.image.height === height && other.image.width === width &&
      (model.image.channels === other.image.channels),
  );

  const input = el("input", { type: "file", accept: "image/*", className: "hidden", tabIndex: -1, "aria-hidden": "true",
    onchange: () => input.files[0] && app.takePicture(input.files[0]) });
  controls.add(el("div", { className: "drop" },
    button("Choose a picture", () => input.click(), { className: "primary" }),
    el("p", { className: "hint" }, "or drop one anywhere, or paste it"), input));
  const names = [...providers.map(({ name }) => [name, `a sample of ${name}`]), [OWN, "your picture"]];
  const from = () => (names.some(([key]) => key === app.state.from) ? app.state.from : names[0][0]);
  const select = choice("Picture", names, from(), (name) => app.set({ from: name, latent: "", mask: "" }));
  controls.add(select, () => select.set(from()));
  addSeed(controls, app);
  const choose = (index) => app.set({ index, latent: "", mask: "" });
  const index = wordField("Image", app.state.index, parseWord, choose, next(() => app.state.index));
  controls.add(index, () => {
    index.set(app.state.index);
    index.hidden = from() === OWN;
  });

  const canvases = [picture("The picture"), picture("The result")];
  const captions = [el("span", {}, "Picture"), el("span", {}, model.translates ? "Result" : "Nearest image")];
  const stage = el("div", {}, el("div", { className: "pair" },
    ...canvases.map((canvas, k) => figure(captions[k], canvas, "large"))));
  let shown = null;

  const read = bySize(() => app.file, height, width);

  /** The picture in the channels of the model; null if there is none. */
  async function source(signal) {
    const channels = model.image.channels;
    if (from() === OWN) {
      const own = await read();
      return own && withChannels(own, channels);
    }
    const provider = app.models.get(from());
    const { seed, index: first } = app.state;
    const request = { ...app.defaults(), n: 1, seed, first };
    const parts = [];
    await app.source.sample(provider, request, signal, (images) => parts.push(images));
    return withChannels(join(parts), channels);
  }

  const own = () => from() === OWN;
  const step = model.translates
    ? translator(app, controls, canvases[0], captions[0])
    : reconstructor(app, controls, stage, canvases[1], captions[1], own);

  async function render(signal) {
    const image = await source(signal);
    if (image && !model.translates) {
      // A search takes a while.
      stage.classList.remove("empty");
      canvases[0].closest("figure").hidden = false;
      draw(canvases[0], image);
    }
    const result = await step(image, signal);
    const empty = !image && !result;
    stage.classList.toggle("empty", empty);
    if (empty) return;
    if (result.input) draw(canvases[0], result.input);
    canvases[0].closest("figure").hidden = !result.input;
    canvases[1].closest("figure").hidden = !result.output;
    shown = result.output;
    if (shown) draw(canvases[1], shown);
  }

  const help = model.translates ? HELP[model.task] ?? "" : model.encodes
    ? "The encoder finds the latent of the picture; the generator makes the picture of the latent. A search finds a nearer one."
    : "A search finds the latent whose image is nearest to the picture, among some thousand.";
  const png = () => {
    if (!shown) throw new Error("There is nothing to save yet.");
    return single(shown);
  };
  return {
    controls,
    stage,
    render,
    png,
    help,
    get supersede() {
      return step.searching;
    },
  };
}

/** Reader of a file as an image of one size, once for each file. */
function bySize(file, height, width) {
  let last = null, image = null;
  return async () => {
    if (file() !== last) {
      image = file() && (await readPicture(file(), height, width));
      last = file();
    }
    return image;
  };
}
