"""LabelMe JSON: a file an image; rectangles and polygons, paired by group_id where they are grouped."""

from ringsam.data.fields import Row, fields_of, short_text
from ringsam.data.findings import RowProblem
from ringsam.data.formats.documents import Document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    corner_box,
    point_list,
    stated_size,
    text,
)


def recognises(document: Document) -> bool:
    content = document.content
    return isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys()


def read(document: Document, labels: Labels) -> None:
    """Adds the file's one image; shapes other than rectangles and polygons are passed over."""
    with labels.row(document.path):
        fields = fields_of(document.content)
        name = text(fields["imagePath"], "imagePath")
        size = stated_size(fields.get("imageHeight"), fields.get("imageWidth"))
        image = LabelledImage(document.path, (name,), size)
        shapes = fields["shapes"]
        if not isinstance(shapes, list):
            raise RowProblem("shapes is no list", "export it anew")
        labels.images.append(image)
        for index, shape in enumerate(shapes):
            with labels.row(document.path, f"shapes[{index}]"):
                _read_shape(fields_of(shape), image, labels, f"shapes[{index}]")


def _read_shape(shape: Row, image: LabelledImage, labels: Labels, where: str) -> None:
    kind = shape.get("shape_type", "polygon")
    if kind not in ("rectangle", "polygon"):
        labels.skipped[short_text(kind)] += 1
        return
    points = point_list(shape.get("points"))
    label = text(shape.get("label"), "label")
    group = None if shape.get("group_id") is None else str(shape["group_id"])[:60]
    if kind == "polygon":
        polygon = [value for point in points for value in point]
        image.regions.append(Region(where, label, segmentation=[polygon], group=group))
        return
    if len(points) not in (2, 4):
        raise RowProblem(f"a rectangle of {len(points)} points", "draw it again")
    across, down = zip(*points, strict=True)
    if len(points) == 4 and (len(set(across)), len(set(down))) != (2, 2):
        raise RowProblem("is rotated", "draw it upright")
    box = corner_box(min(across), min(down), max(across), max(down))
    image.regions.append(Region(where, label, box=box, group=group))
