// Masks of pixels, one byte 0 or 1 each, and their text in permalinks.

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
