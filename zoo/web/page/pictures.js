// Pictures that users drop, and what is done to them before a translator sees them.

import { normals } from "./noise.js";

const MOST_BYTES = 32 * 2 ** 20;
const EDGE = 96;

/** Read a file as one RGB image of that size, cropped to its shape; transparency is on white. */
export async function readPicture(file, height, width) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name || "The picture"} is larger than 32 MB.`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name || "The file"} is not a picture that this browser can read.`);
  }
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = scale !== 1;
  context.imageSmoothingQuality = "high";
  const w = bitmap.width * scale, h = bitmap.height * scale;
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; ++i) data.set(pixels.subarray(4 * i, 4 * i + 3), 3 * i);
  return { count: 1, height, width, channels: 3, data };
}

const STREAMS = { gaussian: 65, "salt-pepper": 66, masking: 67 };

/**
 * Add noise as zoo.corruption does, for image 0 of a seed: gaussian (σ in units of the range),
 * salt-pepper or masking (share of the pixels).
 */
export function corrupt(images, kind, level, seed) {
  const { height, width, channels, data } = images;
  const pixels = height * width;
  const z = normals(seed, 0n, kind === "gaussian" ? data.length : pixels, STREAMS[kind]);
  const share = (value) => 0.5 * (1 + erf(value / Math.SQRT2));
  const out = data.map((value, i) => {
    if (kind === "gaussian") {
      return Math.floor(Math.min(255, Math.max(0, value + 255 * level * z[i] + 0.5)));
    }
    const u = share(z[Math.floor(i / channels)]);
    if (kind === "masking") return u < level ? 0 : value;
    return u < level / 2 ? 0 : u > 1 - level / 2 ? 255 : value;
  });
  return { ...images, data: out };
}

/** Abramowitz & Stegun 7.1.26, to 1.5e-7. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - poly * Math.exp(-x * x));
}

/** Add a channel to an image: 255 where pixels are known, 0 (and black) where the mask says hole. */
export function withHoles(images, mask) {
  const { channels } = images;
  const data = new Uint8Array(mask.length * (channels + 1));
  mask.forEach((hole, i) => {
    if (hole) return;
    data.set(images.data.subarray(i * channels, (i + 1) * channels), i * (channels + 1));
    data[i * (channels + 1) + channels] = 255;
  });
  return { ...images, channels: channels + 1, data };
}

/** Edges of an image, black on white, as zoo.corruption.edges: thinned Sobel gradients. */
export function edges(images) {
  const { height, width, channels, data } = images;
  const level = (y, x, c) => {
    const row = Math.min(height - 1, Math.max(0, y)), column = Math.min(width - 1, Math.max(0, x));
    return data[(row * width + column) * channels + c];
  };
  const size = height * width;
  const dx = new Int32Array(size), dy = new Int32Array(size), squared = new Int32Array(size).fill(-1);
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      for (let c = 0; c < channels; ++c) {
        let gx = 0, gy = 0;
        for (const [step, weight] of [[-1, 1], [0, 2], [1, 1]]) {
          gx += weight * (level(y + step, x + 1, c) - level(y + step, x - 1, c));
          gy += weight * (level(y + 1, x + step, c) - level(y - 1, x + step, c));
        }
        const i = y * width + x;
        if (gx * gx + gy * gy > squared[i]) {
          [dx[i], dy[i], squared[i]] = [gx, gy, gx * gx + gy * gy];
        }
      }
    }
  }
  const at = (y, x) => (y < 0 || x < 0 || y >= height || x >= width ? 0 : squared[y * width + x]);
  const lines = squared.map((value, i) => {
    const y = Math.floor(i / width), x = i % width;
    const wide = Math.abs(dx[i]), high = Math.abs(dy[i]);
    // The direction of the gradient, rounded to one of eight neighbours: tan 22.5° ≈ 29/70.
    let step = dx[i] > 0 === dy[i] > 0 ? [1, 1] : [1, -1];
    if (70 * high <= 29 * wide) step = [0, 1];
    else if (70 * wide <= 29 * high) step = [1, 0];
    const [v, h] = step;
    return value >= EDGE * EDGE && value >= at(y + v, x + h) && value >= at(y - v, x - h) ? 0 : 255;
  });
  return { ...images, channels: 1, data: Uint8Array.from(lines) };
}
