// What an object looks like: SVG elements in pixels of the image.
import { HANDLES } from "./boxes.js";

const HANDLE_PX = 9;
const ROOM_FOR_ALL_HANDLES_PX = 44; // with less, only the corners have one

export function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export const picture = (href, box) => element("image", { href, preserveAspectRatio: "none", ...placed(box) });

/** A box in its colour, on a dark casing that shows on bright images. */
export function outlined(box, classes, stroke) {
  return [element("rect", { class: "casing", ...placed(box) }), element("rect", { class: classes, stroke, ...placed(box) })];
}

export function boxesOf(object, { selected, colourOf, isBad }) {
  const classes = [isBad(object) ? "bad" : "", object.key === selected?.key ? "selected" : ""].join(" ");
  return namesOf(object).flatMap((name) => outlined(object[name], `${name} ${classes}`, colourOf(object)));
}

/** The object's masks, each in its colour where it is bright, as far as `part` of the image goes. */
export function masksOf(object, scene) {
  return scene.masksOf(object).flatMap(({ name, box, image, fill, part = box }) => {
    const id = `mask-${object.key}-${name}`;
    const cut = element("mask", { id, maskUnits: "userSpaceOnUse", ...placed(box) });
    cut.append(picture(image, box));
    const seen = [Math.max(box[0], part[0]), box[1], Math.max(box[0], part[0], Math.min(box[2], part[2])), box[3]];
    return [cut, element("rect", { mask: `url(#${id})`, fill, ...placed(seen) })];
  });
}

/** Edges to move both boxes by and handles to resize them; those of the `current` one stand out. */
export function handlesOf(object, current, scale) {
  return namesOf(object).flatMap((name) => {
    const box = object[name];
    const named = { "data-key": object.key, "data-name": name };
    const roomy = Math.min(box[2] - box[0], box[3] - box[1]) * scale >= ROOM_FOR_ALL_HANDLES_PX;
    const handles = HANDLES.map((sides, index) => {
      const look = { class: name === current ? "handle current" : "handle", "data-handle": index };
      return element("rect", { ...named, ...look, ...placed(around(box, sides, HANDLE_PX / scale)) });
    });
    const edge = element("rect", { class: "edge", ...named, ...placed(box) });
    return [edge, ...handles.filter((_, index) => roomy || index % 2 === 0)];
  });
}

/** A square around the point of the box that lies on these sides. */
function around([x1, y1, x2, y2], [sideX, sideY], size) {
  const [x, y] = [(x1 + x2 + sideX * (x2 - x1)) / 2, (y1 + y2 + sideY * (y2 - y1)) / 2];
  return [x - size / 2, y - size / 2, x + size / 2, y + size / 2];
}

const namesOf = (object) => ["big_box", "small_box"].filter((name) => object[name]);
const placed = ([x1, y1, x2, y2]) => ({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 });
