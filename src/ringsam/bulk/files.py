"""The files of a prediction: COCO JSON with run lengths, and a PNG an object."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ringsam.data.masks import Mask, encode_mask
from ringsam.data.records import ImageRecord, TwoBoxData
from ringsam.predict import Prediction

Row = dict[str, object]


def write_rows(data: TwoBoxData, parts: Sequence[Path], *, path: Path) -> int:
    """COCO JSON of all parts, one after the other, so that a large set needs no more memory; how many rows."""
    unfinished, num_rows = path.with_name(f".{path.name}"), 0
    with unfinished.open("w", encoding="utf-8") as file:
        file.write('{"images": ')
        json.dump([_image_row(record) for record in data.images], file)
        file.write(', "categories": ')
        json.dump([{"id": i, "name": name} for i, name in data.categories.items()], file)
        file.write(', "annotations": [')
        for part in parts:
            for row in json.loads(part.read_text(encoding="utf-8")):
                file.write(("," if num_rows else "") + "\n" + json.dumps(row))
                num_rows += 1
        file.write("\n]}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    return num_rows


def _image_row(record: ImageRecord) -> Row:
    name, height, width = record.file_name, record.height, record.width
    return {"id": record.image_id, "file_name": name, "width": width, "height": height}


def coco_rows(record: ImageRecord, prediction: Prediction) -> list[Row]:
    """One COCO annotation an object, with the mask as compressed RLE; a figure that is not finite is null."""
    return [
        {
            "id": int(record.object_ids[i]),
            "image_id": record.image_id,
            "category_id": int(record.category_ids[i]),
            "iscrowd": 0,
            "score": _finite(float(prediction.iou[i])),
            "entropy": _finite(float(prediction.entropy[i])),
            **_mask_fields(prediction.masks[i].numpy()),
        }
        for i in range(record.num_objects)
    ]


def write_pngs(record: ImageRecord, prediction: Prediction, folder: Path) -> None:
    """One black and white PNG an object, in a folder named like the image."""
    place = folder / record.file_name
    place.mkdir(parents=True, exist_ok=True)
    for object_id, mask in zip(record.object_ids, prediction.masks.numpy(), strict=True):
        Image.fromarray(mask).save(place / f"{object_id}.png")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mask_fields(mask: Mask) -> Row:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, right = (columns[0], columns[-1] + 1) if len(columns) else (0, 0)
    top, bottom = (rows[0], rows[-1] + 1) if len(rows) else (0, 0)
    return {
        "segmentation": encode_mask(mask),
        "bbox": [int(side) for side in (left, top, right - left, bottom - top)],
        "area": int(mask.sum()),
    }
