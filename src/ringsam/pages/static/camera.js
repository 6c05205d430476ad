// Which part of the image the stage shows: `scale` screen pixels for one of the image, (x, y) in its corner.
import { clamp } from "./boxes.js";

const LARGEST_SCALE = 64;
const MARGIN = 0.94; // of the stage, for a whole image

export class Camera {
  constructor(image, stage) {
    this.image = image;
    this.resize(stage);
    this.fit();
  }

  resize({ width, height }) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
  }

  get fitting() {
    const { width, height } = this.image;
    return Math.min((this.width * MARGIN) / width, (this.height * MARGIN) / height, LARGEST_SCALE);
  }

  fit() {
    this.show([0, 0, this.image.width, this.image.height], this.fitting);
  }

  /** A part of the image in the middle of the stage, all of it by default. */
  show([x1, y1, x2, y2], scale = Math.min(this.width / (x2 - x1), this.height / (y2 - y1), LARGEST_SCALE)) {
    this.scale = scale;
    this.x = (x1 + x2 - this.width / scale) / 2;
    this.y = (y1 + y2 - this.height / scale) / 2;
  }

  /** Larger or smaller, with the image's point under the pointer held in its place. */
  zoom(factor, [px, py] = [this.width / 2, this.height / 2]) {
    const [x, y] = this.toImage([px, py]);
    this.scale = clamp(this.scale * factor, this.fitting / 2, LARGEST_SCALE);
    this.x = x - px / this.scale;
    this.y = y - py / this.scale;
    this.stay();
  }

  pan([dx, dy]) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.stay();
  }

  /** The middle of the stage never leaves the image. */
  stay() {
    const [halfX, halfY] = [this.width / this.scale / 2, this.height / this.scale / 2];
    this.x = clamp(this.x, -halfX, this.image.width - halfX);
    this.y = clamp(this.y, -halfY, this.image.height - halfY);
  }

  toImage([px, py]) {
    return [this.x + px / this.scale, this.y + py / this.scale];
  }

  get viewBox() {
    return [this.x, this.y, this.width / this.scale, this.height / this.scale].join(" ");
  }

  /** The part of the image that is on the stage, in whole pixels. */
  get visible() {
    const { width, height } = this.image;
    return {
      left: clamp(Math.floor(this.x), 0, width - 1),
      top: clamp(Math.floor(this.y), 0, height - 1),
      right: clamp(Math.ceil(this.x + this.width / this.scale), 1, width),
      bottom: clamp(Math.ceil(this.y + this.height / this.scale), 1, height),
    };
  }
}
