// Before and after: the zero-shot mask left of a divider, the adapted one right of it.
import { element } from "./shared/shapes.js";
import { at } from "./shared/words.js";

const COLOURS = { zero_shot: "#ff9a3c", adapted: "#41b6ff", redrawn: "#7be07b" };

export class Compare {
  /** `changed` is called when the slider is moved. */
  constructor(stage, changed) {
    this.line = stage.svg.insertBefore(element("path", { class: "divider" }), stage.layers.boxes);
    this.slider = at("slider");
    this.slider.oninput = changed;
    this.changed = changed;
  }

  /** All of the one, or all of the other. */
  turn() {
    this.slider.value = this.slider.value < 50 ? 100 : 0;
    this.changed();
  }

  /** The masks of the object and where each shows; those proposed are of no use once the boxes are others. */
  masksOf(looked) {
    const asProposed = looked.isAsProposed;
    at("compare").classList.toggle("off", !asProposed);
    this.slider.disabled = !asProposed;
    const x = this.#divide(looked, asProposed);
    const { width, height } = looked.image;
    const { zero_shot, adapted } = looked.known;
    const shown = asProposed
      ? [[zero_shot, "zero_shot", [0, 0, x, height]], [adapted, "adapted", [x, 0, width, height]]]
      : [[looked.redrawn, "redrawn", looked.limits]];
    return shown.flatMap(([mask, name, part]) => (mask ? [{ ...mask, name, fill: COLOURS[name], part }] : []));
  }

  #divide(looked, asProposed) {
    const [left, top, right, bottom] = looked.window;
    const share = this.slider.value / 100;
    const x = left + share * (right - left);
    this.line.setAttribute("d", asProposed && share > 0 && share < 1 ? `M${x} ${top}V${bottom}` : "");
    return Math.max(0, Math.min(looked.image.width, share === 0 ? 0 : share === 1 ? looked.image.width : x));
  }
}
