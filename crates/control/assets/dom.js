// Making and changing elements, by text and attributes only: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick: f`) and children (elements or text). */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else attr(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets an attribute, or removes it (`null`, `false`), and touches nothing if it is so already. */
export function attr(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

/** Sets the text, and touches nothing if it is so already. */
export function text(element, value) {
  const wanted = value === null || value === undefined ? "" : String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets the text; what stands between backticks is code. */
export function prose(element, value) {
  if (element.dataset.prose === value) return;
  element.dataset.prose = value;
  element.replaceChildren(...value.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part)));
}

export function show(element, visible) {
  attr(element, "hidden", !visible);
}

export const $ = (id) => document.getElementById(id);

/**
 * Makes the children of `parent` those of `items`, in their order. An item with a key that was there before keeps its element,
 * and so its animations and its focus.
 */
export function keyed(parent, items, key, make, update = () => {}) {
  const before = (parent.keyed ??= new Map());
  const after = new Map();
  let previous = null;
  for (const item of items) {
    const name = key(item);
    const element = before.get(name) ?? make(item);
    before.delete(name);
    after.set(name, element);
    update(element, item);
    const place = previous ? previous.nextSibling : parent.firstChild;
    if (element !== place) parent.insertBefore(element, place);
    previous = element;
  }
  for (const gone of before.values()) gone.remove();
  parent.keyed = after;
}

// Characters that steer a terminal or turn the direction of text, and those that nobody can see.
const TRICKS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Text from outside, with everything that could play tricks on its reader made visible, and no longer than `most`. */
export function clean(value, most = 2000) {
  const whole = String(value ?? "");
  const cut = whole.length > most ? `${whole.slice(0, most)}…` : whole;
  return cut.replace(TRICKS, (one) => {
    const code = one.codePointAt(0);
    if (code === 0x7f) return "\u2421";
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}
