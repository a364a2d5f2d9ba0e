// The little of DOM work that the pages share. Text only ever goes in as text.

export const $ = (id) => document.getElementById(id);

/** An element with properties, and children that are elements or texts. */
export function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** Bring a parent's children to one per item, in order, keeping those whose key stays: focus and hover survive. */
export function keyed(parent, items, key, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = null;
  for (const item of items) {
    const name = key(item);
    const node = known.get(name) ?? create(item);
    known.delete(name);
    node.dataset.key = name;
    update(node, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (node !== place) parent.insertBefore(node, place);
    before = node;
  }
  known.forEach((node) => node.remove());
}

/** Set a text only where it changes, so that a screen reader is not disturbed. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
