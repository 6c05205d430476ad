// The objects beside the image, and how many have which verdict.
import { made, refill } from "./shared/elements.js";
import { at } from "./shared/words.js";

export const VERDICTS = ["accepted", "redrawn", "rejected"];

export function listObjects(objects, current, filter, open) {
  const wanted = ({ id, verdict }) => id === current || filter === "all" || (verdict ?? "open") === filter;
  const rows = objects.filter(wanted).map(({ id, name, doubt, verdict }) => {
    const button = made("button", { className: "row", title: `${name}, object ${id}: ${verdict ?? "not judged yet"}` }, [
      made("span", { className: `dot ${verdict ?? ""}` }),
      made("span", { className: "name", textContent: name }),
      made("span", { className: "soft", textContent: doubt.toFixed(2), title: "doubt, 0 to 1" }),
    ]);
    button.onclick = () => open(id);
    if (id === current) button.setAttribute("aria-current", "true");
    return made("li", {}, [button]);
  });
  refill(at("objects"), rows);
  at("objects").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

export function showCounts(objects) {
  const count = (wanted) => objects.filter(({ verdict }) => verdict === wanted).length;
  const rows = [...VERDICTS.map((name) => [name, count(name)]), ["not judged yet", count(null)]];
  at("counts").replaceChildren(
    ...rows.flatMap(([name, number]) => [made("dt", { textContent: name }), made("dd", { textContent: number })]),
  );
  const judged = objects.length - count(null);
  at("progress-text").textContent = `${judged} of ${objects.length} objects`;
  Object.assign(at("progress"), { max: objects.length, value: judged });
}
