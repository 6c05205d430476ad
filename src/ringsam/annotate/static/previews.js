// The masks that SAM would give, asked for one at a time, the last drawn object first.
import { sameBox, sameBoxes } from "./shared/boxes.js";
import { mask } from "./shared/server.js";
import { isWhole } from "./sheet.js";

export class Previews {
  constructor(came, failed) {
    this.came = came;
    this.failed = failed;
    this.shown = true;
    this.asked = new Map(); // by object: for which boxes, and the mask that came
    this.sheet = null;
    this.working = false;
  }

  of(object) {
    return this.shown && isWhole(object) ? this.asked.get(object.key)?.mask : null;
  }

  async want(sheet) {
    this.sheet = sheet;
    if (this.working) return;
    this.working = true;
    for (let next = this.#next(); next; next = this.#next()) await this.#ask(next);
    this.working = false;
  }

  #next() {
    const isOld = (object) => !sameBoxes(this.asked.get(object.key)?.boxes ?? {}, object);
    return this.shown && this.sheet.objects.findLast((object) => isWhole(object) && isOld(object));
  }

  async #ask(object) {
    const { big_box, small_box } = object;
    const before = this.asked.get(object.key); // stays on the page while only the small box changes
    const kept = before && sameBox(before.boxes.big_box, big_box) ? before.mask : null;
    const answer = { boxes: { big_box, small_box }, mask: kept };
    this.asked.set(object.key, answer);
    try {
      answer.mask = await mask(this.sheet.key, answer.boxes);
      this.came();
    } catch (error) {
      this.failed(error);
    }
  }
}
