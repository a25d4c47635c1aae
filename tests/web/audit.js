// What an accessibility checker finds in a page; run in it by test_accessibility.py.

/** Faults of names, roles, references and headings. */
function faults() {
  const found = [];
  const visible = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  const all = [...document.querySelectorAll("body *")].filter(visible);
  const say = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) found.push(`twice: ${id}`);
  const roles = { button: [], tab: ["aria-selected", "aria-controls"], tablist: ["aria-label"],
    tabpanel: ["aria-labelledby"], slider: ["aria-valuenow", "aria-valuemin", "aria-valuemax"],
    img: ["aria-label"], group: ["aria-label"], application: ["aria-label"], alert: [] };
  for (const element of all) {
    const role = element.getAttribute("role");
    if (role && !(role in roles)) say("unknown role", element);
    for (const name of roles[role] ?? []) if (!element.getAttribute(name)) say(`without ${name}`, element);
    for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "for"]) {
      const id = element.getAttribute(name);
      if (id && !document.getElementById(id)) say(`${name} leads nowhere`, element);
    }
    if (element.tabIndex > 0) say("positive tabindex", element);
    const control = element.matches("button, input, select, a[href], [role=slider], [tabindex='0']");
    if (control && element.parentElement.closest("button, a[href]")) say("control in a control", element);
    if (control && element.closest("[aria-hidden=true]")) say("hidden control", element);
    const named = element.getAttribute("aria-label") || element.labels?.length || element.textContent.trim();
    if (control && !named) say("without a name", element);
    if (element.matches("img") && !element.hasAttribute("alt")) say("without alt", element);
    if (element.matches("canvas") && !element.getAttribute("role") && !element.closest("button, [aria-hidden]"))
      say("a picture without a role", element);
  }
  const levels = all.filter((element) => /^H[1-6]$/.test(element.tagName)).map(({ tagName }) => Number(tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push(`headings: ${levels}`);
  for (const landmark of ["header", "main"]) if (!document.querySelector(landmark)) found.push(landmark);
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  return found;
}

/** [texts seen, those whose contrast is below WCAG 2.2, 1.4.3 (AA)]. */
function faint() {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((level) => level / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!(own || element.matches("input:not([type=range]), select")) || !element.checkVisibility()) continue;
    if (element.closest(".unseen, .skip, noscript, option, optgroup")) continue;
    const behind = [];
    for (let each = element; each; each = each.parentElement) behind.unshift(getComputedStyle(each).backgroundColor);
    const style = getComputedStyle(element);
    const [a, b] = [over(["#808080", ...behind, style.color]), over(["#808080", ...behind])].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    ++seen;
    if (contrast < (large ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${element.outerHTML.slice(0, 100)}`);
  }
  return [seen, found];
}
