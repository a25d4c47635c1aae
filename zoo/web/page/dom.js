// Elements and controls of the page.

/** An element. Properties are set as such; `on…` are listeners, `aria-…` and `data-…` attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let last = 0;
const newId = () => `control-${++last}`;

/** A label above a control. */
export function field(label, control, hint = "") {
  control.id ||= newId();
  const parts = [el("label", { for: control.id }, label), control];
  if (hint) {
    const id = newId();
    control.setAttribute("aria-describedby", id);
    parts.push(el("p", { className: "hint", id }, hint));
  }
  return el("div", { className: "field" }, ...parts);
}

/** A slider with its value beside the label; `change(value)` is called while it moves. */
export function slider(label, { min, max, step, value, digits = 2, change }) {
  const output = el("output", {}, value.toFixed(digits));
  const input = el("input", { type: "range", min, max, step, value, id: newId() });
  output.htmlFor = input.id;
  const show = () => (output.value = Number(input.value).toFixed(digits));
  input.addEventListener("input", () => {
    show();
    change(Number(input.value));
  });
  const root = el("div", { className: "field slider" }, el("label", { for: input.id }, label), output, input);
  root.set = (next) => {
    input.value = next;
    show();
  };
  return root;
}

/** A choice from pairs [value, text]. */
export function choice(label, options, value, change) {
  const select = el(
    "select",
    { onchange: () => change(select.value) },
    ...options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)),
  );
  const root = field(label, select);
  root.set = (next) => (select.value = next);
  return root;
}

export function button(text, click, more = {}) {
  return el("button", { type: "button", onclick: click, ...more }, text);
}

/** A button that is on or off. */
export function toggle(text, pressed, change, more = {}) {
  const root = button(text, () => root.set(root.getAttribute("aria-pressed") !== "true", true), {
    className: "chip",
    ...more,
  });
  root.set = (on, tell = false) => {
    root.setAttribute("aria-pressed", String(on));
    if (tell) change(on);
  };
  root.set(pressed);
  return root;
}

/** A field for an integer of 64 bits, with a button for another one. `another` is {value(), name, icon}. */
export function wordField(label, value, parse, change, another) {
  const input = el("input", {
    type: "text",
    inputMode: "numeric",
    autocomplete: "off",
    spellcheck: false,
    value: String(value),
    id: newId(),
  });
  const problem = el("p", { className: "problem", id: newId(), hidden: true });
  input.setAttribute("aria-describedby", problem.id);
  input.addEventListener("input", () => {
    const parsed = parse(input.value);
    problem.hidden = parsed !== null;
    input.setAttribute("aria-invalid", String(parsed === null));
    problem.textContent = parsed === null ? "Expected an integer from 0 to 2⁶⁴ − 1." : "";
    if (parsed !== null) change(parsed);
  });
  const root = el("div", { className: "field" }, el("label", { for: input.id }, label));
  root.append(
    el("div", { className: "row" }, input, another && button(another.icon, () => change(another.value()), {
      className: "icon",
      title: another.name,
      "aria-label": another.name,
    })),
    problem,
  );
  root.set = (next) => {
    if (parse(input.value) !== next) {
      input.value = String(next);
      problem.hidden = true;
      input.setAttribute("aria-invalid", "false");
    }
  };
  return root;
}

/** A canvas with a text for screen readers. */
export function picture(label) {
  return el("canvas", { role: "img", "aria-label": label, width: 1, height: 1 });
}

/** A canvas with a caption below it. */
export function figure(caption, canvas, className = "") {
  return el("figure", { className }, canvas, el("figcaption", {}, caption));
}

/** The button of an index: the one after it. */
export const next = (value, step = 1n, name = "Next image") => ({
  value: () => BigInt.asUintN(64, value() + step),
  name,
  icon: "›",
});

export const randomSeed = () => BigInt(crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);

let pending;

/** Let screen readers say a text; of several in a moment, the last. */
export function announce(text) {
  clearTimeout(pending);
  pending = setTimeout(() => (document.getElementById("announcer").textContent = text), 150);
}

/** Offer bytes for download. */
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
