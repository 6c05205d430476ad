// The page: one image at a time, its objects, and the keys.
import * as api from "./api.js";
import { moved, resized } from "./shared/boxes.js";
import { Classes } from "./classes.js";
import { listenToKeys } from "./keys.js";
import { listClasses, listObjects } from "./lists.js";
import { Previews } from "./previews.js";
import { showProgress } from "./progress.js";
import { Sheet } from "./sheet.js";
import { Conflict } from "./shared/server.js";
import { Stage } from "./shared/stage.js";
import { at, hint, notice, silence } from "./shared/words.js";

const HINTS = {
  big_box: "Drag a big box that surely holds the object.",
  small_box: "Now drag the small box, at the object's core. Esc drops the object.",
  selected: "Drag a handle or an edge to mend it, Delete removes it. Or drag the next big box.",
};

const stage = new Stage(at("stage"), { drawn, edited, selected: select, viewed });
const previews = new Previews(() => render(), (error) => notice(error.message));

let images = [];
let classes = new Classes([]);
let index = 0;
let sheet = null;
let selection = null; // { key, name }: an object and the box that the arrows move
let going = false; // to another image
let wanted = null; // the one asked for meanwhile

start().catch((error) => notice(error.message, "Reload", () => location.reload()));

async function start() {
  const project = await api.project();
  images = project.images;
  classes = new Classes(project.classes);
  at("file").textContent = project.file;
  listen();
  const unseen = images.findIndex(({ seen }) => !seen);
  const linked = images.findIndex(({ key }) => key === location.hash.slice(1));
  await go(linked >= 0 ? linked : Math.max(0, unseen));
}

/** Show another image, once what was drawn on this one is saved. */
async function go(next) {
  if (!images[next]) return;
  if (going) return void (wanted = next);
  if (sheet?.unfinished()) return hint("Draw its small box, or Esc drops it.");
  going = true;
  try {
    await sheet?.save();
    if (sheet?.sent !== null) await open(next); // else the notice says why
  } finally {
    going = false;
  }
  const then = wanted;
  wanted = null;
  if (then !== null) await go(then);
}

/** Show the image of which SAM is least sure. */
async function goToUnsure() {
  try {
    const { key } = await api.leastSure(images[index].key);
    if (key === null) return hint("There is no other image that nobody has seen.");
    await go(images.findIndex((image) => image.key === key));
  } catch (error) {
    notice(error.message);
  }
}

async function open(next) {
  const { key, name } = images[next];
  index = next;
  sheet = null;
  selection = null;
  history.replaceState(null, "", `#${key}`);
  at("name").textContent = name;
  at("size").textContent = "";
  at("saved").textContent = "";
  silence();
  stage.open(null);
  showProgress(images, index, go);
  try {
    sheet = new Sheet(key, await api.image(key), saved);
    at("size").textContent = `${sheet.image.width} × ${sheet.image.height}`;
  } catch (error) {
    notice(error.message, "Try again", () => go(next));
  }
  stage.open(sheet);
  render();
}

// What is done to the objects

function drawn(box) {
  const unfinished = sheet.unfinished(selection?.key);
  if (!box) return hint("The small box goes inside the big one. Esc drops the object.");
  if (!unfinished) {
    const added = sheet.add({ category_id: classes.chosen, big_box: box, small_box: null });
    return select(added.key, "big_box");
  }
  const name = lackingBox(unfinished);
  sheet.replace(unfinished.key, { [name]: box });
  return select(unfinished.key, name);
}

function edited(key, name, box) {
  sheet.replace(key, { [name]: box });
  select(key, name);
}

function select(key, name = "big_box") {
  selection = key === undefined ? null : { key, name };
  render();
}

function remove(key) {
  sheet.remove(key);
  if (selection?.key === key) selection = null;
  render();
}

function escape() {
  const unfinished = sheet?.unfinished();
  if (unfinished) remove(unfinished.key);
  select();
}

function nudge([dx, dy], resize) {
  const object = selectedObject();
  const box = object?.[selection.name];
  if (!box) return;
  const change = resize ? resized(box, [Math.abs(dx), Math.abs(dy)], [dx, dy], sheet.limits) : moved(box, [dx, dy], sheet.limits);
  edited(object.key, selection.name, change);
}

function chooseClass(id) {
  classes.chosen = id;
  const object = selectedObject();
  if (object && object.category_id !== id) sheet.replace(object.key, { category_id: id });
  render();
}

async function addClass(name) {
  try {
    chooseClass(await classes.add(name));
  } catch (error) {
    notice(error.message);
  }
}

// What is shown

const selectedObject = () => sheet?.objects.find(({ key }) => key === selection?.key);
const lackingBox = (object) => (object.big_box ? "small_box" : "big_box");
const problemsOf = (object) => sheet.problems.get(object.key) ?? [];

function render() {
  if (!selectedObject()) selection = null;
  renderLists();
  if (!sheet) return hint("");
  const unfinished = sheet.unfinished(selection?.key);
  stage.render({
    selected: unfinished ? null : selection,
    colourOf: (object) => classes.colourOf(object.category_id),
    isBad: (object) => problemsOf(object).length > 0,
    masksOf,
    drawingLimits: unfinished?.big_box ?? sheet.limits,
    draftColour: classes.colourOf(unfinished ? unfinished.category_id : classes.chosen),
  });
  hint(unfinished ? HINTS[lackingBox(unfinished)] : selection ? HINTS.selected : HINTS.big_box);
  previews.want(sheet);
}

function masksOf(object) {
  const mask = previews.of(object);
  return mask ? [{ ...mask, name: "preview", fill: classes.colourOf(object.category_id) }] : [];
}

function renderLists() {
  const objects = sheet?.objects ?? [];
  listClasses(at("classes"), classes, selectedObject()?.category_id ?? classes.chosen, chooseClass);
  listObjects(at("objects"), objects, { selected: selection?.key, classes, problemsOf, select, remove });
  at("count").textContent = objects.length || "";
  at("undo").disabled = !sheet?.past.length;
  at("redo").disabled = !sheet?.future.length;
  at("empty").disabled = !sheet || sheet.image.seen;
  at("empty").hidden = objects.length > 0;
}

function saved(state, error) {
  at("saved").textContent = { saving: "Saving …", saved: "Saved", unsaved: "Not saved" }[state];
  at("saved").className = state;
  if (error instanceof Conflict) {
    notice(`Not saved: ${error.message}.`, "Load what is there now", () => open(index));
  } else if (error) {
    notice(`Not saved: ${error.message}`, "Try again", () => sheet.save());
  } else if (state === "saved") {
    silence();
    sheet.image.seen = true;
    const num_problems = sheet.objects.flatMap(problemsOf).length;
    const num_objects = sheet.objects.filter(({ key }) => sheet.ids.has(key)).length;
    Object.assign(images[index], { seen: true, num_objects, num_problems });
    showProgress(images, index, go);
    render();
  }
}

function viewed() {
  at("zoom").textContent = `${Math.round(stage.camera.scale * 100)} %`;
}

// What is heard

function listen() {
  const actions = {
    previous: () => go(index - 1),
    next: () => go(index + 1),
    unsure: goToUnsure,
    undo: () => { sheet.undo(); render(); },
    redo: () => { sheet.redo(); render(); },
    "zoom-in": () => stage.view((camera) => camera.zoom(1.5)),
    "zoom-out": () => stage.view((camera) => camera.zoom(1 / 1.5)),
    "zoom-fit": () => stage.view((camera) => camera.fit()),
    masks: toggleMasks,
    empty: () => sheet.save({ always: true }),
    "help-open": () => at("help").showModal(),
  };
  for (const [id, act] of Object.entries(actions)) at(id).onclick = act;
  listenToKeys({
    press: (id) => at(id).click(),
    remove: () => selection && remove(selection.key),
    chooseClass: (place) => classes.rows[place] && chooseClass(classes.rows[place].id),
    isDragging: () => stage.isDragging,
    holdSpace: (held) => stage.holdToPan(held),
    escape,
    nudge,
  });
  at("class-form").onsubmit = (event) => {
    event.preventDefault();
    const name = at("class-name").value.trim();
    at("class-name").value = "";
    if (name) addClass(name);
  };
  addEventListener("beforeunload", (event) => {
    if (sheet && (sheet.saving || sheet.sent === null || sheet.unfinished())) event.preventDefault();
  });
}

function toggleMasks() {
  previews.shown = !previews.shown;
  at("masks").setAttribute("aria-pressed", previews.shown);
  render();
}
