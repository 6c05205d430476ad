"""COCO JSON: two boxes as fields big_box and small_box, or one bbox or segmentation an annotation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from ringsam.data.annotations import read_annotations
from ringsam.data.boxes import parse_box
from ringsam.data.fields import Row, fields_of, whole_number
from ringsam.data.findings import RowProblem
from ringsam.data.formats.documents import Document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    Role,
    number,
    side_box,
    stated_size,
    text,
)

_ROLES: tuple[Role, Role] = ("big", "small")
_SAME_PX = 0.01  # of the same side, written once as bbox and once in a polygon


def recognises(document: Document) -> bool:
    content = document.content
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read(document: Document, labels: Labels) -> None:
    """Adds every image and its regions; crowds, which are no single object, are passed over."""
    content = read_annotations(document.path)
    labels.findings += content.findings
    images = _images(content.images, document.path, labels)
    labels.images += images.values()
    for index, row in enumerate(content.annotations):
        where = f"annotations[{index}]"
        with labels.row(document.path, where):
            fields = fields_of(row)
            if fields.get("iscrowd") in (1, True):
                labels.skipped["crowd"] += 1
                continue
            image_id = whole_number(fields, "image_id")
            if image_id not in images:
                raise RowProblem(f"no image has the id {image_id}", "mend image_id")
            images[image_id].regions += _regions(fields, where, content.categories)


def _images(rows: Sequence[object], file: Path, labels: Labels) -> dict[int, LabelledImage]:
    images: dict[int, LabelledImage] = {}
    for index, row in enumerate(rows):
        with labels.row(file, f"images[{index}]"):
            fields = fields_of(row)
            image_id = whole_number(fields, "id")
            if image_id in images:
                raise RowProblem(f"the image id {image_id} stands twice", "give each image its own")
            size = stated_size(fields.get("height"), fields.get("width"))
            name = text(fields.get("file_name"), "file_name")
            images[image_id] = LabelledImage(file, (name,), size)
    return images


def _regions(fields: Row, where: str, categories: Mapping[int, str]) -> list[Region]:
    label = ""
    if fields.get("category_id") is not None:
        category_id = whole_number(fields, "category_id")
        label = categories.get(category_id, str(category_id))
    boxes = {role: fields.get(f"{role}_box") for role in _ROLES}
    found = [
        Region(where, label, box=parse_box(f"{role}_box", box), group=where, role=role)
        for role, box in boxes.items()
        if box is not None
    ]
    if found:  # the object's mask, if it has one, goes with the first of its boxes
        return [replace(found[0], segmentation=fields.get("segmentation") or None), *found[1:]]
    bbox = fields.get("bbox")
    sides = bbox if isinstance(bbox, list) and len(bbox) == 4 else None
    if fields.get("segmentation"):
        segmentation = _segmentation(fields["segmentation"])
        if sides is None or not _is_drawn_box(segmentation, sides):
            return [Region(where, label, segmentation=segmentation)]
    if sides is None:
        raise RowProblem("has no big_box, small_box, segmentation or bbox", "draw its boxes")
    return [Region(where, label, box=side_box(*sides))]


def _segmentation(value: object) -> object:
    """Polygons of numbers, or run lengths, which are judged where they are decoded."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(polygon, list) for polygon in value):
        raise RowProblem("segmentation is no list of polygons", "write [[x, y, x, y, ...]]")
    return [[number(part, "segmentation") for part in polygon] for polygon in value]


def _is_drawn_box(segmentation: object, bbox: Sequence[object]) -> bool:
    """Whether it is the bbox written as one rectangle, as some tools do; raises RowProblem."""
    if not isinstance(segmentation, list) or [len(each) for each in segmentation] not in (
        [8],
        [10],
    ):
        return False
    x, y = segmentation[0][::2], segmentation[0][1::2]
    left, top, right, bottom = min(x), min(y), max(x), max(y)
    if {*zip(x, y, strict=True)} != {*product((left, right), (top, bottom))}:
        return False
    sides = zip((left, top, right - left, bottom - top), bbox, strict=True)
    return all(abs(side - number(stated, "bbox")) < _SAME_PX for side, stated in sides)
