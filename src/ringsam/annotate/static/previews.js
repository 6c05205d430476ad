// The masks that SAM would give, asked for one at a time, the last drawn object first.
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
    const isOld = (object) => this.asked.get(object.key)?.boxes !== boxesOf(object);
    return this.shown && this.sheet.objects.findLast((object) => isWhole(object) && isOld(object));
  }

  async #ask(object) {
    const before = this.asked.get(object.key); // stays on the page while only the small box changes
    const kept = before && String(before.bigBox) === String(object.big_box) ? before.mask : null;
    const answer = { boxes: boxesOf(object), bigBox: object.big_box, mask: kept };
    this.asked.set(object.key, answer);
    try {
      answer.mask = await mask(this.sheet.key, object);
      this.came();
    } catch (error) {
      this.failed(error);
    }
  }
}

const boxesOf = ({ big_box, small_box }) => JSON.stringify([big_box, small_box]);
