"""The file of a review: COCO of the masks that a person let pass, and the list of those that were rejected."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from ringsam.data.annotations import image_folder, read_annotations
from ringsam.data.fields import fields_of, short_text, whole_number
from ringsam.data.findings import RowProblem
from ringsam.data.masks import decode_mask, mask_fields
from ringsam.data.records import ImageRecord, TwoBoxData
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
        self._last_id = int(data.images.table.object_ids.max(initial=0))
        self._labels: dict[str, dict[int, Row]] = {
            "images": {i.image_id: _image_row(i) for i in data.images},
            "categories": {i: {"id": i, "name": name} for i, name in data.categories.items()},
        }
        self._file = SharedFile(path, read=self._read, new=self._new)
        self.path = self._file.path

    def rows(self) -> dict[int, Row]:
        """The rows of all objects that were judged, by id."""
        content = self._file.content()
        rows = (*content["annotations"], *content["rejected"])
        return {row["id"]: row for row in rows if "verdict" in row}

    def num_drawn(self) -> int:
        """How many objects were drawn into the file by hand."""
        return sum("verdict" not in row for row in self._file.content()["annotations"])

    def judge(self, proposal: Proposal, revision: str, row: Row | None) -> None:
        """Write the object's row, or take the verdict back where it is None.

        Raises Conflict where the object was judged elsewhere since `revision`.
        """
        object_id = proposal.object_id
        with self._file.alone():
            if revision != revision_of(self.rows().get(object_id)):
                raise Conflict("this object was judged elsewhere since you opened it")
            content = self._with_labels_of(proposal)
            for name in ("annotations", "rejected"):
                rows = {("verdict" in each, each["id"]): each for each in content[name]}
                rows.pop((True, object_id), None)
                if row and (row["verdict"] == "rejected") == (name == "rejected"):
                    rows[True, object_id] = row
                    if drawn := rows.get((False, object_id)):
                        rows[False, object_id] = drawn | {"id": self._free_id(content)}
                content[name] = list(rows.values())
            self._file.write(content)

    def _with_labels_of(self, proposal: Proposal) -> Content:
        """What the file holds, and the object's image and category, which may be newer than the file."""
        content = dict(self._file.content())
        ids = {"images": proposal.image.image_id, "categories": proposal.category_id}
        for name, row_id in ids.items():
            known = self._labels[name].get(row_id)
            if known and all(each["id"] != row_id for each in content[name]):
                content[name] = [*content[name], known]
        return content

    def _free_id(self, content: Content) -> int:
        """Neither in the file nor in the labels."""
        used: list[int] = [row["id"] for n in ("annotations", "rejected") for row in content[n]]
        return max(self._last_id, *used) + 1

    def _new(self) -> Content:
        labels = {name: list(rows.values()) for name, rows in self._labels.items()}
        return labels | {"annotations": [], "rejected": []}

    def _read(self, path: Path) -> Content:
        """Raises InputError for a file that no review wrote, or one of other labels."""
        content = _read(path)
        for name, key in (("images", "file_name"), ("categories", "name")):
            for row in content[name]:
                known = self._labels[name].get(row["id"], row)
                if row.get(key) != known.get(key):
                    names = f"{short_text(row.get(key))} here, {short_text(known.get(key))} in the labels"
                    told = f"{name}: the id {row['id']} is {names}"
                    raise InputError(f"{path}: {told}; give another --out for these labels")
        return content


def _image_row(image: ImageRecord) -> Row:
    name, width, height = image.file_name, image.width, image.height
    return {"id": image.image_id, "file_name": name, "width": width, "height": height}


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
    content.setdefault("categories", [])
    for name in ("images", "categories", "annotations", "rejected"):
        for index, row in enumerate(content[name]):
            try:
                whole_number(fields_of(row), "id")
            except RowProblem as problem:
                raise InputError(str(problem.at(str(path), f"{name}[{index}]"))) from problem
    return content
