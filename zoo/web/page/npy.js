// Arrays as .npy files (NumPy's format 1.0), for the bodies of requests.

/** The file of a Uint8Array or Float32Array of that shape, in C order. */
export function toNpy(data, shape) {
  const type = data instanceof Float32Array ? "<f4" : "|u1";
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const start = 10, padded = Math.ceil((start + text.length + 1) / 64) * 64;
  const file = new Uint8Array(padded + data.byteLength);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, (padded - start) & 255, (padded - start) >> 8]);
  file.set(new TextEncoder().encode(`${text.padEnd(padded - start - 1)}\n`), start);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), padded);
  return file;
}
