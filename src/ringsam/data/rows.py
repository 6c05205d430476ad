"""The one place that judges rows: every image and every annotation of a file, good or bad."""

from collections import Counter
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ringsam.data.annotations import AnnotationFile, find_annotations, image_folder
from ringsam.data.boxes import box_numbers, judge_big_box, judge_boxes
from ringsam.data.fields import Row, Size, fields_of, short_text, whole_number
from ringsam.data.findings import Finding, RowProblem, UnreadableImage
from ringsam.data.folder import ImageFolder, composed
from ringsam.data.hints import BOX_KEYS, BoxTally, refuse_another_tools
from ringsam.data.images import image_size
from ringsam.data.masks import judge_segmentation
from ringsam.data.places import Places, hash_of
from ringsam.data.records import ImageRecords, TwoBoxData
from ringsam.data.table import GrowingTable
from ringsam.errors import InputError


@dataclass(frozen=True)
class Examination:
    """Everything known of a file without decoding an image; `records` holds what is good of it."""

    folder: ImageFolder
    source: Path
    categories: dict[int, str]
    records: ImageRecords
    findings: tuple[Finding, ...]
    num_without_small: int = 0  # objects that were let pass with their big box alone

    def usable(self) -> TwoBoxData:
        """What can be worked with."""
        return TwoBoxData(
            root=self.folder.root,
            source=self.source,
            images=self.records,
            categories=self.categories,
            warnings=self.findings,
        )


def examine(
    data: Path, *, images_in: Path | None = None, big_boxes_do: bool = False
) -> Examination:
    """Judges all rows, images by their headers alone; they lie in `images_in`, or beside the annotations.

    With `big_boxes_do` an object may have no small box.
    Raises InputError where there is no annotation file, or none that is COCO JSON, or one of another tool.
    """
    source = find_annotations(data)
    file, folder = AnnotationFile(source), ImageFolder(images_in or image_folder(source))
    images = _Images(source.name, folder)
    objects, num_rows = _Objects(source.name, images, big_boxes_do), Counter[str]()
    for name, rows in file.rows("images", "annotations"):
        judged = images if name == "images" else objects
        for row in rows:
            judged.judge(num_rows[name], row)
            num_rows[name] += 1
    refuse_another_tools(source, objects.keys)
    findings = [*file.findings, *images.findings, *objects.findings]
    findings += objects.big_boxes.hints(source.name)
    growing, num_without_small = images.table, objects.num_without_small
    del images, objects, judged  # what was seen where takes as much memory as what is kept
    usable, table = growing.usable(), growing.finish()
    if not len(table.object_ids):
        findings.append(_nothing_usable(source.name, num_rows["annotations"], findings))
    records = ImageRecords(table, folder.root, usable)
    return Examination(folder, source, file.categories, records, tuple(findings), num_without_small)


@dataclass
class _Image:
    """An image under judgement: its name as messages show it; once its row is found good, as given, and its path below the folder."""

    name: str
    path: str | None = None
    size: Size | None = None


class _Images:
    """Images by id, also those whose file is bad, so that their annotations are not called lost."""

    def __init__(self, file: str, folder: ImageFolder) -> None:
        self.table = GrowingTable()
        self.findings: list[Finding] = []
        self._file, self._folder = file, folder
        self._by_id, self._by_path = Places(), Places()

    def judge(self, index: int, row: object) -> None:
        try:
            fields = fields_of(row)
            image_id = whole_number(fields, "id")
            if self._by_id.find(image_id) is not None:
                raise RowProblem(f"the image id {image_id} stands twice", "give each image its own")
        except RowProblem as problem:
            self.findings.append(problem.at(self._file, f"images[{index}]"))
            return
        image = _Image(short_text(fields.get("file_name") or self._file))
        try:
            self._judge_file(image, fields)
        except RowProblem as problem:
            self.findings.append(problem.at(image.name, f"image {image_id}"))
        if image.path != image.name and composed(image.path or "") == composed(image.name):
            self._note_other_form(short_text(image.name), image_id)
        self._by_id.add(image_id, len(self.table))
        self.table.add_image(image_id, image.name, image.path, image.size)

    def _note_other_form(self, name: str, image_id: int) -> None:
        reason = "the file's own name is the same in another Unicode form (NFC, NFD)"
        mend = "found all the same; other tools may not"
        self.findings.append(Finding("warning", name, f"image {image_id}", reason, mend))

    def place_of(self, fields: Row) -> int:
        """Which image an annotation is of; raises RowProblem."""
        image_id = whole_number(fields, "image_id")
        if (place := self._by_id.find(image_id)) is None:
            raise RowProblem(f"no image has the id {image_id}", "mend image_id or add the image")
        return place

    def _judge_file(self, image: _Image, fields: Row) -> None:
        name = self._folder.find(given := fields.get("file_name"))
        try:
            image.size = image_size(path := self._folder.root / name)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise UnreadableImage(reason, whole_number(fields, "id")) from error
        _compare_size(fields, image.size)
        place = self._by_path.find(digest := hash_of(name))
        if place is None:
            self._by_path.add(digest, len(self.table))
        elif self.table.path(place) == name:
            raise RowProblem("the file is listed twice", "put all its objects under one image id")
        image.name, image.path = str(given), name


class _Objects:
    """Annotations under judgement; each good one goes to the table of its image."""

    def __init__(self, file: str, images: _Images, big_boxes_do: bool) -> None:
        self.findings: list[Finding] = []
        self.num_without_small = 0
        self._big_boxes_do = big_boxes_do
        self.big_boxes = BoxTally()
        self.keys: Set[str] = set()  # of those that tell where an object is
        self._file, self._images, self._table = file, images, images.table
        self._by_id = Places()

    def judge(self, index: int, row: object) -> None:
        name, where = self._file, f"annotations[{index}]"
        try:
            fields = fields_of(row)
            self.keys |= fields.keys() & BOX_KEYS
            self._count(fields)
            object_id = whole_number(fields, "id")
            where = f"annotation {object_id}"
            image = self._images.place_of(fields)
            name = short_text(self._table.names[image])
            if self._by_id.find(object_id) is not None:
                raise RowProblem(f"the annotation id {object_id} stands twice", "give each its own")
            self._by_id.add(object_id, index)
            warnings = self._judge_object(image, object_id, fields)
        except RowProblem as problem:
            self.findings.append(problem.at(name, where))
            return
        self.findings += [Finding("warning", name, where, *warning) for warning in warnings]

    def _judge_object(self, image: int, object_id: int, fields: Row) -> list[tuple[str, str]]:
        """Puts it in the table; returns what was clipped."""
        size = self._table.size(image)
        if self._big_boxes_do and fields.get("small_box") is None:
            boxes = judge_big_box(fields, size)
            self.num_without_small += 1
        else:
            boxes = judge_boxes(fields, size)
        category = 0 if fields.get("category_id") is None else whole_number(fields, "category_id")
        segmentation = fields.get("segmentation") or None  # an empty list says: none
        if segmentation is not None and size is not None:
            judge_segmentation(segmentation, size)
        self._table.add_object(image, object_id, category, boxes, segmentation)
        return boxes.warnings

    def _count(self, fields: Row) -> None:
        """Every big box of four numbers on an image of known size, good or bad."""
        with suppress(RowProblem):  # told when the row is judged
            size = self._table.size(self._images.place_of(fields))
            if size is not None:
                self.big_boxes.add(box_numbers("big_box", fields.get("big_box")), size)


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


def _nothing_usable(file: str, num_rows: int, findings: Sequence[Finding]) -> Finding:
    errors = sum(finding.severity == "error" for finding in findings)
    reason = f"{errors} errors in the rows" if errors else "the file has no annotations"
    mend = "mend the rows" if errors else "draw some with `ringsam annotate`"
    return Finding("error", file, "", f"0 usable objects of {num_rows}: {reason}", mend)
