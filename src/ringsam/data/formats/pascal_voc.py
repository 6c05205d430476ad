"""Pascal VOC XML: a file an image; corners are taken as labelImg and CVAT write them, from 0, exclusive."""

from xml.etree.ElementTree import Element

from ringsam.data.findings import RowProblem
from ringsam.data.formats.documents import Document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    corner_box,
    stated_size,
    text,
)


def recognises(document: Document) -> bool:
    return isinstance(document.content, Element) and document.content.tag == "annotation"


def read(document: Document, labels: Labels) -> None:
    """Adds the file's one image."""
    root = document.content
    assert isinstance(root, Element)
    with labels.row(document.path):
        name = text(root.findtext("filename"), "filename")
        size = stated_size(root.findtext("size/height"), root.findtext("size/width"))
        image = LabelledImage(document.path, (name,), size)
        for index, element in enumerate(root.findall("object")):
            with labels.row(document.path, f"object[{index}]"):
                image.regions.append(_region(element, f"object[{index}]"))
        labels.images.append(image)


def _region(element: Element, where: str) -> Region:
    box = element.find("bndbox")
    if box is None:
        raise RowProblem("has no bndbox", "draw its box")
    corners = [box.findtext(name) for name in ("xmin", "ymin", "xmax", "ymax")]
    return Region(where, text(element.findtext("name"), "name"), box=corner_box(*corners))
