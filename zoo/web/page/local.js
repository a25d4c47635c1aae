// Engines in this browser: onnxruntime-web (WebAssembly, in a worker) runs the engine files.

import { decide, targetsOf } from "./domains.js";
import { join } from "./images.js";
import { describeAll } from "./models.js";

const ORT = new URL("../ort/", import.meta.url).href;
const ENGINES = new URL("../engines/", import.meta.url).href;
const BATCH = 16;
const MOST_SESSIONS = 8;
const MOST_THREADS = 4;
/** Threads share memory, which browsers allow where the server sends the headers of docs/page.md. */
const THREADS = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;

export class Source {
  where = `in this browser${THREADS > 1 ? `, ${THREADS} threads` : ""}`;

  /** `report({label, loaded, total})` is called while files are loaded, `report(null)` after. */
  constructor(report) {
    this.report = report;
    this.sessions = new Map();
  }

  /** Open the engines of a view. */
  async prepare(model, view) {
    const views = { mix: ["mapping", "synthesis"], picture: ["encoder", "classifier", "main"] };
    const roles = (views[view] ?? ["main"]).filter((role) => role in model.files);
    for (const role of roles) await this.open(model.files[role]);
  }

  async models() {
    this.index = await (await get(`${ENGINES}index.json`)).json();
    const manifests = await Promise.all(
      Object.keys(this.index).map(async (name) => [name, await (await get(`${ENGINES}${name}.json`)).json()]),
    );
    this.manifests = Object.fromEntries(manifests);
    return describeAll(this.manifests);
  }

  async sample(model, { n, seed, first, label, prior, truncation, noise }, signal, onImages) {
    const session = await this.open(model.files.main);
    for (let begin = 0; begin < n; begin += BATCH) {
      signal.throwIfAborted();
      const rows = Math.min(BATCH, n - begin);
      const at = BigInt.asUintN(64, first + BigInt(begin));
      const labels = Array.from({ length: rows }, (_, row) =>
        label >= 0 ? BigInt(label) : (at + BigInt(row)) % BigInt(model.classCount || 1),
      );
      const source = { logvar: 0, seed, first: at, mixture: prior === "mixture" ? 1 : 0, noise, truncation };
      onImages(await this.decodeRows(session, model, rows, { ...source, labels }));
    }
  }

  /** Images of latents, Float32Array [n·D]; layers draw no noise. */
  async decode(model, latents, { label, truncation }, signal) {
    const session = await this.open(model.files.main);
    const parts = [];
    const n = latents.length / model.width;
    for (let begin = 0; begin < n; begin += BATCH) {
      signal.throwIfAborted();
      const rows = Math.min(BATCH, n - begin);
      const mu = latents.subarray(begin * model.width, (begin + rows) * model.width);
      const labelOf = (_, row) => BigInt(Array.isArray(label) ? label[begin + row] : label);
      const labels = Array.from({ length: rows }, labelOf);
      const source = { mu, logvar: -Infinity, seed: 0n, first: 0n, mixture: 0, noise: 0, truncation, labels };
      parts.push(await this.decodeRows(session, model, rows, source));
    }
    return parts;
  }

  async decodeRows(session, model, rows, source) {
    const { height, width, channels } = model.image;
    const filled = Math.max(rows, model.manifest.batch?.min ?? 1);
    const mu = new Float32Array(filled * model.width);
    if (source.mu) mu.set(source.mu);
    const labels = BigInt64Array.from({ length: filled }, (_, row) => source.labels[row] ?? 0n);
    const { image } = await this.run(session, {
      mu: ["float32", mu, [filled, model.width]],
      logvar: ["float32", new Float32Array(mu.length).fill(source.logvar), [filled, model.width]],
      seed: int64(source.seed),
      first: int64(source.first),
      label: ["int64", labels, [filled]],
      truncation: float(source.truncation),
      noise: float(source.noise),
      mixture: float(source.mixture),
    });
    return { count: rows, height, width, channels, data: image.subarray(0, rows * height * width * channels) };
  }

  /** The latent of an image, the mean of its posterior. */
  async encode(model, images) {
    const manifest = this.manifestOf(model, "encoder");
    const session = await this.open(model.files.encoder);
    const filled = Math.max(1, manifest.batch?.min ?? 1);
    const { mu } = await this.run(session, { image: padded(images, filled) });
    return mu.slice(0, model.width);
  }

  async translate(model, images, { request, seed }) {
    const targets = model.domains ? targetsOf(model.domains, await this.attributes(model, images), request) : [];
    const session = await this.open(model.files.main);
    const filled = Math.max(1, model.manifest.batch?.min ?? 1);
    const values = new Float32Array(filled * targets.length);
    values.set(targets);
    const { image } = await this.run(session, {
      input: padded(images, filled),
      attributes: ["float32", values, [filled, targets.length]],
      seed: int64(seed),
      first: int64(0n),
    });
    const { height, width, channels } = model.image;
    return { count: 1, height, width, channels, data: image.slice(0, height * width * channels) };
  }

  /** The attributes of an image, by the classifier. */
  async attributes(model, images) {
    const session = await this.open(model.files.classifier);
    const filled = Math.max(1, this.manifestOf(model, "classifier").batch?.min ?? 1);
    const { scores } = await this.run(session, { image: padded(images, filled) });
    return decide(model.domains, scores.subarray(0, model.domains.seen.length));
  }

  /** The image of each latent `down` with the styles of each one `across`, in the layers that are true. */
  async mix(model, down, across, layers, truncation, signal) {
    const styles = await this.styles(model, [...down, ...across], truncation, signal);
    const [ofDown, ofAcross] = [styles.slice(0, down.length), styles.slice(down.length)];
    const pairs = ofDown.flatMap((a) => ofAcross.map((b) => [a, b]));
    const parts = [];
    for (let begin = 0; begin < pairs.length; begin += BATCH) {
      signal.throwIfAborted();
      parts.push(await this.mixPairs(model, pairs.slice(begin, begin + BATCH), layers));
    }
    return join(parts);
  }

  /** The truncated styles of latents. */
  async styles(model, latents, truncation, signal) {
    const mapping = await this.open(model.files.mapping);
    const mean = model.styleMean, size = mean.length, styles = [];
    for (let begin = 0; begin < latents.length; begin += BATCH) {
      signal.throwIfAborted();
      const part = latents.slice(begin, begin + BATCH);
      const rows = Math.max(part.length, this.manifestOf(model, "mapping").batch?.min ?? 1);
      const latent = new Float32Array(rows * model.width);
      part.forEach((each, row) => latent.set(each, row * model.width));
      const outputs = await this.run(mapping, { latent: ["float32", latent, [rows, model.width]] });
      const [mapped] = Object.values(outputs);
      part.forEach((_, row) =>
        styles.push(mean.map((value, i) => value + truncation * (mapped[row * size + i] - value))));
    }
    return styles;
  }

  async mixPairs(model, pairs, layers) {
    const synthesis = await this.open(model.files.synthesis);
    const count = pairs.length, size = model.styleMean.length;
    const rows = Math.max(count, this.manifestOf(model, "synthesis").batch?.min ?? 1);
    const width = model.layers * size;
    const styles = new Float32Array(rows * width);
    pairs.forEach(([a, b], row) =>
      layers.forEach((on, layer) => styles.set(on ? b : a, row * width + layer * size)));
    const { image } = await this.run(synthesis, {
      latent: ["float32", styles, [rows, width]],
      seed: int64(0n),
      first: int64(0n),
      noise: float(0),
    });
    const { height, width: across, channels } = model.image;
    return { count, height, width: across, channels, data: image.slice(0, count * height * across * channels) };
  }

  manifestOf(model, role) {
    return this.manifests[model.files[role]];
  }

  /** Open an engine once; the least recently used ones are released. */
  async open(name) {
    const known = this.sessions.get(name);
    this.sessions.delete(name);
    const opened = known ?? this.load(name);
    this.sessions.set(name, opened);
    opened.catch(() => this.sessions.delete(name));
    if (this.sessions.size > MOST_SESSIONS) {
      const [oldest, session] = this.sessions.entries().next().value;
      this.sessions.delete(oldest);
      session.then((each) => each.release()).catch(() => {});
    }
    return opened;
  }

  async load(name) {
    try {
      this.ort ??= this.loadRuntime();
      const [ort, bytes] = await Promise.all([
        this.ort.catch((error) => {
          this.ort = undefined;
          throw error;
        }),
        download(`${ENGINES}${name}.onnx`, this.index[name].bytes, `${name}.onnx`, this.report),
      ]);
      this.report({ label: `Starting ${name}`, loaded: 0, total: 0 });
      return await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }).catch((error) => {
        throw new Error(`${name} cannot be started: ${error.message}`);
      });
    } finally {
      this.report(null);
    }
  }

  async loadRuntime() {
    const files = await (await get(`${ORT}index.json`)).json();
    const wasm = "ort-wasm-simd-threaded.wasm";
    const [ort, binary] = await Promise.all([
      import(`${ORT}ort.wasm.min.mjs`),
      download(`${ORT}${wasm}`, files[wasm], "the runtime", this.report),
    ]);
    ort.env.wasm.wasmBinary = binary.buffer;
    ort.env.wasm.wasmPaths = ORT;
    ort.env.wasm.numThreads = THREADS;
    // In a worker: loading stylegan would freeze the page for seconds.
    ort.env.wasm.proxy = true;
    this.tensor = ort.Tensor;
    return ort;
  }

  /** Run a graph with those of the feeds [type, data, shape] that it has; outputs by name. */
  async run(session, feeds) {
    const tensors = session.inputNames.map((name) => [name, new this.tensor(...feeds[name])]);
    const outputs = await session.run(Object.fromEntries(tensors));
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
  }
}

/** The feed of images, with more rows where an engine takes no fewer. */
function padded(images, rows) {
  const data = new Uint8Array(rows * (images.data.length / images.count));
  data.set(images.data);
  return ["uint8", data, [rows, images.height, images.width, images.channels]];
}

const int64 = (value) => ["int64", BigInt64Array.of(BigInt.asIntN(64, value)), [1]];
const float = (value) => ["float32", Float32Array.of(value), [1]];

async function get(url) {
  let answer;
  try {
    answer = await fetch(url);
  } catch {
    throw new Error(`${name(url)} cannot be loaded: is the server of this page still running?`);
  }
  if (!answer.ok) throw new Error(`${name(url)} cannot be loaded: the server answered ${answer.status}.`);
  return answer;
}

const name = (url) => url.split("/").pop();

/** Download a file of `total` bytes, with progress. */
async function download(url, total, label, report) {
  const answer = await get(url);
  const bytes = new Uint8Array(total);
  let loaded = 0;
  const reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (loaded + part.value.length > total) break;
    bytes.set(part.value, loaded);
    loaded += part.value.length;
    report({ label: `Loading ${label}`, loaded, total });
  }
  if (loaded !== total) throw new Error(`${name(url)} is damaged: expected ${total} bytes.`);
  return bytes;
}
