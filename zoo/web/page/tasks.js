// What translators do to a picture, and the controls of each task.

import { button, choice, el, slider, toggle } from "./dom.js";
import { choices, parseRequest, writeRequest } from "./domains.js";
import { withChannels } from "./images.js";
import { defaultMask, packMask, unpackMask } from "./masks.js";
import { paint } from "./paint.js";
import { corrupt, edges, withHoles } from "./pictures.js";

const BRUSH = 3;
const KEEP = "keep";

export const HELP = {
  inpainting: "Paint over the picture: what is hidden is filled. By keyboard: arrow keys move the brush, Space sets it down.",
  denoising: "Noise is added to the picture, and removed again.",
  colorization: "The picture is made grey, and coloured again.",
  colour: "The picture is made grey, and coloured again.",
  edges: "Draw on the lines, or erase them: the face follows. By keyboard: arrow keys move the pen, Space sets it down.",
  domains: "The other attributes of the face are kept.",
};

/** Translate, with the controls of the task. */
export function translator(app, controls, canvas, caption) {
  const { model } = app;
  const prepare = { inpainting: holes, edges: lines, denoising: noise, domains: targets }[model.task] ?? greyed;
  const ready = prepare(app, controls, canvas, caption);
  return async (image, signal) => {
    const input = ready(image);
    if (!input) return null;
    const request = model.domains ? requestOf(app) : {};
    if (model.domains && !Object.keys(request).length) return { input, output: input };
    const options = { request, seed: app.state.seed };
    const output = await app.timed(1, () => app.source.translate(model, input, options, signal));
    return { input, output };
  };
}

function greyed(app, _, __, caption) {
  caption.textContent = "Grey picture";
  return (image) => image && withChannels(image, 1);
}

function noise(app, controls, _, caption) {
  caption.textContent = "Noisy picture";
  const kinds = [["gaussian", "Gaussian"], ["salt-pepper", "Salt and pepper"], ["masking", "Masked pixels"]];
  const kind = choice("Noise", kinds, app.state.corrupt, (value) => app.set({ corrupt: value }));
  controls.add(kind, () => kind.set(app.state.corrupt));
  const change = (level) => app.set({ level });
  const level = slider("Level", { min: 0, max: 0.7, step: 0.01, value: app.state.level, change });
  controls.add(level, () => level.set(app.state.level));
  return (image) => image && corrupt(image, app.state.corrupt, app.state.level, app.state.seed);
}

/** What the address asks for; at first the first domain without a group. */
function requestOf({ model, state }) {
  const { domains } = model;
  const [first] = choices(domains).filter((choice) => choice.length === 1).flat();
  return parseRequest(domains, state.to || first || domains.names[0]);
}

function targets(app, controls) {
  const text = (name) => name.replaceAll("_", " ");
  for (const group of choices(app.model.domains)) {
    const options = [["", "as it is"], ...group.map((name) => [name, group.length > 1 ? text(name) : "with"])];
    if (group.length === 1) options.push([`-${group[0]}`, "without"]);
    const value = () => {
      const [chosen] = Object.entries(requestOf(app)).filter(([name]) => group.includes(name));
      return chosen ? writeRequest(Object.fromEntries([chosen])) : "";
    };
    const change = (option) => {
      const others = Object.entries(requestOf(app)).filter(([name]) => !group.includes(name));
      const request = Object.assign(Object.fromEntries(others), parseRequest(app.model.domains, option));
      app.set({ to: writeRequest(request) || KEEP });
    };
    const root = choice(group.length > 1 ? "One of these" : text(group[0]), options, value(), change);
    controls.add(root, () => root.set(value()));
  }
  return (image) => image;
}

function holes(app, controls, canvas, caption) {
  caption.textContent = "Picture with holes";
  const { height, width } = app.model.input;
  const mask = () => unpackMask(app.state.mask, height * width) ?? defaultMask(height, width);
  const begin = () => ({ bits: mask(), on: true, radius: BRUSH, height, width });
  const change = (bits) => app.set({ mask: packMask(bits) });
  paint(canvas, { label: "Picture with holes", words: ["hole", "picture"], begin, change });
  controls.add(el("div", { className: "row" },
    button("Whole again", () => app.set({ mask: packMask(new Uint8Array(height * width)) }), { className: "quiet" }),
    button("Hole in the middle", () => app.set({ mask: "" }), { className: "quiet" })));
  return (image) => image && withHoles(image, mask());
}

function lines(app, controls, canvas, caption) {
  caption.textContent = "Lines";
  const { height, width } = app.model.input;
  let drawn = null, erase = false;
  const pen = toggle("Eraser", false, (on) => (erase = on));
  controls.add(el("div", { className: "row" }, pen,
    button("Empty", () => app.set({ mask: packMask(new Uint8Array(height * width)) }), { className: "quiet" }),
    button("Lines of the picture", () => app.set({ mask: "" }), { className: "quiet" })));
  const bits = () => drawn ?? new Uint8Array(height * width);
  const begin = () => ({ bits: bits(), on: !erase, radius: erase ? 2 : 0.5, height, width });
  const change = (bits) => app.set({ mask: packMask(bits) });
  paint(canvas, { label: "Lines", words: ["line", "empty"], begin, change });
  return (image) => {
    const own = unpackMask(app.state.mask, height * width);
    if (!own && !image) return null;
    drawn = own ?? edges(image).data.map((level) => (level ? 0 : 1));
    const data = drawn.map((on) => (on ? 0 : 255));
    return { count: 1, height, width, channels: 1, data };
  };
}
