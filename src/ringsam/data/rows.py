"""The one place that judges rows: every image and every annotation of a file, good or bad."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ringsam.data.annotations import find_annotations, image_folder, read_annotations
from ringsam.data.boxes import Box, box_numbers, judge_boxes
from ringsam.data.fields import Row, Size, fields_of, short_text, whole_number
from ringsam.data.findings import Finding, RowProblem
from ringsam.data.folder import ImageFolder
from ringsam.data.hints import BoxOnImage, coordinate_hints
from ringsam.data.images import image_size
from ringsam.data.masks import judge_segmentation
from ringsam.data.records import ImageRecord
from ringsam.errors import InputError


@dataclass(frozen=True)
class Examination:
    """Everything known of a file without decoding an image; `records` holds what is good of it."""

    folder: ImageFolder
    source: Path
    categories: dict[int, str]
    records: tuple[ImageRecord, ...]
    findings: tuple[Finding, ...]


@dataclass
class _Object:
    object_id: int
    category_id: int
    big_box: Box
    small_box: Box
    segmentation: object


@dataclass
class _Image:
    """An image under judgement; `path` is None until its own row is found good."""

    image_id: int
    name: str
    path: Path | None = None
    size: Size | None = None
    objects: list[_Object] = field(default_factory=list)


def examine(data: Path, *, images_in: Path | None = None) -> Examination:
    """Judges all rows, images by their headers alone; they lie in `images_in`, or beside the annotations.

    Raises InputError where there is no annotation file, or none that is COCO JSON.
    """
    source = find_annotations(data)
    content = read_annotations(source)
    folder = ImageFolder(images_in or image_folder(source))
    findings = list(content.findings)
    images = _judge_images(content.images, source.name, folder, findings)
    _judge_annotations(content.annotations, source.name, images, findings)
    findings += coordinate_hints(_big_boxes(content.annotations, images), source.name)
    records = tuple(_record(image, image.path) for image in images.values() if image.path)
    if not any(record.num_objects for record in records):
        findings.append(_nothing_usable(source.name, content.annotations, findings))
    return Examination(folder, source, content.categories, records, tuple(findings))


def _judge_images(
    rows: Sequence[object], file: str, folder: ImageFolder, findings: list[Finding]
) -> dict[int, _Image]:
    """Images by id, also those whose file is bad, so that their annotations are not called lost."""
    images: dict[int, _Image] = {}
    paths: set[Path] = set()
    for index, row in enumerate(rows):
        try:
            fields = fields_of(row)
            image_id = whole_number(fields, "id")
            if image_id in images:
                raise RowProblem(f"the image id {image_id} stands twice", "give each image its own")
        except RowProblem as problem:
            findings.append(problem.at(file, f"images[{index}]"))
            continue
        image = images[image_id] = _Image(image_id, short_text(fields.get("file_name") or file))
        try:
            _judge_file(image, fields, folder, paths)
        except RowProblem as problem:
            findings.append(problem.at(image.name, f"image {image_id}"))
    return images


def _judge_file(image: _Image, fields: Row, folder: ImageFolder, paths: set[Path]) -> None:
    path = folder.locate(fields.get("file_name"))
    try:
        image.size = image_size(path)
    except InputError as error:
        raise RowProblem(str(error).removeprefix(f"{path}: ")) from error
    _compare_size(fields, image.size)
    if path in paths:
        raise RowProblem("the file is listed twice", "put all its objects under one image id")
    paths.add(path)
    image.path = path


def _judge_annotations(
    rows: Sequence[object], file: str, images: Mapping[int, _Image], findings: list[Finding]
) -> None:
    """Gives each image its good objects."""
    object_ids: set[int] = set()
    for index, row in enumerate(rows):
        name, where = file, f"annotations[{index}]"
        try:
            fields = fields_of(row)
            object_id = whole_number(fields, "id")
            where = f"annotation {object_id}"
            image = _image_of(fields, images)
            name = image.name
            if object_id in object_ids:
                raise RowProblem(f"the annotation id {object_id} stands twice", "give each its own")
            object_ids.add(object_id)
            found, warnings = _judge_object(object_id, fields, image.size)
        except RowProblem as problem:
            findings.append(problem.at(name, where))
            continue
        image.objects.append(found)
        findings += [Finding("warning", name, where, *warning) for warning in warnings]


def _judge_object(
    object_id: int, fields: Row, size: Size | None
) -> tuple[_Object, list[tuple[str, str]]]:
    boxes = judge_boxes(fields, size)
    category_id = 0 if fields.get("category_id") is None else whole_number(fields, "category_id")
    segmentation = fields.get("segmentation") or None  # an empty list says: none
    if segmentation is not None and size is not None:
        judge_segmentation(segmentation, size)
    return _Object(object_id, category_id, boxes.big, boxes.small, segmentation), boxes.warnings


def _image_of(fields: Row, images: Mapping[int, _Image]) -> _Image:
    image_id = whole_number(fields, "image_id")
    if image_id not in images:
        raise RowProblem(f"no image has the id {image_id}", "mend image_id or add the image")
    return images[image_id]


def _compare_size(fields: Row, size: Size) -> None:
    """The file's own size counts; one that is stated must agree with it."""
    stated = fields.get("height"), fields.get("width")
    if stated == (None, None) or stated == size:
        return
    height, width = size
    told = f"{short_text(stated[1])} x {short_text(stated[0])}"
    words = f"the file says {told}, the image is {width} x {height}"
    if stated == (width, height):
        raise RowProblem(
            f"{words} (width x height) as displayed",
            "EXIF turns it, or the two are swapped: draw the boxes on the image as displayed",
        )
    raise RowProblem(
        f"{words} (width x height)", "draw the boxes on this image, then mend its size"
    )


def _big_boxes(rows: Sequence[object], images: Mapping[int, _Image]) -> list[BoxOnImage]:
    """Every big box of four numbers on an image of known size, good or bad."""
    found = []
    for row in rows:
        try:
            fields = fields_of(row)
            size = _image_of(fields, images).size
            if size is not None:
                found.append(BoxOnImage(box_numbers("big_box", fields.get("big_box")), size))
        except RowProblem:
            continue  # told already
    return found


def _nothing_usable(file: str, rows: Sequence[object], findings: Sequence[Finding]) -> Finding:
    errors = sum(finding.severity == "error" for finding in findings)
    reason = f"{errors} errors in the rows" if errors else "the file has no annotations"
    return Finding("error", file, "", f"0 usable objects of {len(rows)}: {reason}", "mend the rows")


def _record(image: _Image, path: Path) -> ImageRecord:
    assert image.size is not None
    objects = image.objects
    return ImageRecord(
        image_id=image.image_id,
        file_name=image.name,
        path=path,
        height=image.size[0],
        width=image.size[1],
        big_boxes=np.array([o.big_box for o in objects], dtype=np.float32).reshape(-1, 4),
        small_boxes=np.array([o.small_box for o in objects], dtype=np.float32).reshape(-1, 4),
        object_ids=np.array([o.object_id for o in objects], dtype=np.int64),
        category_ids=np.array([o.category_id for o in objects], dtype=np.int64),
        segmentations=tuple(o.segmentation for o in objects),
    )
