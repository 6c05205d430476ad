// What the page says around the image.

export const at = (id) => document.getElementById(id);

export function hint(text) {
  at("hint").textContent = text;
}

/** Something went wrong; the button does what may mend it. */
export function notice(text, mend = "Close", action = () => {}) {
  at("notice").hidden = false;
  at("notice-text").textContent = text;
  at("notice-mend").textContent = mend;
  at("notice-mend").onclick = () => {
    silence();
    action();
  };
}

export function silence() {
  at("notice").hidden = true;
}
