// How far the images are.
import { listImages } from "./lists.js";
import { at } from "./shared/words.js";

export function showProgress(images, index, go) {
  const seen = images.filter((image) => image.seen).length;
  at("progress-text").textContent = `${seen} of ${images.length} images`;
  Object.assign(at("progress"), { max: images.length, value: seen });
  at("previous").disabled = index === 0;
  at("next").disabled = index === images.length - 1;
  listImages(at("images"), images, index, go);
}
