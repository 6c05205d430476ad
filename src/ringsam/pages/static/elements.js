// Elements of a page. All text goes through textContent: a file's or a class's name is never markup.

export function made(tag, properties, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** The keyboard stays where it was. */
export function refill(list, rows) {
  const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.replaceChildren(...rows);
  list.querySelectorAll("button")[focused]?.focus();
}
