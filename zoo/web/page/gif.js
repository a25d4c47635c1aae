// Animated GIFs (GIF89a, CompuServe 1990), looping by the Netscape extension.

const MOST_COLOURS = 256;

/**
 * A GIF of frames, RGBA Uint8ClampedArray [height·width·4] each, opaque. Up to 256 colours of all
 * frames are exact; more are reduced by median cut.
 */
export function encodeGif(frames, width, height, milliseconds = 80) {
  const { palette, index } = reduceColours(frames);
  const bits = Math.max(1, Math.ceil(Math.log2(palette.length)));
  const bytes = [...letters("GIF89a"), ...short(width), ...short(height), 0xf0 | (bits - 1), 0, 0];
  for (let k = 0; k < 1 << bits; ++k) bytes.push(...(palette[k] ?? [0, 0, 0]));
  bytes.push(0x21, 0xff, 11, ...letters("NETSCAPE2.0"), 3, 1, 0, 0, 0);
  const parts = [Uint8Array.from(bytes)];
  for (const frame of frames) {
    const head = [0x21, 0xf9, 4, 4, ...short(Math.round(milliseconds / 10)), 0, 0];
    head.push(0x2c, 0, 0, 0, 0, ...short(width), ...short(height), 0);
    parts.push(Uint8Array.from(head), compress(index(frame), Math.max(2, bits)));
  }
  parts.push(Uint8Array.of(0x3b));
  return concatenate(parts);
}

const letters = (text) => [...text].map((letter) => letter.charCodeAt(0));
const short = (value) => [value & 255, value >> 8];

function concatenate(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** LZW with codes of growing width, in sub-blocks of at most 255 bytes. */
function compress(pixels, bits) {
  const out = [bits], block = [];
  let buffer = 0, filled = 0;
  const clear = 1 << bits, end = clear + 1;
  let size = bits + 1, next = end + 1, table = new Map();
  const flush = () => {
    if (block.length) out.push(block.length, ...block.splice(0));
  };
  const emit = (code) => {
    buffer |= code << filled;
    for (filled += size; filled >= 8; filled -= 8, buffer >>>= 8) {
      block.push(buffer & 255);
      if (block.length === 255) flush();
    }
  };
  emit(clear);
  let prefix = pixels[0];
  for (let i = 1; i < pixels.length; ++i) {
    const key = (prefix << 8) | pixels[i];
    const code = table.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    emit(prefix);
    if (next < 4096) {
      if (next === 1 << size) ++size;
      table.set(key, next++);
    } else {
      emit(clear);
      size = bits + 1;
      next = end + 1;
      table = new Map();
    }
    prefix = pixels[i];
  }
  emit(prefix);
  // A decoder adds an entry for the last code, too.
  if (next < 4096 && next === 1 << size) ++size;
  emit(end);
  if (filled > 0) block.push(buffer & 255);
  flush();
  out.push(0);
  return Uint8Array.from(out);
}

/** A palette of RGB [≤ 256][3], and the function from a frame to indices into it. */
function reduceColours(frames) {
  const exact = new Map();
  for (const frame of frames) {
    for (let i = 0; i < frame.length; i += 4) {
      const colour = (frame[i] << 16) | (frame[i + 1] << 8) | frame[i + 2];
      exact.set(colour, (exact.get(colour) ?? 0) + 1);
    }
  }
  const split = ([colour]) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const groups = exact.size <= MOST_COLOURS ? [...exact].map((entry) => [entry]) : medianCut([...exact], split);
  const places = new Map();
  const palette = groups.map((group, place) => {
    const total = group.reduce((sum, [, count]) => sum + count, 0);
    group.forEach(([colour]) => places.set(colour, place));
    return [0, 1, 2].map((c) =>
      Math.round(group.reduce((sum, entry) => sum + split(entry)[c] * entry[1], 0) / total),
    );
  });
  const index = (frame) => {
    const pixels = new Uint8Array(frame.length / 4);
    for (let i = 0; i < pixels.length; ++i) {
      pixels[i] = places.get((frame[4 * i] << 16) | (frame[4 * i + 1] << 8) | frame[4 * i + 2]);
    }
    return pixels;
  };
  return { palette, index };
}

/** Groups of colours (Heckbert 1982): the group of the greatest extent times its pixels is halved. */
function medianCut(entries, split) {
  const measure = (group) => {
    let best = { group, channel: 0, extent: -1 };
    for (const channel of [0, 1, 2]) {
      let low = 255, high = 0;
      for (const entry of group) {
        const value = split(entry)[channel];
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      if (high - low > best.extent) best = { group, channel, extent: high - low };
    }
    best.weight = best.extent * Math.sqrt(group.reduce((sum, [, count]) => sum + count, 0));
    return best;
  };
  const boxes = [measure(entries)];
  while (boxes.length < MOST_COLOURS) {
    let largest = 0;
    boxes.forEach((box, i) => box.weight > boxes[largest].weight && (largest = i));
    const { group, channel, extent } = boxes[largest];
    if (extent === 0) break;
    group.sort((a, b) => split(a)[channel] - split(b)[channel]);
    const half = group.reduce((sum, [, count]) => sum + count, 0) / 2;
    let cut = 0;
    for (let seen = 0; cut < group.length - 1 && seen < half; ++cut) seen += group[cut][1];
    cut = Math.max(1, cut);
    boxes[largest] = measure(group.slice(0, cut));
    boxes.push(measure(group.slice(cut)));
  }
  return boxes.map((box) => box.group);
}
