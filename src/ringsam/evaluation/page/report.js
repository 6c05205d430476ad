// Before and after by a slider on each object, which objects are shown, and which epoch. Without this script all are, with both outlines.
const examples = document.querySelector(".examples");

if (examples) {
  examples.classList.add("scripted");
  for (const slider of examples.querySelectorAll(".slider")) {
    slider.addEventListener("input", () => slider.parentElement.style.setProperty("--split", `${slider.value}%`));
  }
  const group = examples.querySelector(".choose-group");
  const category = examples.querySelector(".choose-class");
  const choose = () => {
    for (const section of examples.querySelectorAll(".group")) {
      const objects = [...section.querySelectorAll(".object")];
      for (const object of objects) object.hidden = category.value !== "" && object.dataset.category !== category.value;
      section.hidden = (group.value !== "" && section.dataset.group !== group.value) || objects.every(({ hidden }) => hidden);
    }
  };
  group.addEventListener("change", choose);
  category.addEventListener("change", choose);
}

const watch = document.querySelector(".watch");

if (watch) {
  watch.classList.add("scripted");
  const slider = watch.querySelector(".choose-epoch");
  const sheets = [...watch.querySelectorAll(".sheet")];
  const turn = () => {
    sheets.forEach((sheet, place) => { sheet.hidden = place !== Number(slider.value); });
    slider.setAttribute("aria-valuetext", sheets[slider.value].querySelector("figcaption").textContent);
  };
  slider.addEventListener("input", turn);
  turn();
}
