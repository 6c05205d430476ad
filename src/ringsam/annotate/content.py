"""What an annotation file holds, field for field, so that a change to a part keeps the rest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ringsam.data.annotations import read_annotations
from ringsam.data.boxes import box_numbers
from ringsam.data.fields import Size, fields_of, short_text, whole_number
from ringsam.data.findings import Finding, RowProblem
from ringsam.data.folder import composed
from ringsam.errors import InputError

Content = dict[str, Any]
Row = dict[str, Any]
Numbers = list[int | float]
Proposed = dict[str, Numbers | None]  # by the box's name


@dataclass(frozen=True)
class DrawnObject:
    """An object as the page has it; a new one has no id, one from elsewhere may lack a box."""

    id: int | None
    category_id: int | None
    big_box: Numbers | None
    small_box: Numbers | None
    problems: tuple[str, ...] = ()  # what `ringsam check` would say of the boxes


def new_content() -> Content:
    return {"images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}


def read_content(path: Path) -> Content:
    """The file's JSON, safe to edit: ids are unique numbers, boxes are four numbers or not there.

    Raises InputError with every row that is not so. Boxes that are wrong otherwise pass: the page
    marks them, and there they are mended.
    """
    read = read_annotations(path)
    findings, content = list(read.findings), dict(read.content)
    content.setdefault("categories", new_content()["categories"])
    findings += _unusable_rows(content, path.name)
    if findings:
        rows = [str(finding) for finding in findings]
        raise InputError(f"{path}: cannot be edited on the page; mend these rows first", rows)
    return content


def image_row(content: Content, name: str) -> Row | None:
    """The row of the image called `name`, in whichever Unicode form."""
    rows = content["images"]
    return next((row for row in rows if same_name(row["file_name"]) == same_name(name)), None)


def same_name(name: str) -> str:
    return composed(str(PurePosixPath(name)))


def with_class(content: Content, name: str) -> Content:
    """The content with a class of this name; itself where there is one."""
    classes = content["categories"]
    if any(row.get("name") == name for row in classes):
        return content
    used = (row.get("category_id") or 0 for row in content["annotations"])
    return {**content, "categories": [*classes, {"id": _next_id(classes, used), "name": name}]}


def with_image(content: Content, name: str, size: Size) -> tuple[Content, int]:
    """The content with a row for the image, and that row's id."""
    row = image_row(content, name)
    if row is None:
        height, width = size
        image_id = _next_id(content["images"])
        row = {"id": image_id, "file_name": name, "width": width, "height": height}
        content = {**content, "images": [*content["images"], row]}
    return content, row["id"]


def with_objects(
    content: Content,
    image_id: int,
    drawn: Iterable[DrawnObject],
    *,
    removed: Mapping[int, Row],
    proposed: Mapping[int, Proposed],
) -> tuple[Content, list[Row]]:
    """The content with these objects in place of the image's own, and their rows in the order given.

    An object that is known, be it as `removed` before, keeps the fields that the page does not show; a box that is
    as `proposed` by nobody's hand says so.
    """
    old = [row for row in content["annotations"] if row["image_id"] == image_id]
    known = {row["id"]: row for row in (*removed.values(), *old) if row["image_id"] == image_id}
    next_id = _next_id(content["annotations"], removed)
    rows = []
    for an_object in drawn:
        row = known.pop(an_object.id, None) if an_object.id is not None else None
        if row is None:
            row, next_id = {"id": next_id, "image_id": image_id}, next_id + 1
        rows.append(_changed(row, an_object, proposed.get(row["id"], {})))
    return {**content, "annotations": _replaced(content["annotations"], image_id, rows)}, rows


def proposed_boxes(row: Row) -> Proposed:
    """The row's boxes that nobody drew, by name."""
    names = row.get("derived")
    return {name: row.get(name) for name in names} if isinstance(names, list) else {}


def _changed(row: Row, drawn: DrawnObject, proposed: Proposed) -> Row:
    shown = {
        "category_id": drawn.category_id,
        "big_box": drawn.big_box,
        "small_box": drawn.small_box,
    }
    row = row | {key: value for key, value in shown.items() if row.get(key) != value}
    if proposed:
        row["derived"] = [name for name, box in proposed.items() if row.get(name) == box]
        if not row["derived"]:
            del row["derived"]
    return row


def _replaced(annotations: Sequence[Row], image_id: int, rows: Sequence[Row]) -> list[Row]:
    """Rows that were there stay in their places, new ones follow."""
    new = {row["id"]: row for row in rows}
    kept = []
    for row in annotations:
        if row["image_id"] != image_id:
            kept.append(row)
        elif row["id"] in new:
            kept.append(new.pop(row["id"]))
    return [*kept, *new.values()]


def _next_id(rows: Iterable[Row], also: Iterable[int] = ()) -> int:
    return max((*(row["id"] for row in rows), *also), default=0) + 1


def _unusable_rows(content: Content, file: str) -> Iterator[Finding]:
    if not isinstance(content["categories"], list):
        yield Finding("error", file, "categories", "is not a list", "write a list of id and name")
        return
    image_ids: set[int] = set()
    for kind in ("categories", "images", "annotations"):
        ids: set[int] = set()
        for index, row in enumerate(content[kind]):
            try:
                _judge(row, kind, ids, image_ids)
            except RowProblem as problem:
                yield problem.at(file, f"{kind}[{index}]")
        if kind == "images":
            image_ids = ids


def _judge(row: object, kind: str, ids: set[int], image_ids: set[int]) -> None:
    """Adds the row's id to `ids`; raises RowProblem."""
    fields = fields_of(row)
    row_id = whole_number(fields, "id")
    if row_id in ids:
        raise RowProblem(f"the id {row_id} stands twice", "give each row its own")
    ids.add(row_id)
    if kind == "images" and not isinstance(fields.get("file_name"), str):
        raise RowProblem(f"file_name is {short_text(fields.get('file_name'))}", "write the name")
    if kind != "annotations":
        return
    if whole_number(fields, "image_id") not in image_ids:
        raise RowProblem(f"no image has the id {fields['image_id']}", "mend image_id")
    if fields.get("category_id") is not None:
        whole_number(fields, "category_id")
    for name in ("big_box", "small_box"):
        if fields.get(name) is not None:
            box_numbers(name, fields[name])
