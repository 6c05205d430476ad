"""Validation sets cut from the training parts of data sets, so that nothing is chosen by a look at the test masks.

python -m benchmarks.splits ROOT --out VALIDATION

Every third image of a training part becomes the test part of a set of the same name, the others its training part; of large
sets the first `most` images only. Training sees the two boxes alone, as ever.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import tyro

from benchmarks.tables import data_sets
from ringsam.runs import write_json

EVERY = 3


@dataclass
class Arguments:
    """What to cut, and where to."""

    root: tyro.conf.Positional[Path]
    out: Path
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    most: int = 120
    """Images of a set."""


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


def main(arguments: Arguments) -> None:
    """Write every set."""
    for data in data_sets(arguments.root, "train", arguments.data):
        source, target = data / "train", arguments.out / data.name
        images = read_labels(source / "two_boxes.json")["images"][: arguments.most]
        validation = images[::EVERY]
        learning = [image for image in images if image not in validation]
        write_part(source, target / "train", "two_boxes.json", learning)
        write_part(source, target / "train", "annotations.json", learning)
        write_part(source, target / "test", "annotations.json", validation)
        print(f"{target}: {len(learning)} images to learn from, {len(validation)} to judge by")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
