// One image's objects: their history, and their way into the file.
import * as api from "./api.js";

let lastKey = 0;

export const isWhole = (object) => object.big_box !== null && object.small_box !== null;

export class Sheet {
  /** `tell(state, error)` hears "saving", "saved" or "unsaved". */
  constructor(key, image, tell) {
    this.key = key;
    this.image = image;
    this.tell = tell;
    this.revision = image.revision;
    this.ids = new Map(); // in the file, by the page's own keys
    this.problems = new Map();
    this.objects = image.objects.map(({ id, problems, ...object }) => {
      const known = { key: ++lastKey, ...object };
      this.#learn(known, { id, problems });
      return known;
    });
    this.past = [];
    this.future = [];
    this.saving = null;
    this.sent = this.#drawing();
  }

  get limits() {
    return [0, 0, this.image.width, this.image.height];
  }

  /** The object that lacks a box: a new one, or the one selected. */
  unfinished(selectedKey) {
    const lacking = this.objects.filter((object) => !isWhole(object));
    return lacking.find((object) => !this.ids.has(object.key)) ?? lacking.find(({ key }) => key === selectedKey);
  }

  add(object) {
    const added = { key: ++lastKey, ...object };
    this.#change([...this.objects, added]);
    return added;
  }

  replace(key, fields) {
    this.#change(this.objects.map((object) => (object.key === key ? { ...object, ...fields } : object)));
  }

  remove(key) {
    this.#change(this.objects.filter((object) => object.key !== key));
  }

  undo() {
    this.#step(this.past, this.future);
  }

  redo() {
    this.#step(this.future, this.past);
  }

  /** Write what is new; `always` also where nothing is, so that the image counts as seen. */
  save({ always = false } = {}) {
    if (!always && this.#drawing() === this.sent && !this.saving) return Promise.resolve();
    this.saving ??= this.#saveAll().finally(() => (this.saving = null));
    return this.saving;
  }

  async #saveAll() {
    this.tell("saving");
    try {
      do await this.#saveOnce();
      while (this.#drawing() !== this.sent); // changed meanwhile
      this.tell("saved");
    } catch (error) {
      this.sent = null;
      this.tell("unsaved", error);
    }
  }

  async #saveOnce() {
    const objects = this.#finished();
    const drawing = { revision: this.revision, objects: JSON.parse(this.#drawing(objects)) };
    const answer = await api.save(this.key, drawing);
    this.revision = answer.revision;
    answer.objects.forEach((known, index) => this.#learn(objects[index], known));
    this.sent = this.#drawing(objects);
  }

  #learn(object, { id, problems }) {
    this.ids.set(object.key, id);
    this.problems.set(object.key, problems);
  }

  #change(objects) {
    this.past.push(this.objects);
    this.future = [];
    this.objects = objects;
    this.save();
  }

  #step(from, to) {
    if (from.length === 0) return;
    to.push(this.objects);
    this.objects = from.pop();
    this.save();
  }

  #finished() {
    return this.objects.filter((object) => isWhole(object) || this.ids.has(object.key));
  }

  #drawing(objects = this.#finished()) {
    return JSON.stringify(objects.map(({ key, ...fields }) => ({ id: this.ids.get(key) ?? null, ...fields })));
  }
}
