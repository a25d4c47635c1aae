// Engines in a service: the routes of zoo.serve.

import { writeRequest } from "./domains.js";
import { describe } from "./models.js";
import { toNpy } from "./npy.js";

const ROOT = new URL("../v1/models", import.meta.url).href;
const NEEDS = { encoder: "encode", mapping: "mix", synthesis: "mix", classifier: "translate" };
const MOST_AT_ONCE = 64;

export class Source {
  where = "by the service";

  constructor(report) {
    this.report = report;
    try {
      this.key = sessionStorage.getItem("key");
    } catch {
      this.key = null;
    }
  }

  setKey(key) {
    this.key = key;
    try {
      sessionStorage.setItem("key", key);
    } catch {
      // The key is asked for again after a reload.
    }
  }

  async models() {
    const { models } = await (await this.ask("")).json();
    const described = await Promise.all(
      models.map(async ({ name, routes = [] }) => {
        const { manifest } = await (await this.ask(`/${name}`)).json();
        const files = { main: name };
        for (const [role, route] of Object.entries(NEEDS)) {
          if (routes.includes(route)) files[role] = `${name}.${role}`;
        }
        return [name, describe(name, manifest, files)];
      }),
    );
    return new Map(described);
  }

  async prepare() {}

  async sample(model, { n, seed, first, label, prior, truncation, noise }, signal, onImages) {
    for (let begin = 0; begin < n; begin += MOST_AT_ONCE) {
      const at = BigInt.asUintN(64, first + BigInt(begin));
      const query = { n: Math.min(MOST_AT_ONCE, n - begin), seed, first: at, format: "raw" };
      if (label >= 0) query.labels = label;
      if (prior !== "normal") query.prior = prior;
      if (model.layers) Object.assign(query, { truncation, noise });
      onImages(await this.images(`/${model.name}/sample`, query, undefined, signal));
    }
  }

  async decode(model, latents, { label, truncation }, signal) {
    const query = { format: "raw" };
    if (model.classCount) query.labels = label;
    if (model.layers) query.truncation = truncation;
    const body = toNpy(latents, [latents.length / model.width, model.width]);
    return [await this.images(`/${model.name}/decode`, query, body, signal)];
  }

  async encode(model, images, signal) {
    const answer = await this.ask(`/${model.name}/encode`, { format: "raw" }, array(images), signal);
    return new Float32Array(await answer.arrayBuffer());
  }

  async translate(model, images, { request, seed }, signal) {
    const query = { format: "raw", seed };
    if (model.domains) query.to = writeRequest(request);
    return this.images(`/${model.name}/translate`, query, array(images), signal);
  }

  /** The image of each latent `down` with the styles of each one `across`, in the layers that are true. */
  async mix(model, down, across, layers, truncation, signal) {
    const [a, b] = [down, across].map((latents) => latents.map((each) => [...each]));
    const values = { down: a, across: b, truncation, layers: layers.flatMap((on, layer) => (on ? [layer] : [])) };
    const body = new Blob([JSON.stringify(values)], { type: "application/json" });
    return this.images(`/${model.name}/mix`, { format: "raw" }, body, signal);
  }

  async images(path, query, body, signal) {
    const answer = await this.ask(path, query, body, signal);
    const [count, height, width, channels] = answer.headers.get("X-Zoo-Shape").split(",").map(Number);
    return { count, height, width, channels, data: new Uint8Array(await answer.arrayBuffer()) };
  }

  /** Ask a route; GET without a body, which browsers keep. Errors say what the service has said. */
  async ask(path, query = {}, body = undefined, signal = undefined) {
    const headers = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    if (body instanceof Uint8Array) headers["Content-Type"] = "application/x-npy";
    let answer;
    try {
      const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
      const options = { method: body ? "POST" : "GET", headers, body, signal };
      answer = await fetch(`${ROOT}${path}?${text}`, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The service does not answer: is it still running?");
    }
    if (answer.ok) return answer;
    const said = (await answer.json().catch(() => ({}))).error ?? `status ${answer.status}`;
    const error = new Error(answer.status === 429 ? `The service is busy (${said}).` : `The service says: ${said}`);
    if (answer.status === 401) error.name = "KeyError";
    throw error;
  }
}

const array = ({ count, height, width, channels, data }) => toNpy(data, [count, height, width, channels]);
