// What the page says around the image.
import { listImages } from "./lists.js";

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

export function showProgress(images, index, go) {
  const seen = images.filter((image) => image.seen).length;
  at("progress-text").textContent = `${seen} of ${images.length} images`;
  Object.assign(at("progress"), { max: images.length, value: seen });
  at("previous").disabled = index === 0;
  at("next").disabled = index === images.length - 1;
  listImages(at("images"), images, index, go);
}
