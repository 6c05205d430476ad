// The image with its boxes: draws them, and turns what the pointer does into boxes.
import { HANDLES, area, between, contains, moved, resized } from "./boxes.js";
import { Camera } from "./camera.js";
import { pixelsOf } from "./server.js";
import { boxesOf, element, handlesOf, masksOf, outlined, picture } from "./shapes.js";

const SENT_SIDE = 2048; // pixels of an image that the server sends at once
const CLICK_PX = 3; // a pointer that moved less has clicked
const DETAIL_AFTER_MS = 150;

export class Stage {
  /** `told` hears what was done: drawn(box), edited(key, name, box), selected(key, name), viewed(). */
  constructor(svg, told) {
    this.svg = svg;
    this.told = told;
    this.layers = Object.fromEntries(
      ["pixels", "masks", "boxes", "handles", "draft"].map((name) => [name, svg.appendChild(element("g", { class: name }))]),
    );
    this.panning = false; // while the space bar is held
    this.isDragging = false;
    this.camera = null;
    svg.addEventListener("pointerdown", (event) => this.#begin(event));
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.#resize()).observe(svg);
  }

  /** Another image; null for one that cannot be shown. */
  open(sheet) {
    this.sheet = sheet;
    this.camera = null;
    clearTimeout(this.detailTimer);
    for (const layer of Object.values(this.layers)) layer.replaceChildren();
    if (!sheet) return;
    this.camera = new Camera(sheet.image, this.svg.getBoundingClientRect());
    this.layers.pixels.append(picture(pixelsOf(sheet.key), sheet.limits));
    this.view();
  }

  /** Look at another part: `change` moves the camera. */
  view(change = () => {}) {
    if (!this.camera) return;
    change(this.camera);
    this.svg.setAttribute("viewBox", this.camera.viewBox);
    this.svg.classList.toggle("near", this.camera.scale >= 4);
    clearTimeout(this.detailTimer);
    this.detailTimer = setTimeout(() => this.#loadDetail(), DETAIL_AFTER_MS);
    this.#renderHandles();
    this.told.viewed();
  }

  /** Draw the sheet's objects; the scene says how: colourOf, masksOf, isBad, selected, and where a drag draws (else it pans). */
  render(scene) {
    this.scene = scene;
    this.svg.classList.toggle("still", !scene.drawingLimits);
    this.#render(this.sheet.objects);
  }

  holdToPan(held) {
    this.panning = held;
    this.svg.classList.toggle("panning", held);
  }

  #render(objects) {
    this.layers.masks.replaceChildren(...objects.flatMap((object) => masksOf(object, this.scene)));
    this.layers.boxes.replaceChildren(...objects.flatMap((object) => boxesOf(object, this.scene)));
    this.#renderHandles(objects);
  }

  #renderHandles(objects = this.sheet.objects) {
    const { selected } = this.scene ?? {};
    const object = objects.find(({ key }) => key === selected?.key);
    this.layers.handles.replaceChildren(...(object ? handlesOf(object, selected.name, this.camera.scale) : []));
  }

  #begin(event) {
    if (!this.sheet || event.button > 1) return;
    event.preventDefault();
    this.svg.focus({ preventScroll: true });
    const { key, name, handle } = event.target.dataset;
    const start = this.camera.toImage(this.#at(event)); // on the image, so that zooming midway cannot bend the box
    const gesture = { start, key: Number(key), name, handle: handle && HANDLES[handle] };
    gesture.kind = event.button === 1 || this.panning ? "pan" : handle ? "resize" : name ? "move" : this.scene.drawingLimits ? "draw" : "pan";
    this.#follow(event, gesture);
  }

  /** Hear the pointer until it is let go. */
  #follow(event, gesture) {
    const listening = new AbortController();
    const { signal } = listening;
    const from = this.#at(event);
    let last = from;
    let far = false;
    this.svg.setPointerCapture(event.pointerId);
    this.isDragging = true;
    const step = (next) => {
      const at = this.#at(next);
      far ||= Math.hypot(at[0] - from[0], at[1] - from[1]) >= CLICK_PX;
      if (gesture.kind === "pan") this.view((camera) => camera.pan([at[0] - last[0], at[1] - last[1]]));
      else if (far) this.#preview(gesture, this.#result(gesture, at));
      last = at;
    };
    const end = (next) => {
      listening.abort();
      this.isDragging = false;
      this.layers.draft.replaceChildren();
      if (next.type === "pointerup" && gesture.kind !== "pan") this.#finish(gesture, this.#at(next), far);
      else this.#render(this.sheet.objects);
    };
    this.svg.addEventListener("pointermove", step, { signal });
    this.svg.addEventListener("pointerup", end, { signal });
    this.svg.addEventListener("pointercancel", end, { signal });
  }

  #result({ kind, start, key, name, handle }, at) {
    const end = this.camera.toImage(at);
    if (kind === "draw") return between(start, end, this.scene.drawingLimits);
    const box = this.sheet.objects.find((object) => object.key === key)[name];
    const by = [end[0] - start[0], end[1] - start[1]];
    return kind === "resize" ? resized(box, handle, by, this.sheet.limits) : moved(box, by, this.sheet.limits);
  }

  #preview({ kind, key, name }, box) {
    if (kind !== "draw") {
      this.#render(this.sheet.objects.map((object) => (object.key === key ? { ...object, [name]: box } : object)));
    } else {
      this.layers.draft.replaceChildren(...(box ? outlined(box, "draft", this.scene.draftColour) : []));
    }
  }

  #finish(gesture, at, far) {
    if (far && gesture.kind === "draw") this.told.drawn(this.#result(gesture, at));
    else if (far) this.told.edited(gesture.key, gesture.name, this.#result(gesture, at));
    else this.#click(this.camera.toImage(at));
  }

  /** Selects the smallest box under the pointer. */
  #click(point) {
    const hits = this.sheet.objects
      .flatMap((object) => ["big_box", "small_box"].map((name) => ({ key: object.key, name, box: object[name] })))
      .filter(({ box }) => box && contains(box, point))
      .sort((a, b) => area(a.box) - area(b.box));
    this.told.selected(hits[0]?.key, hits[0]?.name);
  }

  #wheel(event) {
    event.preventDefault();
    const step = Math.max(-120, Math.min(120, event.deltaY));
    this.view((camera) => camera.zoom(Math.exp(-step / 400), this.#at(event)));
  }

  #resize() {
    this.view((camera) => camera.resize(this.svg.getBoundingClientRect()));
  }

  #at(event) {
    const { left, top } = this.svg.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  /** A sharp picture of the part that is seen, where the overview of a large image is too coarse for it. */
  #loadDetail() {
    const { image, key } = this.sheet;
    const shrunk = Math.min(1, SENT_SIDE / Math.max(image.width, image.height));
    if (shrunk === 1 || this.camera.scale * devicePixelRatio <= shrunk) return;
    const part = this.camera.visible;
    const detail = picture(pixelsOf(key, part), [part.left, part.top, part.right, part.bottom]);
    const overview = this.layers.pixels.firstChild;
    detail.addEventListener("load", () => {
      while (detail.previousSibling && detail.previousSibling !== overview) detail.previousSibling.remove();
    });
    this.layers.pixels.append(detail);
  }
}
