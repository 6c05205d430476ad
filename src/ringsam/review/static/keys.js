// The keyboard. Keys are the page's own only while nobody drags or slides and no dialog is open.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BUTTONS = {
  a: "accept", r: "redraw", x: "reject", Delete: "reject", u: "undo", n: "next", p: "previous",
  "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", f: "zoom-fit", "?": "help-open",
};

/** `page` has press(button), escape, turn, nudge(by, resize), isDragging. */
export function listenToKeys(page) {
  addEventListener("keydown", (event) => {
    const slides = event.target.closest("input") && event.key.startsWith("Arrow");
    if (slides || event.target.closest("select, dialog") || page.isDragging()) return;
    if (act(page, event)) event.preventDefault();
  });
}

/** Whether the key meant something. */
function act(page, event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") page.press("undo");
    return key === "z";
  }
  if (event.altKey || (event.repeat && !(key in ARROWS))) return false;
  if (key in ARROWS) page.nudge(ARROWS[key], event.shiftKey);
  else if (key in BUTTONS) page.press(BUTTONS[key]);
  else if (key === "Enter" && !event.target.closest("button")) page.press("accept");
  else if (key === "Escape") page.escape();
  else if (key === "b") page.turn();
  else return false;
  return true;
}
