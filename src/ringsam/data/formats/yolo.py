"""YOLO: a text file an image, a line an object, in fractions of the image; names in classes.txt or data.yaml."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ringsam.data.fields import short_text
from ringsam.data.findings import RowProblem
from ringsam.data.formats.documents import Document, open_document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    corner_box,
    names_of_upload,
    number,
)
from ringsam.plain_yaml import read_plain_yaml

NAME_FILES = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"
_LINE = re.compile(rf"\s*\d+(?:[ \t]+{_NUMBER}){{4,}}[ \t\r]*$", re.MULTILINE)
_FOLDERS_UP = 3  # labels/train/a.txt has its data.yaml above labels


def recognises(document: Document) -> bool:
    content, name = document.content, document.path.name
    return isinstance(content, str) and name not in NAME_FILES and bool(_LINE.match(content))


def read(document: Document, labels: Labels) -> None:
    """Adds the image of the same name, under images/ where the text file is under labels/."""
    assert isinstance(document.content, str)
    names: Mapping[int, str] = {}
    with labels.row(document.path):
        names = _class_names(document.path.resolve())
    image_names = names_of_upload(_image_name(document.path))
    image = LabelledImage(document.path, image_names, in_fractions=True)
    for index, line in enumerate(document.content.splitlines(), start=1):
        with labels.row(document.path, f"line {index}"):
            if line.strip():
                image.regions.append(_region(line.split(), names, f"line {index}"))
    labels.images.append(image)


def _region(cells: list[str], names: Mapping[int, str], where: str) -> Region:
    if not re.fullmatch(r"\d{1,9}", cells[0]):
        raise RowProblem(f"class {short_text(cells[0])} is no whole number", "write its number")
    class_id = int(cells[0])
    if names and class_id not in names:
        raise RowProblem(f"class {class_id} has no name", f"add it to the {len(names)} names")
    label = names.get(class_id, cells[0])
    values = [number(cell, "a coordinate") for cell in cells[1:]]
    if len(values) == 4:
        x, y, width, height = values
        box = corner_box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return Region(where, label, box=box)
    if len(values) >= 6 and len(values) % 2 == 0:
        return Region(where, label, segmentation=[values])
    raise RowProblem(
        f"has {len(values)} numbers behind the class", "write x y width height, or a polygon"
    )


def _image_name(path: Path) -> str:
    parts = list(path.resolve().with_suffix("").parts)
    if "labels" in parts[:-1]:
        last = len(parts) - 2 - parts[:-1][::-1].index("labels")
        parts[last] = "images"
    return f"{Path(*parts).as_posix()}.*"


def _class_names(path: Path) -> Mapping[int, str]:
    """The nearest file of names; none where there is none, and numbers stand for themselves."""
    for folder in path.parents[: _FOLDERS_UP + 1]:
        for name in NAME_FILES:
            file = folder / name
            if file.is_file():
                return _names_in(file, file.stat().st_mtime_ns)
    return {}


@lru_cache(maxsize=8)
def _names_in(file: Path, modified_ns: int) -> Mapping[int, str]:
    content = open_document(file).content
    if file.suffix != ".yaml":
        return dict(enumerate(str(content).splitlines()))
    try:
        settings = read_plain_yaml(str(content))
    except ValueError as error:
        raise RowProblem(f"{file.name} is no plain YAML: {error}", "mend it") from error
    names = settings.get("names") if isinstance(settings, dict) else None
    rows = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(rows, dict) or not all(
        type(key) is int and isinstance(name, str) for key, name in rows.items()
    ):
        raise RowProblem(f"{file.name} has no list of names", "write names: [...]")
    return rows
