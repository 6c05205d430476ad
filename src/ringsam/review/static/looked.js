// The object on the stage: its boxes as they are now, and the mask that SAM gives for them.
import { sameBox, sameBoxes } from "./shared/boxes.js";
import { mask } from "./shared/server.js";

const MARGIN = 0.6; // of the big box's longer side, around it

export class Looked {
  /** `came` is called when a mask for changed boxes has come, `failed` with what went wrong. */
  constructor(known, came, failed) {
    this.known = known;
    this.key = known.image; // the stage's name for what it shows
    this.image = { width: known.width, height: known.height };
    this.limits = [0, 0, known.width, known.height];
    this.boxes = { ...known.boxes };
    this.came = came;
    this.failed = failed;
    this.asked = null; // for which boxes, and the mask that came
    this.#ask();
  }

  get objects() {
    return [{ key: this.known.id, ...this.boxes }];
  }

  get isWhole() {
    return this.boxes.big_box !== null && this.boxes.small_box !== null;
  }

  get isAsProposed() {
    return sameBoxes(this.boxes, this.known.proposed);
  }

  get isAsKnown() {
    return sameBoxes(this.boxes, this.known.boxes);
  }

  /** The part of the image to look at. */
  get window() {
    const [x1, y1, x2, y2] = this.known.boxes.big_box;
    const reach = (0.5 + MARGIN) * Math.max(x2 - x1, y2 - y1);
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    return [x - reach, y - reach, x + reach, y + reach];
  }

  change(boxes) {
    Object.assign(this.boxes, boxes);
    this.#ask();
  }

  restore() {
    this.change(this.known.boxes);
  }

  /** The mask of boxes that are not those proposed; null until it comes. */
  get redrawn() {
    return this.asked && sameBox(this.asked.boxes.big_box, this.boxes.big_box) ? this.asked.mask : null;
  }

  async #ask() {
    const boxes = { ...this.boxes };
    if (!boxes.big_box || this.isAsProposed || (this.asked && sameBoxes(this.asked.boxes, boxes))) return;
    const asked = { boxes, mask: this.redrawn }; // which stays on the page while only the small box changes
    this.asked = asked;
    try {
      asked.mask = await mask(this.key, boxes);
      this.came();
    } catch (error) {
      this.failed(error);
    }
  }
}
