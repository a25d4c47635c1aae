// Latents: those of samples, and the points of planes, corners and edits.

import { normals } from "./noise.js";

/** The latent of image `index` of a seed (BigInt both), as `sample` draws it. */
export function sampleLatent(model, seed, index, prior = "normal") {
  const eps = normals(seed, index, model.width);
  if (prior === "mixture" && model.mixture) return ofMixture(model, seed, index, eps);
  return model.std ? eps.map((value, i) => model.mean[i] + model.std[i] * value) : eps;
}

/** h = mean_k + L_k · eps, k from the noise stream of the mixture. */
function ofMixture(model, seed, index, eps) {
  const { stream, covariance, thresholds } = model.mixture;
  const [choice] = normals(seed, index, 1, stream);
  const k = thresholds.filter((threshold) => threshold < choice).length;
  const width = model.width, components = thresholds.length + 1;
  const values = halves(model.mixture.parameters);
  const size = covariance === "full" ? (width * (width + 1)) / 2 : width;
  const scales = components * width + k * size;
  return eps.map((value, i) => {
    const mean = values(k * width + i);
    if (covariance !== "full") return mean + values(scales + i) * value;
    let sum = 0;
    for (let j = 0; j <= i; ++j) sum += values(scales + (i * (i + 1)) / 2 + j) * eps[j];
    return mean + sum;
  });
}

/** Reader of the little-endian half precision numbers of a base64 text. */
function halves(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return (index) => {
    const bits = view.getUint16(2 * index, true);
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  };
}

/**
 * The mix Σ w·h / √Σ w² of latents, around the model's mean: as likely under the prior as the
 * latents are, and each of them where its weight alone is not 0.
 */
export function blend(model, latents, weights) {
  const scale = 1 / Math.max(Math.hypot(...weights), 1e-6);
  return latents[0].map((_, i) => {
    const mean = model.mean ? model.mean[i] : 0;
    let sum = 0;
    latents.forEach((latent, k) => (sum += weights[k] * scale * (latent[i] - mean)));
    return mean + sum;
  });
}

/** h + Σ α·direction of a model's attributes. */
export function edit(model, latent, amounts) {
  const edited = Float64Array.from(latent);
  for (const [name, amount] of Object.entries(amounts)) {
    const direction = model.directions[name];
    if (direction) direction.forEach((value, i) => (edited[i] += amount * value));
  }
  return Float32Array.from(edited);
}

/**
 * Points of a plane: (x, y) from -2 to 2, (0, 0) the latent itself. An axis is an attribute, or
 * "" for the direction to another sample of the seed.
 */
export function plane(model, latent, axes, seed, index, prior) {
  const others = axes.map((axis, k) =>
    axis ? null : sampleLatent(model, seed, index + BigInt(k + 1), prior),
  );
  const free = others.filter(Boolean);
  return (x, y) => {
    const at = [x, y];
    const steps = at.filter((_, k) => others[k]);
    const amounts = {};
    axes.forEach((axis, k) => axis && (amounts[axis] = (amounts[axis] ?? 0) + at[k]));
    return edit(model, blend(model, [latent, ...free], [1, ...steps]), amounts);
  };
}

/** Points between four latents (top left, top right, bottom left, bottom right), x and y 0 to 1. */
export function between(model, corners) {
  return (x, y) => blend(model, corners, [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]);
}

/** Latents [n][D] as one Float32Array [n·D]. */
export function stack(latents) {
  const width = latents[0].length;
  const all = new Float32Array(latents.length * width);
  latents.forEach((latent, row) => all.set(latent, row * width));
  return all;
}

/** A latent as URL-safe base64 of float32, for permalinks. */
export function pack(latent) {
  const bytes = new Uint8Array(Float32Array.from(latent).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The latent [width] of `pack`; null for a text that is none. */
export function unpack(text, width) {
  try {
    const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const latent = new Float32Array(Uint8Array.from(letters, (c) => c.charCodeAt(0)).buffer);
    return latent.length === width && latent.every(Number.isFinite) ? latent : null;
  } catch {
    return null;
  }
}
