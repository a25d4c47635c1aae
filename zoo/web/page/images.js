// Images as bytes {count, height, width, channels, data: Uint8Array}, and pictures of canvases.

const GAP = 2;

/** RGBA of image `row` of images with 1 or 3 channels (a 4th is a mask, not opacity). */
export function rgba(images, row = 0) {
  const { height, width, channels, data } = images;
  const size = height * width, begin = row * size * channels;
  const pixels = new Uint8ClampedArray(size * 4);
  for (let i = 0; i < size; ++i) {
    const at = begin + i * channels;
    pixels[4 * i] = data[at];
    pixels[4 * i + 1] = data[channels < 3 ? at : at + 1];
    pixels[4 * i + 2] = data[channels < 3 ? at : at + 2];
    pixels[4 * i + 3] = 255;
  }
  return pixels;
}

/** Draw an image on a canvas of its size. */
export function draw(canvas, images, row = 0) {
  canvas.width = images.width;
  canvas.height = images.height;
  const context = canvas.getContext("2d");
  context.putImageData(new ImageData(rgba(images, row), images.width, images.height), 0, 0);
}

/** Draw images side by side in rows of `columns`, with gaps of background between them. */
export function drawGrid(canvas, images, columns, gap = GAP) {
  const rows = Math.ceil(images.count / columns);
  canvas.width = columns * (images.width + gap) - gap;
  canvas.height = rows * (images.height + gap) - gap;
  const context = canvas.getContext("2d");
  if (gap) {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  for (let row = 0; row < images.count; ++row) {
    const x = (row % columns) * (images.width + gap);
    const y = Math.floor(row / columns) * (images.height + gap);
    context.putImageData(new ImageData(rgba(images, row), images.width, images.height), x, y);
  }
}

/** Columns of a grid of about as many rows, as in zoo.serve. */
export const gridColumns = (count) => Math.ceil(Math.sqrt(count));

/** The images of several answers, one after the other. */
export function join(parts) {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { ...parts[0], count, data };
}

/** RGBA enlarged by repeating pixels. */
export function enlarge(pixels, width, height, factor) {
  const from = new Uint32Array(pixels.buffer);
  const to = new Uint32Array(width * height * factor * factor);
  for (let y = 0; y < height * factor; ++y) {
    const row = Math.floor(y / factor) * width;
    for (let x = 0; x < width * factor; ++x) {
      to[y * width * factor + x] = from[row + Math.floor(x / factor)];
    }
  }
  return new Uint8ClampedArray(to.buffer);
}

/** The PNG of a canvas. */
export function toPng(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture cannot be encoded."))));
  });
}

/** Convert an RGB image to one channel, as Pillow's mode L. */
export function grey(images) {
  const data = new Uint8Array(images.count * images.height * images.width);
  for (let i = 0; i < data.length; ++i) {
    const [r, g, b] = images.data.subarray(3 * i, 3 * i + 3);
    data[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  }
  return { ...images, channels: 1, data };
}

/** Repeat the channel of grey images. */
export function colour(images) {
  const data = new Uint8Array(images.data.length * 3);
  images.data.forEach((level, i) => data.fill(level, 3 * i, 3 * i + 3));
  return { ...images, channels: 3, data };
}

/** A canvas with one image at its own size. */
export function single(images, row = 0) {
  const canvas = document.createElement("canvas");
  draw(canvas, images, row);
  return canvas;
}

/** Images as the frames of an animation, enlarged to about 256 pixels. */
export function animate(images, milliseconds = 80) {
  const { width, height } = images;
  const factor = Math.max(1, Math.floor(256 / width));
  const frames = Array.from({ length: images.count }, (_, row) =>
    enlarge(rgba(images, row), width, height, factor),
  );
  return { frames, width: width * factor, height: height * factor, milliseconds };
}

/** An image in 1 or 3 channels. */
export function withChannels(images, channels) {
  if (images.channels === channels) return images;
  return channels === 1 ? grey(images) : colour(images);
}
