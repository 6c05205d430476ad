"""Masks for a whole data set, written to files: COCO RLE for programs, PNG for people."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ringsam.config import PromptPolicy
from ringsam.data.dataset import read_two_boxes
from ringsam.data.masks import Mask, encode_mask
from ringsam.data.records import ImageRecord, TwoBoxData, read_pixels
from ringsam.errors import InputError
from ringsam.predict import Prediction, Predictor, load
from ringsam.runs import moved_into_place

Row = dict[str, object]


def predict_files(
    run_or_weights: str | Path,
    images: Path,
    boxes: Path,
    out: Path,
    *,
    prompts: PromptPolicy = "box",
) -> str:
    """Write `masks.json` (COCO with RLE, predicted IoU as `score`) and `png/FILE/ID.png`; says how many.

    All or nothing: `out` is there when the last mask is. Raises InputError for boxes or images that
    cannot be used, and for an `out` that holds anything or cannot be written.
    """
    data = read_two_boxes(boxes, images_in=images)
    predictor = load(run_or_weights)
    predictor.to("cuda" if torch.cuda.is_available() else "cpu")
    refuse_used(out)
    with moved_into_place(out) as folder:
        folder.mkdir()
        rows = write_masks(data, predictor, folder, prompts=prompts)
    with_objects = data.with_objects()
    return (
        f"{len(rows)} masks on {len(with_objects.images)} images in {out} "
        f"({with_objects.num_skipped} images without boxes skipped)"
    )


def refuse_used(out: Path) -> None:
    """Raises InputError where `out` is more than an empty folder, or cannot be moved."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder; give another --out")
    if out.is_mount():
        raise InputError(f"{out}: is a disk of its own; give a new folder in it as --out")


def write_masks(
    data: TwoBoxData, predictor: Predictor, folder: Path, *, prompts: PromptPolicy
) -> list[Row]:
    """Ask for every object's mask and write `masks.json` and `png/`; returns the rows of the former."""
    rows: list[Row] = []
    for record in data.with_objects().images:
        prediction = predictor.predict(
            read_pixels(record),
            record.big_boxes,
            record.small_boxes,
            prompts=prompts,
            object_ids=record.object_ids,
        )
        rows += coco_rows(record, prediction)
        write_pngs(record, prediction, folder / "png")
    content = {
        "images": [
            {"id": r.image_id, "file_name": r.file_name, "width": r.width, "height": r.height}
            for r in data.images
        ],
        "annotations": rows,
        "categories": [{"id": i, "name": name} for i, name in data.categories.items()],
    }
    (folder / "masks.json").write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
    return rows


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
