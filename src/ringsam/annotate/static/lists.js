// The lists beside the image.
import { made, refill } from "./shared/elements.js";

export function listImages(list, images, index, open) {
  const rows = images.map(({ name, seen, num_objects, num_problems }, place) => {
    const button = made("button", { className: "row", title: name }, [
      made("span", { className: num_problems ? "dot bad" : seen ? "dot seen" : "dot" }),
      made("span", { className: "name", textContent: name }),
      made("span", { className: "soft", textContent: seen ? num_objects : "" }),
    ]);
    button.onclick = () => open(place);
    if (place === index) button.setAttribute("aria-current", "true");
    return made("li", {}, [button]);
  });
  refill(list, rows);
  rows[index].scrollIntoView({ block: "nearest" });
}

export function listClasses(list, classes, chosen, choose) {
  const rows = classes.rows.map(({ id, name }, place) => {
    const key = place < 9 ? place + 1 : "";
    const button = made("button", { className: "row", title: name }, [
      chip(classes.colourOf(id)),
      made("span", { className: "name", textContent: name }),
      made("kbd", { textContent: key, hidden: key === "" }),
    ]);
    button.onclick = () => choose(id);
    button.setAttribute("aria-pressed", id === chosen);
    return made("li", {}, [button]);
  });
  refill(list, rows);
}

export function listObjects(list, objects, { selected, classes, problemsOf, select, remove }) {
  const rows = objects.map((object) => {
    const row = made("button", { className: "row" }, [
      chip(classes.colourOf(object.category_id)),
      made("span", { className: "name", textContent: classes.nameOf(object.category_id) }),
      made("span", { className: "soft", textContent: sizeOf(object) }),
    ]);
    row.onclick = () => select(object.key);
    row.setAttribute("aria-pressed", object.key === selected);
    const bin = made("button", { className: "remove", textContent: "×", title: "Remove (Delete)" });
    bin.setAttribute("aria-label", `Remove ${classes.nameOf(object.category_id)}`);
    bin.onclick = () => remove(object.key);
    const problems = problemsOf(object).map((text) => made("p", { className: "problem", textContent: text }));
    return made("li", {}, [row, bin, ...problems]);
  });
  refill(list, rows);
}

function sizeOf({ big_box: box }) {
  return box ? `${Math.round(box[2] - box[0])} × ${Math.round(box[3] - box[1])}` : "";
}

function chip(colour) {
  const dot = made("span", { className: "chip" });
  dot.style.background = colour;
  return dot;
}
