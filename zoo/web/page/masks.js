// Masks of pixels, one byte 0 or 1 each: painted with a pointer, and packed for permalinks.

/** A hole in the middle of a picture, a third of each side. */
export function defaultMask(height, width) {
  const bits = new Uint8Array(height * width);
  for (let y = Math.floor(height / 3); y < (2 * height) / 3; ++y) {
    bits.fill(1, y * width + Math.floor(width / 3), y * width + Math.ceil((2 * width) / 3));
  }
  return bits;
}

/** URL-safe base64 of a mask, eight pixels a byte. */
export function packMask(bits) {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => (bytes[i >> 3] |= bit << (i & 7)));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The mask of `size` pixels of a text; null if it is none. */
export function unpackMask(text, size) {
  if (!text) return null;
  try {
    const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    if (letters.length !== Math.ceil(size / 8)) return null;
    return Uint8Array.from({ length: size }, (_, i) => (letters.charCodeAt(i >> 3) >> (i & 7)) & 1);
  } catch {
    return null;
  }
}

/**
 * Let a pointer paint on a canvas that shows a mask's pixels. `begin()` returns {bits, on, radius,
 * height, width}; `change(bits)` is called with new bits while the pointer moves.
 */
export function paint(canvas, begin, change) {
  let brush = null, before = null;
  const dab = (event) => {
    const { bits, on, radius, height, width } = brush;
    const box = canvas.getBoundingClientRect();
    const to = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    const from = before ?? to;
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let step = 0; step <= steps; ++step) {
      const [x, y] = from.map((value, k) => value + ((to[k] - value) * step) / steps);
      for (let row = Math.floor(y - radius); row <= y + radius; ++row) {
        for (let column = Math.floor(x - radius); column <= x + radius; ++column) {
          const inside = row >= 0 && row < height && column >= 0 && column < width;
          const near = Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius + 0.25;
          if (inside && near) bits[row * width + column] = Number(on);
        }
      }
    }
    before = to;
    change(bits);
  };
  canvas.classList.add("paint");
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    brush = begin();
    brush.bits = Uint8Array.from(brush.bits);
    before = null;
    canvas.setPointerCapture(event.pointerId);
    dab(event);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => brush && dab(event));
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (brush = null));
}
