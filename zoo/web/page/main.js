// The page: models, views, the state in the address, and what is drawn when it changes.

import { announce, el, save } from "./dom.js";
import { About, Loading, Problem, Tabs } from "./parts.js";
import { editView } from "./edit.js";
import { cornersView, planeView } from "./explore.js";
import { encodeGif } from "./gif.js";
import { toPng } from "./images.js";
import { mixView } from "./mix.js";
import { pictureView } from "./picture.js";
import { samples } from "./samples.js";
import { decode, defaults, encode } from "./state.js";

const VIEWS = {
  samples: ["Samples", samples],
  plane: ["Plane", planeView],
  corners: ["Corners", cornersView],
  edit: ["Edit", editView],
  mix: ["Mix styles", mixView],
  picture: ["Picture", pictureView],
};
const ADDRESS_DELAY = 250;

const find = (id) => document.getElementById(id);
const loading = new Loading(find("loading"));
const problem = new Problem(find("problem"));

class App {
  defaults = defaults;
  file = null;

  constructor(source, models) {
    this.source = source;
    this.models = models;
    this.state = decode(location.hash);
    this.tabs = new Tabs(find("views"), (view) => this.set({ view }));
    this.about = new About(find("about"));
    const select = find("model");
    select.replaceChildren(...groups(models));
    select.addEventListener("change", () => this.set({ model: select.value }));
    find("where").textContent = source.where;
    find("png").addEventListener("click", () => this.guard(() => this.png()));
    find("gif").addEventListener("click", () => this.guard(() => this.gif()));
    find("link").addEventListener("click", () => this.guard(() => this.copyLink()));
    window.addEventListener("hashchange", ({ newURL }) => {
      // Not that of `location`: a state that was to be written may have replaced it already.
      this.state = decode(new URL(newURL).hash);
      this.mount();
    });
    this.mount();
  }

  /** Change the state; `always` draws even if nothing has changed. */
  set(patch, always = false) {
    const { model, view } = this.state;
    const before = encode(this.state);
    if (patch.model && patch.model !== model) {
      patch = { latent: "", mask: "", edits: {}, to: "", layers: "", label: -1, axes: ["", ""], ...patch };
    }
    Object.assign(this.state, patch);
    if (this.state.model !== model || this.state.view !== view) {
      this.mount();
      history.pushState(null, "", `#${encode(this.state)}`);
    } else if (always || encode(this.state) !== before) {
      this.draw();
    }
  }

  mount() {
    const { state, models } = this;
    this.model = models.get(state.model) ?? models.values().next().value;
    state.model = this.model.name;
    if (!this.model.views.includes(state.view)) state.view = this.model.views[0];
    if (!this.model.priors?.includes(state.prior)) state.prior = "normal";
    if (state.label >= (this.model.classCount ?? 0)) state.label = -1;
    find("model").value = state.model;
    document.title = `${state.model} · generator-zoo`;
    const inside = ["stage", "controls"].some((id) => find(id).contains(document.activeElement));
    this.about.show(this.model);
    this.tabs.show(this.model.views.map((view) => [view, VIEWS[view][0]]), state.view);
    this.view = VIEWS[state.view][1](this);
    find("controls").replaceChildren(...this.view.controls.elements);
    find("stage").replaceChildren(this.view.stage);
    find("stage").setAttribute("aria-labelledby", `tab-${state.view}`);
    find("help").textContent = this.view.help;
    this.say("");
    find("gif").hidden = !this.view.frames;
    // What had the focus is gone: keys go on from the images.
    if (inside) find("stage").focus({ preventScroll: true });
    this.running?.abort();
    this.draw();
  }

  /** Draw the state; while a drawing is in progress, the newest state after it. */
  async draw() {
    this.waiting = true;
    this.view.controls.sync();
    this.writeAddress();
    if (this.running) {
      if (this.view.supersede) this.running.abort();
      return;
    }
    this.busy(true);
    while (this.waiting) {
      this.waiting = false;
      this.running = new AbortController();
      await this.guard(() => this.drawOnce(this.view, this.running.signal));
    }
    this.running = null;
    this.busy(false);
    this.writeAddress();
  }

  busy(on) {
    find("stage").setAttribute("aria-busy", String(on));
  }

  async drawOnce(view, signal) {
    await this.source.prepare(this.model, this.state.view);
    if (signal.aborted) return;
    await view.render(signal);
    this.drawn = view;
    problem.clear();
  }

  /** Run a step; say in words what has failed. */
  async guard(step) {
    try {
      await step();
    } catch (error) {
      if (error.name === "AbortError") return;
      console.warn(error);
      loading.report(null);
      if (error.name === "KeyError") problem.askKey((key) => this.retry(() => this.source.setKey(key)));
      else problem.show(error.message, () => this.retry());
    }
  }

  retry(before = () => {}) {
    problem.clear();
    before();
    this.draw();
  }

  /** Run a step that makes `count` images, and show its speed. */
  async timed(count, step) {
    const began = performance.now();
    const result = await step();
    const seconds = Math.max(performance.now() - began, 0.1) / 1000;
    const rate = Math.round(count / seconds).toLocaleString("en");
    const images = count === 1 ? "1 image" : `${count} images`;
    this.say(`${images} in ${Math.round(seconds * 1000)} ms · ${rate} images/s`);
    return result;
  }

  /** Show a text below the images. */
  say(text) {
    find("status").textContent = text;
  }

  writeAddress() {
    clearTimeout(this.address);
    this.address = setTimeout(() => history.replaceState(null, "", `#${encode(this.state)}`), ADDRESS_DELAY);
  }

  get fileName() {
    const { model, view, seed } = this.state;
    return `${model}-${view}-${seed}`;
  }

  /** What a view has drawn can be saved. */
  check() {
    if (this.drawn !== this.view) throw new Error("There is nothing to save yet.");
  }

  async png() {
    this.check();
    save(await toPng(this.view.png()), `${this.fileName}.png`);
  }

  async gif() {
    this.check();
    const { frames, width, height, milliseconds } = await this.view.frames(new AbortController().signal);
    const bytes = encodeGif(frames, width, height, milliseconds);
    save(new Blob([bytes], { type: "image/gif" }), `${this.fileName}.gif`);
  }

  async copyLink() {
    history.replaceState(null, "", `#${encode(this.state)}`);
    try {
      await navigator.clipboard.writeText(location.href);
      this.say("The link is in the clipboard.");
      announce("The link is in the clipboard.");
    } catch {
      throw new Error("The browser does not allow copying: the link is the address of this page.");
    }
  }

  /** Take a picture that was dropped or pasted. */
  takePicture(file) {
    this.file = file;
    this.set({ view: "picture", from: "picture", latent: "", mask: "" }, true);
  }
}

/** Options of the models, by what they do. */
function groups(models) {
  const named = new Map();
  for (const model of models.values()) {
    const { height, width } = model.image;
    const kind = model.translates ? "Picture to picture" : `Trained on ${model.data || "other data"}`;
    const text = model.translates ? `${model.name}: ${model.kind.toLowerCase()}` : model.name;
    const options = named.get(kind) ?? [];
    const title = `${width}×${height}`;
    options.push(el("option", { value: model.name, title }, text));
    named.set(kind, options);
  }
  return [...named].map(([label, options]) => el("optgroup", { label }, ...options));
}

function setUpTheme() {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("theme");
    if (theme) root.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's theme is used.
  }
  find("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // As above.
    }
  });
}

function setUpPictures(app) {
  const over = find("dropping");
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over.hidden = false;
  });
  window.addEventListener("dragleave", (event) => !event.relatedTarget && (over.hidden = true));
  window.addEventListener("drop", (event) => {
    over.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    app().takePicture(event.dataTransfer.files[0]);
  });
  window.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (file) app().takePicture(file);
  });
}

async function start() {
  const report = (state) => loading.report(state);
  const local = document.documentElement.dataset.source === "local";
  const { Source } = await import(local ? "./local.js" : "./server.js");
  const source = new Source(report);
  const connect = async () => {
    try {
      const models = await source.models();
      if (!models.size) throw new Error("There is no model here that makes images.");
      const app = new App(source, models);
      setUpPictures(() => app);
    } catch (error) {
      const again = () => (problem.clear(), connect());
      if (error.name === "KeyError") problem.askKey((key) => (source.setKey(key), again()));
      else problem.show(error.message, again);
    }
  };
  await connect();
}

setUpTheme();
start();
