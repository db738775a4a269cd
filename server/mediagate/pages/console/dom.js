// Elements made of data. Text goes in as text nodes alone: nothing here, and nothing that calls it, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `tag` may carry classes (`p.hint`). Members of `props` that are functions are event listeners, `css` holds
 * custom properties, `null` and `false` leave an attribute out, all else is an attribute. Children are nodes, texts,
 * numbers, lists of these, and `null` for none. */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return fill(document.createElement(name), classes, props, children);
}

/** The same in SVG. */
export function svg(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return fill(document.createElementNS(SVG, name), classes, props, children);
}

function fill(element, classes, props, children) {
  if (classes.length) element.classList.add(...classes);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(name, value);
  else if (name === "css") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
  else if (name === "class") element.classList.add(...String(value).split(" ").filter(Boolean));
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/** Put these children in the place of all that an element has. */
export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
  return parent;
}

/** A text that somebody wrote: its direction is its own, and reaches nothing around it. */
export const said = (text) => h("bdi", { dir: "auto" }, text);

/** Text that changes only where it is another one, so that no screen reader is told the same twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Keep the children of `parent` in step with `items`: one child for each key, in their order, made once by `make` and
 * kept up to date by `update`. Whatever has the focus keeps it. */
export function keyed(parent, items, keyOf, make, update) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = there.get(key);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = key;
    }
    there.delete(key);
    update(child, item);
    if (child === before) before = before.nextElementSibling;
    else parent.insertBefore(child, before);
  }
  for (const gone of there.values()) gone.remove();
}

let numbers = 0;
/** An id that no other element of the page has. */
export const uniqueId = (stem) => `${stem}-${++numbers}`;

/** A label above a control, with an optional hint below. */
export function field(label, control, hint = null) {
  control.id ||= uniqueId("field");
  const note = hint === null ? null : h("p.hint", { id: `${control.id}-hint` }, hint);
  if (note !== null) control.setAttribute("aria-describedby", note.id);
  return h("div.field", {}, h("label", { for: control.id }, label), control, note);
}

/** A `<select>` of pairs of value and text. */
export function select(options, props = {}) {
  const control = h("select", props, options.map(([value, text]) => h("option", { value }, text)));
  if (props.value !== undefined) control.value = props.value;
  return control;
}
