"""Validation sets cut from the training parts of data sets, so that nothing is chosen by a look at the test masks.

python -m benchmarks.splits ROOT --out VALIDATION --fold 0

Every third image of a training part, beginning with the first, second or third (`fold`), becomes the test part of a set of
the same name, the others its training part; of large sets the first `most` images only. Where one thing was photographed
several times, `same_thing` keeps its images on one side. Training sees the two boxes alone, as ever.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any, Literal

import tyro

from benchmarks.tables import data_sets
from ringsam.files import write_json

EVERY = 3


@dataclass
class Arguments:
    """What to cut, and where to."""

    root: tyro.conf.Positional[Path]
    out: Path
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    fold: Literal[0, 1, 2] = 0
    """Which third is judged by; over all three folds, each image once."""
    most: int = 120
    """Images of a set."""
    same_thing: int | None = None
    """Images show the same thing when the last numbers in their names differ by at most this, in steps; then every third
    thing goes to the test part. Every image by itself where not given."""


def read_labels(path: Path) -> dict[str, Any]:
    labels: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return labels


def write_part(source: Path, target: Path, labels: str, images: list[dict[str, Any]]) -> None:
    """The rows of these images, and the images."""
    content = read_labels(source / labels)
    kept = {image["id"] for image in images}
    rows = [row for row in content["annotations"] if row["image_id"] in kept]
    (target / "images").mkdir(parents=True, exist_ok=True)
    write_json(target / labels, content | {"images": images, "annotations": rows})
    for image in images:
        name = f"images/{image['file_name']}"
        copyfile(source / name, target / name)


def things(images: list[dict[str, Any]], same_thing: int | None) -> list[list[dict[str, Any]]]:
    """The images of each thing, in the order of their numbers; each image by itself where `same_thing` is None."""
    if same_thing is None:
        return [[image] for image in images]
    numbered = sorted((last_number(image["file_name"]), image["id"], image) for image in images)
    found: list[list[dict[str, Any]]] = []
    before = None
    for number, _, image in numbered:
        if before is None or number - before > same_thing:
            found.append([])
        found[-1].append(image)
        before = number
    return found


def last_number(name: str) -> int:
    numbers = re.findall(r"\d+", name)
    if not numbers:
        raise ValueError(f"{name} has no number, so --same-thing cannot tell what it shows")
    return int(numbers[-1])


def main(arguments: Arguments) -> None:
    """Write every set."""
    for data in data_sets(arguments.root, "train", arguments.data):
        source, target = data / "train", arguments.out / data.name
        images = read_labels(source / "two_boxes.json")["images"][: arguments.most]
        shown = things(images, arguments.same_thing)
        validation = [image for thing in shown[arguments.fold :: EVERY] for image in thing]
        learning = [image for image in images if image not in validation]
        write_part(source, target / "train", "two_boxes.json", learning)
        write_part(source, target / "train", "annotations.json", learning)
        write_part(source, target / "test", "annotations.json", validation)
        print(f"{target}: {len(learning)} images to learn from, {len(validation)} to judge by")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
