// Parts of the page around the views: tabs, what a model is, progress, and problems.

import { button, el } from "./dom.js";

export class Tabs {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    root.addEventListener("keydown", (event) => {
      const tabs = [...root.children];
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
      event.preventDefault();
    });
  }

  /** Show tabs from pairs [view, text]. */
  show(views, chosen) {
    const focused = this.root.contains(document.activeElement);
    const tabs = views.map(([view, text]) =>
      button(text, () => this.choose(view), {
        id: `tab-${view}`,
        role: "tab",
        "aria-selected": String(view === chosen),
        "aria-controls": "stage",
        tabIndex: view === chosen ? 0 : -1,
      }),
    );
    this.root.replaceChildren(...tabs);
    const selected = this.root.querySelector("[aria-selected=true]");
    selected.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (focused) selected.focus();
  }
}

export class About {
  constructor(root) {
    this.root = root;
  }

  show({ name, kind, paper, image, parameters, data }) {
    const facts = [
      `${image.width}×${image.height}${image.channels === 3 ? " colour" : ""}`,
      parameters ? `${(parameters / 1e6).toFixed(2)} M weights` : "",
      data,
    ];
    const link = el("a", { href: paper.url, target: "_blank", rel: "noopener noreferrer" }, paper.title);
    this.root.replaceChildren(
      el("h2", {}, name),
      el("p", { className: "kind" }, kind),
      el("p", { className: "paper" }, `${paper.authors} ${paper.year}: `, link),
      el("ul", { className: "facts" }, ...facts.filter(Boolean).map((fact) => el("li", {}, fact))),
    );
  }
}

export class Loading {
  constructor(root) {
    this.root = root;
    this.files = new Map();
  }

  /** {label, loaded, total} of a file, total 0 for a step of unknown length; null when all is done. */
  report(state) {
    if (!state) this.files.clear();
    else this.files.set(state.label, state);
    this.root.hidden = !state;
    if (!state) return;
    const all = [...this.files.values()];
    const [loaded, total] = ["loaded", "total"].map((name) => all.reduce((sum, file) => sum + file[name], 0));
    const [text, bar] = this.root.children;
    const mega = (bytes) => (bytes / 1e6).toFixed(1);
    if (state.total && loaded < total) {
      bar.max = total;
      bar.value = loaded;
      text.textContent = `${state.label}: ${mega(loaded)} of ${mega(total)} MB`;
    } else {
      bar.removeAttribute("value");
      text.textContent = state.total ? "Starting the runtime" : state.label;
    }
  }
}

export class Problem {
  constructor(root) {
    this.root = root;
  }

  show(message, again) {
    this.root.replaceChildren(el("p", {}, message));
    if (again) this.root.append(button("Try again", again, { className: "quiet" }));
    this.root.hidden = false;
  }

  askKey(use) {
    const label = "Key of the service";
    const input = el("input", { type: "password", autocomplete: "current-password", "aria-label": label });
    const send = (event) => {
      event.preventDefault();
      if (input.value) use(input.value);
    };
    this.root.replaceChildren(
      el("form", { className: "row", onsubmit: send }, el("p", {}, "This service asks for its key."), input,
        el("button", { type: "submit", className: "primary" }, "Continue")),
    );
    this.root.hidden = false;
    input.focus();
  }

  clear() {
    this.root.hidden = true;
    this.root.replaceChildren();
  }
}
