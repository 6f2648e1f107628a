// Elements and text. Text goes in as text nodes only, so nothing that was said becomes markup.

export const byId = (id) => document.getElementById(id);

/** An element; `props` are attributes, or listeners where they are functions. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Tells a screen reader, once. */
export function announce(text) {
  const status = byId("status");
  status.textContent = "";
  setTimeout(() => { status.textContent = text; }, 60);
}

/** Shows one of two views where the window is too narrow for both. */
export function show(view) {
  document.body.dataset.view = view;
  for (const name of ["chat", "profile"]) {
    byId(`view-${name}`).setAttribute("aria-pressed", String(name === view));
  }
}

/** What the browser keeps; a browser that keeps nothing is no error. */
export const kept = {
  get(storage, name) {
    try { return window[storage].getItem(`pa_jax.${name}`); } catch { return null; }
  },
  set(storage, name, value) {
    try {
      if (value === null || value === "") window[storage].removeItem(`pa_jax.${name}`);
      else window[storage].setItem(`pa_jax.${name}`, value);
    } catch { /* private windows may refuse */ }
  },
};
