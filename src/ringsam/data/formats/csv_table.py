"""CSV: a box a row, or both of an object in columns max_boxes_*, min_boxes_* (big_box_*, small_box_*)."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from ringsam.data.boxes import Box
from ringsam.data.fields import short_text
from ringsam.data.findings import RowProblem, shown
from ringsam.data.formats.documents import Document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    Role,
    corner_box,
    side_box,
    stated_size,
    text,
)

_IMAGE = ("image_file", "file_name", "filename", "image", "image_path", "image_name", "path")
_LABEL = ("label", "class", "class_name", "category", "label_name")
_GROUP = ("group_id", "group", "object_id")
_PREFIX = re.compile(r"(big|max|small|min)_(?:box(?:es)?_)?(.+)")
_ROLES: Mapping[str, Role] = {"big": "big", "max": "big", "small": "small", "min": "small"}
_PARTS = {
    **dict.fromkeys(("x1", "xmin", "minx", "left", "x"), "x1"),
    **dict.fromkeys(("y1", "ymin", "miny", "top", "y"), "y1"),
    **dict.fromkeys(("x2", "xmax", "maxx", "right"), "x2"),
    **dict.fromkeys(("y2", "ymax", "maxy", "bottom"), "y2"),
    **dict.fromkeys(("w", "width"), "width"),
    **dict.fromkeys(("h", "height"), "height"),
}
_CORNERS, _SIDES = ("x1", "y1", "x2", "y2"), ("x1", "y1", "width", "height")
_Row = Mapping[str, str]


class _Columns(NamedTuple):
    """Which column holds what; `boxes` has four columns for each role, None for plain boxes."""

    image: str
    label: str | None
    group: str | None
    size: tuple[str, str] | None
    boxes: dict[Role | None, tuple[str, ...]]
    in_corners: bool


def recognises(document: Document) -> bool:
    return isinstance(document.content, str) and _columns(_names(document.content)) is not None


def what_is_missing(document: Document) -> str:
    """The columns that a table has which is not recognised, and those that it needs; nothing of another file."""
    name, content = document.path.name, document.content
    if not isinstance(content, str) or document.path.suffix.lower() not in (".csv", ".tsv"):
        return ""
    header = short_text(", ".join(_names(content)))
    boxes = f"{', '.join(_CORNERS)} or x, y, width, height (both boxes: big_x1, ..., small_x1, ...)"
    return f": {shown(name)} has the columns {header}; it needs {boxes}, and one of {', '.join(_IMAGE)}"


def read(document: Document, labels: Labels) -> None:
    """Adds an image for each name; a row without numbers says that its image has no object."""
    assert isinstance(document.content, str)
    names = _names(document.content)
    columns = _columns(names)
    assert columns is not None
    images: dict[str, LabelledImage] = {}
    lines = io.StringIO(document.content, newline="")
    table = csv.reader(lines, delimiter=_delimiter(document.content), strict=True)
    try:
        next(table)
        for cells in filter(None, table):
            where = f"line {table.line_num}"
            with labels.row(document.path, where):
                _read_row(document, _row(names, cells), columns, where, images)
    except csv.Error as error:
        problem = RowProblem(str(error), "mend the quotes")
        labels.tell(problem, document.path, f"line {table.line_num}")
    labels.images += images.values()


def _read_row(
    document: Document, row: _Row, columns: _Columns, where: str, images: dict[str, LabelledImage]
) -> None:
    name = text(row[columns.image], columns.image)
    size = stated_size(row[columns.size[0]], row[columns.size[1]]) if columns.size else None
    image = images.setdefault(name, LabelledImage(document.path, (name,), size))
    if image.size != size:
        raise RowProblem(f"states another size of {name} than the rows before", "mend it")
    label = row[columns.label].strip() if columns.label else ""
    group = (row[columns.group].strip() if columns.group else "") or None
    for role, parts in columns.boxes.items():
        cells = [row[part] for part in parts]
        if any(cell.strip() for cell in cells):
            box = _box(cells, in_corners=columns.in_corners)
            own = where if role else group
            image.regions.append(Region(where, label, box=box, group=own, role=role))


def _box(cells: list[str], *, in_corners: bool) -> Box:
    x, y, right, bottom = cells
    return corner_box(x, y, right, bottom) if in_corners else side_box(x, y, right, bottom)


def _row(names: list[str], cells: list[str]) -> _Row:
    if len(cells) != len(names):
        raise RowProblem(f"has {len(cells)} cells, the header {len(names)}", "mend the row")
    return dict(zip(names, cells, strict=True))


def _columns(names: list[str]) -> _Columns | None:
    """None unless there is a column for the image and four for a box."""
    parts: dict[Role | None, dict[str, str]] = defaultdict(dict)
    for name in names:
        prefixed = _PREFIX.fullmatch(name)
        if name.replace("_", "") in _PARTS:
            parts[None].setdefault(_PARTS[name.replace("_", "")], name)
        elif prefixed and prefixed[2].replace("_", "") in _PARTS:
            parts[_ROLES[prefixed[1]]][_PARTS[prefixed[2].replace("_", "")]] = name
    sizes = parts.pop(None, {}) if len(parts) > 1 else parts.get(None, {})
    image = next((name for name in _IMAGE if name in names), None)
    for kind in (_CORNERS, _SIDES):
        if image and parts and all(set(kind) <= found.keys() for found in parts.values()):
            states_size = kind == _CORNERS and {"height", "width"} <= sizes.keys()
            return _Columns(
                image=image,
                label=next((name for name in _LABEL if name in names), None),
                group=next((name for name in _GROUP if name in names), None),
                size=(sizes["height"], sizes["width"]) if states_size else None,
                boxes={role: tuple(found[part] for part in kind) for role, found in parts.items()},
                in_corners=kind == _CORNERS,
            )
    return None


def _names(content: str) -> list[str]:
    header = content.split("\n", 1)[0].rstrip("\r")
    try:
        cells = next(csv.reader([header], delimiter=_delimiter(header)), [])
    except csv.Error:  # a first line that is no header of a table
        return []
    return ["_".join(cell.lower().split()) for cell in cells]


def _delimiter(content: str) -> str:
    header = content.split("\n", 1)[0]
    return max(",;\t", key=header.count)
