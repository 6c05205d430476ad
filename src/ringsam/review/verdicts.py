"""The file of a review: COCO of the masks that a person let pass, and the list of those that were rejected."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from ringsam.data.annotations import image_folder, read_annotations
from ringsam.data.masks import decode_mask, mask_fields
from ringsam.data.records import TwoBoxData
from ringsam.errors import InputError
from ringsam.pages.page import Conflict
from ringsam.pages.shared_file import SharedFile
from ringsam.review.proposals import Proposal

Verdict = Literal["accepted", "redrawn", "rejected"]
Content = dict[str, Any]
Row = dict[str, Any]


class VerdictFile:
    """Every verdict is on disk once it is given; one counts only if it was given on what the file holds."""

    def __init__(self, path: Path, data: TwoBoxData) -> None:
        """Raises InputError for a file that no review wrote, and for a place from which `ringsam train` would not find the images."""
        place = image_folder(path.resolve())
        if place.resolve() != data.root.resolve():
            beside = data.root.parent if data.root.name == "images" else data.root
            raise InputError(
                f"{path}: its images would be looked for in {place}, not in {data.root}; "
                f"give --out {beside / path.name}"
            )
        self._data = data
        self._file = SharedFile(path, read=_read, new=self._new)
        self.path = self._file.path

    def rows(self) -> dict[int, Row]:
        """The rows of all objects that were judged, by id."""
        content = self._file.content()
        return {row["id"]: row for row in (*content["annotations"], *content["rejected"])}

    def judge(self, object_id: int, revision: str, row: Row | None) -> None:
        """Write the object's row, or take the verdict back where it is None.

        Raises Conflict where the object was judged elsewhere since `revision`.
        """
        with self._file.alone():
            if revision != revision_of(self.rows().get(object_id)):
                raise Conflict("this object was judged elsewhere since you opened it")
            content = dict(self._file.content())
            for name in ("annotations", "rejected"):
                rows = {each["id"]: each for each in content[name]}
                if row and (row["verdict"] == "rejected") == (name == "rejected"):
                    rows[object_id] = row
                else:
                    rows.pop(object_id, None)
                content[name] = list(rows.values())
            self._file.write(content)

    def _new(self) -> Content:
        images = [
            {"id": i.image_id, "file_name": i.file_name, "width": i.width, "height": i.height}
            for i in self._data.images
        ]
        categories = [{"id": i, "name": name} for i, name in self._data.categories.items()]
        return {"images": images, "annotations": [], "categories": categories, "rejected": []}


def verdict_row(proposal: Proposal, verdict: Verdict) -> Row:
    """What the file says of an object: a whole annotation, ready to train on and to evaluate with."""
    size = proposal.image.height, proposal.image.width
    return {
        "id": proposal.object_id,
        "image_id": proposal.image.image_id,
        "category_id": proposal.category_id,
        "iscrowd": 0,
        "big_box": list(proposal.big_box),
        "small_box": list(proposal.small_box),
        "verdict": verdict,
        **mask_fields(decode_mask(proposal.adapted, size)),
    }


def revision_of(row: Row | None) -> str:
    """Another one for every other verdict, box or mask."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Content:
    content: Content = read_annotations(path).content
    if not isinstance(content.get("rejected"), list):
        raise InputError(f"{path}: was not written by `ringsam review`; give another --out")
    return content
