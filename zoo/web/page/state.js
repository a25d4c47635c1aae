// The state of the page, and its text after the # of a permalink.

const MOST_SEED = 2n ** 64n - 1n;
export const MOST_IMAGES = 256;

const word = (text) => (/^[0-9]{1,20}$/.test(text) && BigInt(text) <= MOST_SEED ? BigInt(text) : undefined);
const number = (low, high) => (text) => {
  const value = Number(text);
  return text !== "" && value >= low && value <= high ? value : undefined;
};
const integer = (low, high) => (text) => (/^[0-9]{1,9}$/.test(text) ? number(low, high)(text) : undefined);
const oneOf = (...names) => (text) => (names.includes(text) ? text : undefined);
const list = (parse, count) => (text) => {
  const values = text.split(",").map(parse);
  return values.length === count && !values.includes(undefined) ? values : undefined;
};
const amounts = (text) => {
  const pairs = text.split(",").map((part) => part.split(":"));
  const valid = pairs.every(([name, amount]) => name && number(-5, 5)(amount ?? "") !== undefined);
  return valid ? Object.fromEntries(pairs.map(([name, amount]) => [name, Number(amount)])) : undefined;
};
const round = (value) => String(Math.round(value * 1000) / 1000);

/** By name: the default, the parser of a text (undefined for an invalid one), and its inverse. */
const FIELDS = {
  model: ["", (text) => text.slice(0, 100), String],
  view: ["", oneOf("samples", "plane", "corners", "edit", "mix", "picture"), String],
  seed: [0n, word, String],
  n: [16, integer(1, MOST_IMAGES), String],
  first: [0n, word, String],
  label: [-1, integer(0, 99999), String],
  prior: ["normal", oneOf("normal", "mixture"), String],
  truncation: [1, number(0, 2), round],
  noise: [1, number(0, 2), round],
  index: [0n, word, String],
  latent: ["", (text) => (/^[-_A-Za-z0-9]{1,20000}$/.test(text) ? text : undefined), String],
  x: [0, number(-2, 2), round],
  y: [0, number(-2, 2), round],
  axes: [["", ""], list((text) => text.slice(0, 60), 2), (axes) => axes.join(",")],
  corners: [[0n, 1n, 2n, 3n], list(word, 4), (corners) => corners.join(",")],
  cx: [0.5, number(0, 1), round],
  cy: [0.5, number(0, 1), round],
  edits: [{}, amounts, (edits) => Object.entries(edits).map(([k, v]) => `${k}:${round(v)}`).join(",")],
  other: [1n, word, String],
  layers: ["", (text) => (/^[01]{1,64}$/.test(text) ? text : undefined), String],
  to: ["", (text) => text.slice(0, 1000), String],
  level: [0.25, number(0, 1), round],
  from: ["", (text) => text.slice(0, 100), String],
  mask: ["", (text) => (/^[-_A-Za-z0-9]{1,100000}$/.test(text) ? text : undefined), String],
  corrupt: ["gaussian", oneOf("gaussian", "masking", "salt-pepper"), String],
};

export function defaults() {
  return Object.fromEntries(Object.entries(FIELDS).map(([name, [value]]) => [name, value]));
}

/** The text of a state, without what has its default. */
export function encode(state) {
  const values = new URLSearchParams();
  for (const [name, [usual, , write]] of Object.entries(FIELDS)) {
    const text = write(state[name]);
    if (text !== write(usual) && text !== "") values.set(name, text);
  }
  return values.toString();
}

/** The state of a text; what is unknown or invalid has its default. */
export function decode(text) {
  const state = defaults();
  for (const [name, value] of new URLSearchParams(text.replace(/^#/, ""))) {
    const parsed = FIELDS[name]?.[1](value);
    if (parsed !== undefined) state[name] = parsed;
  }
  return state;
}

/** A seed or an index typed by a user; null unless it is an integer of 64 bits. */
export const parseWord = (text) => word(text.trim()) ?? null;
