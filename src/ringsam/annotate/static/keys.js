// The keyboard. Keys are the page's own only while nobody writes or drags and no dialog is open.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BUTTONS = { n: "next", p: "previous", u: "unsure", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", f: "zoom-fit", m: "masks", e: "empty", "?": "help-open" };

/** `page` has press(button), remove, escape, nudge(by, resize), chooseClass(place), holdSpace(held), isDragging. */
export function listenToKeys(page) {
  addEventListener("keydown", (event) => {
    if (event.target.closest("input, dialog") || page.isDragging()) return;
    if (act(page, event)) event.preventDefault();
  });
  addEventListener("keyup", (event) => event.key === " " && page.holdSpace(false));
  addEventListener("blur", () => page.holdSpace(false));
}

/** Whether the key meant something. */
function act(page, event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    const button = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key];
    if (button) page.press(button);
    return Boolean(button);
  }
  if (event.altKey) return false;
  if (key in ARROWS) page.nudge(ARROWS[key], event.shiftKey);
  else if (key in BUTTONS) page.press(BUTTONS[key]);
  else if (key >= "1" && key <= "9") page.chooseClass(Number(key) - 1);
  else if (key === "Delete" || key === "Backspace") page.remove();
  else if (key === "Escape") page.escape();
  else if (key === " " && !event.target.closest("button")) page.holdSpace(true);
  else return false;
  return true;
}
