// The page: one object at a time, most doubtful first, and what the person says to it.
import * as api from "./api.js";
import { Compare } from "./compare.js";
import { listenToKeys } from "./keys.js";
import { listObjects, showCounts } from "./lists.js";
import { Looked } from "./looked.js";
import { moved, resized } from "./shared/boxes.js";
import { Conflict } from "./shared/server.js";
import { Stage } from "./shared/stage.js";
import { at, hint, notice, silence } from "./shared/words.js";

const BOX_COLOUR = "#ffe066";
const HINTS = {
  big_box: "Drag a big box that surely holds the object. Esc brings the old boxes back.",
  small_box: "Now drag the small box, at the object's core.",
  proposed: "Accept it, reject it, or mend the boxes: drag a handle or an edge, R draws both anew.",
  redrawn: "A new mask for the changed boxes: accept it, or Esc brings the old ones back.",
};

const stage = new Stage(at("stage"), { drawn, edited, selected: select, viewed });
const compare = new Compare(stage, () => render());

let objects = [];
let looked = null;
let selected = "big_box"; // what the arrows move
let judging = false;
const judged = []; // ids, the last one last: what can be taken back

start().catch((error) => notice(error.message, "Reload", () => location.reload()));

async function start() {
  const project = await api.project();
  objects = project.objects;
  at("file").textContent = project.file;
  listen();
  const linked = objects.find(({ id }) => id === Number(location.hash.slice(1)));
  await open((linked ?? objects.find(({ verdict }) => !verdict) ?? objects[0]).id);
}

async function open(id) {
  const { name, category, doubt } = objects[placeOf(id)];
  history.replaceState(null, "", `#${id}`);
  at("name").textContent = name;
  at("about").textContent = [`object ${id}`, category, `doubt ${doubt.toFixed(2)}`].filter(Boolean).join(" · ");
  silence();
  try {
    show(await api.object(id));
  } catch (error) {
    notice(error.message, "Try again", () => open(id));
  }
}

function show(known) {
  if (location.hash !== `#${known.id}`) return; // another one was opened meanwhile
  looked = new Looked(known, () => render(), (error) => notice(error.message));
  selected = "big_box";
  objects[placeOf(known.id)].verdict = known.verdict;
  stage.open(looked);
  stage.view((camera) => camera.show(looked.window));
  render();
}

// Verdicts

async function judge(verdict) {
  if (!looked || judging) return;
  if (verdict === "accepted" && !looked.isWhole) return hint(HINTS[lackingBox()]);
  const { id, revision, boxes } = looked.known;
  judging = true;
  say("saving", "Saving …");
  try {
    const known = await api.judge(id, { revision, verdict, ...(verdict === "accepted" ? looked.boxes : boxes) });
    objects[placeOf(id)].verdict = known.verdict;
    say("saved", "Saved");
    silence();
    if (verdict === null) return show(known);
    judged.push(id);
    await open(nextOpen(placeOf(id)) ?? id);
  } catch (error) {
    say("unsaved", "Not saved");
    const retry = error instanceof Conflict ? ["Load what is there now", () => open(id)] : ["Close"];
    notice(`Not saved: ${error.message}`, ...retry);
  } finally {
    judging = false;
  }
}

async function takeBack() {
  const id = judged.pop();
  if (id === undefined) return hint("There is no verdict of this visit to take back.");
  await open(id);
  await judge(null);
}

/** The first object after this one that nobody has judged, or the first of all. */
function nextOpen(place) {
  const isOpen = ({ verdict }) => !verdict;
  return (objects.slice(place + 1).find(isOpen) ?? objects.find(isOpen))?.id;
}

// Boxes

function redraw() {
  looked?.change({ big_box: null, small_box: null });
  render();
}

function drawn(box) {
  if (!box) return hint("The small box goes inside the big one.");
  return edited(looked.known.id, lackingBox(), box);
}

function edited(key, name, box) {
  looked.change({ [name]: box });
  select(key, name);
}

function select(key, name) {
  selected = name ?? selected;
  render();
}

function nudge([dx, dy], resize) {
  const box = looked?.boxes[selected];
  if (!box) return;
  const change = resize ? resized(box, [Math.abs(dx), Math.abs(dy)], [dx, dy], looked.limits) : moved(box, [dx, dy], looked.limits);
  edited(looked.known.id, selected, change);
}

function escape() {
  looked?.restore();
  render();
}

const lackingBox = () => (looked.boxes.big_box ? "small_box" : "big_box");
const placeOf = (id) => objects.findIndex((each) => each.id === id);

// What is shown

function render() {
  const { id, verdict } = looked.known;
  const { isWhole, isAsProposed } = looked;
  stage.render({
    selected: isWhole ? { key: id, name: selected } : null,
    colourOf: () => BOX_COLOUR,
    isBad: () => false,
    masksOf: () => compare.masksOf(looked),
    drawingLimits: isWhole ? null : (looked.boxes.big_box ?? looked.limits),
    draftColour: BOX_COLOUR,
  });
  hint(isWhole ? HINTS[isAsProposed ? "proposed" : "redrawn"] : HINTS[lackingBox()]);
  at("redraw").setAttribute("aria-pressed", !isWhole);
  at("accept").classList.toggle("given", ["accepted", "redrawn"].includes(verdict) && looked.isAsKnown);
  at("reject").classList.toggle("given", verdict === "rejected");
  at("undo").disabled = judged.length === 0;
  at("previous").disabled = placeOf(id) === 0;
  at("next").disabled = placeOf(id) === objects.length - 1;
  listObjects(objects, id, at("filter").value, open);
  showCounts(objects);
}

function say(state, text) {
  at("saved").className = state;
  at("saved").textContent = text;
}

function viewed() {
  at("zoom").textContent = `${Math.round(stage.camera.scale * 100)} %`;
}

// What is heard

function listen() {
  const step = (by) => looked && open((objects[placeOf(looked.known.id) + by] ?? looked.known).id);
  const actions = {
    accept: () => judge("accepted"),
    reject: () => judge("rejected"),
    redraw,
    undo: takeBack,
    previous: () => step(-1),
    next: () => step(1),
    "zoom-in": () => stage.view((camera) => camera.zoom(1.5)),
    "zoom-out": () => stage.view((camera) => camera.zoom(1 / 1.5)),
    "zoom-fit": () => stage.view((camera) => camera.show(looked.window)),
    "help-open": () => at("help").showModal(),
  };
  for (const [id, act] of Object.entries(actions)) at(id).onclick = act;
  at("filter").onchange = () => render();
  listenToKeys({
    press: (id) => at(id).click(),
    isDragging: () => stage.isDragging,
    turn: () => compare.turn(),
    escape,
    nudge,
  });
}
