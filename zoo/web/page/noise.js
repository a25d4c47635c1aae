// The noise contract: normal(seed, sample, stream, element), as csrc/ops/philox.h and box_muller.h.
// Integers are exact; normals agree with the runtime's to about 1e-6.

/** 128 random bits [4] of a counter [4] and a key [2], all of uint32: Philox4x32-10. */
export function philox(counter, key) {
  let [x, y, z, w] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; ++round) {
    const [high0, low0] = multiply(0xd2511f53, x);
    const [high1, low1] = multiply(0xcd9e8d57, z);
    [x, y, z, w] = [(high1 ^ y ^ k0) >>> 0, low1, (high0 ^ w ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [x, y, z, w];
}

/** High and low word of a product of two uint32. */
function multiply(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  const high = a1 * b1 + Math.floor(middle / 65536) + Math.floor(other / 65536);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}

function boxMuller(a, b) {
  const u = Math.fround(Math.fround(Math.fround(a) * 2 ** -32) + 2 ** -33);
  const radius = Math.sqrt(-2 * Math.log(u));
  const angle = (2 * Math.PI * (b + 0.5)) / 2 ** 32;
  return [radius * Math.sin(angle), radius * Math.cos(angle)];
}

const words = (value) => [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)];

/** Normals [width] of one sample of a seed (BigInt both, taken modulo 2^64). */
export function normals(seed, sample, width, stream = 0) {
  const key = words(BigInt.asUintN(64, seed));
  const [low, high] = words(BigInt.asUintN(64, sample));
  const values = new Float32Array(width);
  for (let block = 0; block * 4 < width; ++block) {
    const bits = philox([block, stream, low, high], key);
    const four = [...boxMuller(bits[0], bits[1]), ...boxMuller(bits[2], bits[3])];
    for (let lane = 0; lane < 4 && block * 4 + lane < width; ++lane) {
      values[block * 4 + lane] = four[lane];
    }
  }
  return values;
}
