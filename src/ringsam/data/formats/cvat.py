"""CVAT for images 1.1: boxes and polygons an image, paired by group_id where they are grouped."""

from xml.etree.ElementTree import Element

from ringsam.data.fields import short_text
from ringsam.data.findings import RowProblem
from ringsam.data.formats.documents import Document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    corner_box,
    number,
    stated_size,
    text,
)


def recognises(document: Document) -> bool:
    return isinstance(document.content, Element) and document.content.tag == "annotations"


def read(document: Document, labels: Labels) -> None:
    """Adds every image; shapes other than boxes and polygons are passed over."""
    root = document.content
    assert isinstance(root, Element)
    with labels.row(document.path):
        if root.find("track") is not None:
            raise RowProblem("holds tracks of a video", "export it as 'CVAT for images 1.1'")
    for index, element in enumerate(root.findall("image")):
        where = f"image {short_text(element.get('id', f'[{index}]'))}"
        with labels.row(document.path, where):
            size = stated_size(element.get("height"), element.get("width"))
            image = LabelledImage(document.path, (text(element.get("name"), "name"),), size)
            labels.images.append(image)
            _read_shapes(element, image, labels, where)


def _read_shapes(element: Element, image: LabelledImage, labels: Labels, where: str) -> None:
    for index, shape in enumerate(element):
        if shape.tag not in ("box", "polygon"):
            labels.skipped[str(shape.tag)] += 1
            continue
        row = f"{where}, {shape.tag} {index}"
        with labels.row(image.file, row):
            image.regions.append(_region(shape, row))


def _region(shape: Element, where: str) -> Region:
    if number(shape.get("rotation", "0"), "rotation") != 0:
        raise RowProblem("is rotated", "draw it upright")
    label, group = text(shape.get("label"), "label"), shape.get("group_id")
    if shape.tag == "box":
        box = corner_box(*(shape.get(name) for name in ("xtl", "ytl", "xbr", "ybr")))
        return Region(where, label, box=box, group=group)
    points = shape.get("points", "").replace(";", ",").split(",")
    polygon = [number(value, "points") for value in points]
    return Region(where, label, segmentation=[polygon], group=group)
