"""COCO JSON with run lengths: the rows of each image, and the file that they become."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ringsam.data.masks import mask_fields
from ringsam.data.records import ImageRecord, TwoBoxData
from ringsam.files import replaced
from ringsam.predict import Prediction

Row = dict[str, Any]


def write_coco(data: TwoBoxData, parts: Sequence[Path], path: Path) -> None:
    """COCO JSON of all parts, one after the other, so that a large set needs no more memory."""
    with replaced(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write('{"images": [')
        for number, record in enumerate(data.images):
            file.write(("," if number else "") + "\n" + json.dumps(_image_row(record)))
        file.write('], "categories": ')
        json.dump([{"id": i, "name": name} for i, name in data.categories.items()], file)
        file.write(', "annotations": [')
        for number, row in enumerate(read_rows(parts)):
            file.write(("," if number else "") + "\n" + json.dumps(row))
        file.write("\n]}\n")
        file.flush()
        os.fsync(file.fileno())


def read_rows(parts: Sequence[Path]) -> Iterator[Row]:
    """Every row of the parts, in order."""
    for part in parts:
        yield from json.loads(part.read_text(encoding="utf-8"))


def _image_row(record: ImageRecord) -> Row:
    name, height, width = record.file_name, record.height, record.width
    return {"id": record.image_id, "file_name": name, "width": width, "height": height}


def coco_rows(record: ImageRecord, parts: Iterable[Prediction]) -> list[Row]:
    """One COCO annotation an object, with the mask as compressed RLE; a figure that is not finite is null.

    Of the image's masks, only a part's is in memory.
    """
    found = (one for part in parts for one in zip(*part, strict=True))
    objects = zip(record.object_ids, record.category_ids, found, strict=True)
    return [
        {
            "id": int(object_id),
            "image_id": record.image_id,
            "category_id": int(category_id),
            "iscrowd": 0,
            "score": _finite(float(score)),
            "entropy": _finite(float(entropy)),
            **mask_fields(mask.numpy()),
        }
        for object_id, category_id, (mask, score, entropy) in objects
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
