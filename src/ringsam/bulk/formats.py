"""Masks as pictures and outlines, for the tools that take no COCO: one file an image, named by its path in the data set."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from PIL import Image

from ringsam.bulk.coco import Row
from ringsam.bulk.outlines import outline, tied_together
from ringsam.config import MaskFormat
from ringsam.data.fields import short_text
from ringsam.data.masks import Mask, decode_mask
from ringsam.data.records import ImageRecord, TwoBoxData
from ringsam.errors import InputError

LABEL_MAP_OBJECTS = 2**16 - 1  # what 16 bits can tell apart beside 0, the background


@dataclass(frozen=True)
class Classes:
    """The categories' names, and their numbers from 0 on as YOLO counts them."""

    names: dict[int, str]  # by category id, in order

    @classmethod
    def of(cls, data: TwoBoxData) -> "Classes":
        """Those that the file names and those that its objects have."""
        ids = set(data.categories) | set(data.images.category_ids.tolist())
        return cls({i: data.categories.get(i, str(i)) for i in sorted(ids)})

    def number(self, category_id: int) -> int:
        return list(self.names).index(category_id)

    def write_yaml(self, folder: Path) -> None:
        """`data.yaml` as YOLO names its classes."""
        folder.mkdir(parents=True, exist_ok=True)
        names = dict(enumerate(self.names.values()))
        text = yaml.safe_dump({"names": names}, sort_keys=False, allow_unicode=True)
        (folder / "data.yaml").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Found:
    """The objects of one image: their COCO rows, and the classes of the data set."""

    record: ImageRecord
    rows: Sequence[Row]
    classes: Classes

    def mask(self, row: Row) -> Mask:
        """(height, width); read from the row, for an image's masks may not fit in memory together."""
        return decode_mask(row["segmentation"], (self.record.height, self.record.width))


def write_pngs(found: Found, folder: Path) -> None:
    """One black and white PNG an object, in a folder named like the image."""
    place = folder / found.record.file_name
    place.mkdir(parents=True, exist_ok=True)
    for row in found.rows:
        Image.fromarray(found.mask(row)).save(place / f"{row['id']}.png")


def write_label_map(found: Found, folder: Path) -> None:
    """A 16-bit PNG of object numbers, 1 for the first, and a JSON that tells whose they are.

    Where masks overlap, the object of higher confidence is seen.
    """
    record, rows = found.record, found.rows
    numbers = np.zeros((record.height, record.width), dtype=np.uint16)
    for index in sorted(range(len(rows)), key=lambda i: (_confidence(rows[i]), -i)):
        numbers[found.mask(rows[index])] = index + 1
    image = _place(folder, f"{record.file_name}.png")
    Image.fromarray(numbers).save(image)
    table = [{"number": i, **_told(row, found)} for i, row in enumerate(rows, start=1)]
    image.with_suffix(".json").write_text(json.dumps(table, indent=1), encoding="utf-8")


def write_yolo(found: Found, folder: Path) -> None:
    """`labels/` as YOLO trains on, one polygon a line; `scores/`, line by line, the object's id and its confidence."""
    sides = (found.record.width, found.record.height)
    labels, scores = [], []
    for row, polygons in _outlined(found):
        corners = (tied_together(polygons) / sides).ravel()
        number = found.classes.number(row["category_id"])
        labels.append(" ".join([str(number), *(f"{value:.6f}" for value in corners)]))
        scores.append(f"{row['id']} {_confidence(row):.6f}")
    for name, lines in (("labels", labels), ("scores", scores)):
        text = "".join(f"{line}\n" for line in lines)
        _place(folder / name, yolo_name(found.record.file_name)).write_text(text, encoding="utf-8")


def write_geojson(found: Found, folder: Path) -> None:
    """Polygons with holes in pixels of the image; classified as QuPath reads it."""
    features = [
        {
            "type": "Feature",
            "id": row["id"],
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[_closed(ring) for ring in polygon] for polygon in polygons],
            },
            "properties": {
                "objectType": "annotation",
                "classification": {"name": found.classes.names[row["category_id"]]},
                **_told(row, found),
            },
        }
        for row, polygons in _outlined(found)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    _place(folder, f"{found.record.file_name}.geojson").write_text(text, encoding="utf-8")


WRITERS: dict[MaskFormat, Callable[[Found, Path], None]] = {
    "png": write_pngs,
    "labels": write_label_map,
    "yolo": write_yolo,
    "geojson": write_geojson,
}


def refuse_unwritable(data: TwoBoxData, formats: Sequence[MaskFormat]) -> None:
    """Raises InputError where a format has no place for what the data holds."""
    num_objects = data.images.num_objects
    if "labels" in formats and (most := num_objects.max(initial=0)) > LABEL_MAP_OBJECTS:
        name = short_text(data.images[int(num_objects.argmax())].file_name)
        raise InputError(
            f"{name}: {most} objects, but a label map numbers {LABEL_MAP_OBJECTS}; "
            "leave `labels` out of --format"
        )
    names = list(data.images.file_names()) if "yolo" in formats else []
    counts = Counter(map(yolo_name, names))
    if twice := [short_text(name) for name in names if counts[yolo_name(name)] > 1]:
        raise InputError(
            f"{data.source}: {len(twice)} images differ in their ending alone, which YOLO's labels leave out; "
            "rename them, or leave `yolo` out of --format:",
            twice,
        )


def yolo_name(file_name: str) -> str:
    return str(PurePosixPath(file_name).with_suffix(".txt"))


def _outlined(found: Found) -> list[tuple[Row, list[Any]]]:
    """The objects that have an outline: those whose masks hold anything."""
    pairs = [(row, outline(found.mask(row))) for row in found.rows]
    return [(row, polygons) for row, polygons in pairs if polygons]


def _told(row: Row, found: Found) -> Row:
    category = found.classes.names[row["category_id"]]
    return {"object_id": row["id"], "category": category, "score": row["score"]}


def _confidence(row: Row) -> float:
    """The score; 0 where SAM gave no number."""
    return 0.0 if row["score"] is None else row["score"]


def _closed(ring: npt.NDArray[np.int64]) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
