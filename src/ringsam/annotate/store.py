"""The annotation file under several hands: a change counts only if it was made on what the file holds."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ringsam.annotate.content import (
    Content,
    DrawnObject,
    Proposed,
    Row,
    image_row,
    new_content,
    proposed_boxes,
    read_content,
    same_name,
    with_class,
    with_image,
    with_objects,
)
from ringsam.data.boxes import judge_boxes
from ringsam.data.fields import Size
from ringsam.data.findings import RowProblem
from ringsam.data.images import image_size
from ringsam.errors import InputError
from ringsam.pages.page import Conflict
from ringsam.pages.pictures import Picture
from ringsam.pages.shared_file import SharedFile


@dataclass(frozen=True)
class DrawnImage:
    """An image's objects, and the revision that a change of them has to name."""

    name: str
    width: int
    height: int
    seen: bool  # it stands in the file, be it without objects
    revision: str
    objects: list[DrawnObject]


@dataclass(frozen=True)
class Progress:
    """How far an image is."""

    key: str
    name: str
    seen: bool
    num_objects: int
    num_problems: int


class BoxFile:
    """A COCO file with two boxes per object; whatever else it holds stays as it is."""

    def __init__(self, path: Path) -> None:
        """A file that is not there is made by the first save. Raises InputError for one that cannot be edited."""
        self._file = SharedFile(path, read=read_content, new=new_content)
        self.path, self.recovered = self._file.path, self._file.recovered
        # By id: an undo brings them back, with all their fields and marks
        self._removed: dict[int, Row] = {}
        self._proposed: dict[int, Proposed] = {}

    def content(self) -> Content:
        """What the file holds now, whoever wrote it."""
        return self._file.content()

    def classes(self) -> list[Row]:
        """Id and name of each class."""
        rows = self.content()["categories"]
        return [{"id": row["id"], "name": str(row.get("name", row["id"]))} for row in rows]

    def add_class(self, name: str) -> list[Row]:
        """All classes, one of them `name`."""
        with self._file.alone():
            self._file.write(with_class(self.content(), name))
            return self.classes()

    def progress(self, pictures: Sequence[Picture]) -> list[Progress]:
        """Of each image; problems are those that the boxes alone tell."""
        content = self.content()
        ids = {same_name(row["file_name"]): row["id"] for row in content["images"]}
        problems = defaultdict(list)
        for row in content["annotations"]:
            problems[row["image_id"]].append(len(_problems(row, None)))
        found = []
        for picture in pictures:
            image_id = ids.get(same_name(picture.name))
            counts = problems[image_id] if image_id is not None else []
            seen = image_id is not None
            found.append(Progress(picture.key, picture.name, seen, len(counts), sum(counts)))
        return found

    def image(self, picture: Picture) -> DrawnImage:
        """Raises InputError where the image cannot be read, or is not of the size that the file states."""
        return self._drawn(picture, self._rows(picture))

    def save(self, picture: Picture, revision: str, drawn: Sequence[DrawnObject]) -> DrawnImage:
        """Write the image's objects in place of those of `revision`; raises Conflict where they changed since.

        The result has them in the order given, with their ids.
        """
        with self._file.alone():
            now = self.image(picture)
            if revision != now.revision:
                raise Conflict("this image was changed elsewhere since you opened it")
            old = self._rows(picture)
            content, image_id = with_image(self.content(), picture.name, (now.height, now.width))
            for row in old:
                self._proposed[row["id"]] = self._proposed.get(row["id"], {}) | proposed_boxes(row)
            content, rows = with_objects(
                content, image_id, drawn, removed=self._removed, proposed=self._proposed
            )
            self._file.write(content)
            kept = {row["id"] for row in rows}
            self._removed |= {row["id"]: row for row in old if row["id"] not in kept}
            return self._drawn(picture, rows)

    def _rows(self, picture: Picture) -> list[Row]:
        content = self.content()
        image = image_row(content, picture.name)
        rows = content["annotations"] if image else []
        return [row for row in rows if image and row["image_id"] == image["id"]]

    def _drawn(self, picture: Picture, rows: Sequence[Row]) -> DrawnImage:
        image = image_row(self.content(), picture.name)
        height, width = size = image_size(picture.path)
        stated = (image.get("height"), image.get("width")) if image else (None, None)
        if stated not in ((None, None), size):
            raise InputError(
                f"{picture.name}: is {width} x {height} pixels, {self.path.name} says "
                f"{stated[1]} x {stated[0]}; put the right image back, or mend the size"
            )
        told = json.dumps([image, self._rows(picture)], sort_keys=True)
        revision = hashlib.sha256(told.encode()).hexdigest()[:16]
        objects = [_judged(row, size) for row in rows]
        return DrawnImage(picture.name, width, height, image is not None, revision, objects)


def _judged(row: Row, size: Size) -> DrawnObject:
    return DrawnObject(
        id=row["id"],
        category_id=row.get("category_id"),
        big_box=row.get("big_box"),
        small_box=row.get("small_box"),
        problems=_problems(row, size),
    )


def _problems(row: Row, size: Size | None) -> tuple[str, ...]:
    try:
        return tuple(f"{reason}; {mend}" for reason, mend in judge_boxes(row, size).warnings)
    except RowProblem as problem:
        return (f"{problem}; {problem.mend}",)
