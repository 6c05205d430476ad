// The classes of the objects, each with a colour.
import * as api from "./api.js";

const COLOURS = ["#4db8ff", "#ffa14a", "#8fdc7c", "#f08bd0", "#ffe066", "#a99bff", "#5fd8c8", "#ff8a80"];

export class Classes {
  constructor(rows) {
    this.rows = rows;
    this.chosen = rows[0]?.id ?? null; // of the next object
  }

  nameOf(id) {
    return this.rows.find((each) => each.id === id)?.name ?? `class ${id ?? "–"}`;
  }

  colourOf(id) {
    const place = this.rows.findIndex((each) => each.id === id);
    return COLOURS[Math.max(0, place) % COLOURS.length];
  }

  /** The id of the class of that name, a new one where there is none. */
  async add(name) {
    this.rows = await api.addClass(name);
    return this.rows.find((each) => each.name === name).id;
  }
}
