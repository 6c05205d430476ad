"""Masks for a whole data set, written to files: COCO RLE for programs, PNG for people.

The work is cut into shards of images. A shard's rows are written when its PNGs are, so an interrupted prediction goes on
where it stopped, and several processes share the shards without a word between them.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from PIL import Image

from ringsam.config import PromptPolicy
from ringsam.data.dataset import read_two_boxes
from ringsam.data.masks import Mask, encode_mask
from ringsam.data.records import ImageRecord, TwoBoxData, read_pixels
from ringsam.errors import InputError
from ringsam.predict import Prediction, Predictor, load
from ringsam.runs import write_atomically

Row = dict[str, object]

SHARD = 32  # images, at most


class Ranks(NamedTuple):
    """Which of how many processes this one is."""

    rank: int
    num_ranks: int


def predict_files(
    run_or_weights: str | Path,
    images: Path,
    boxes: Path,
    out: Path,
    *,
    prompts: PromptPolicy = "box",
    shard_size: int = SHARD,
) -> str:
    """Write `masks.json` (COCO with RLE, predicted IoU as `score`) and `png/FILE/ID.png`; says how many.

    `out` is there when the last mask is; until then finished shards lie in a hidden folder beside it, and the same
    command goes on from them. Raises InputError for boxes or images that cannot be used, and for an `out` that holds
    anything or cannot be written.
    """
    data = read_two_boxes(boxes, images_in=images)
    predictor = load(run_or_weights)
    predictor.to(_device())
    _refuse_used(out)
    with_objects = data.with_objects()
    records = with_objects.images
    shards = [records[i : i + shard_size] for i in range(0, len(records), shard_size)]
    job = _digest(predictor, boxes, images, prompts, str(shard_size))
    rank, num_ranks = ranks()
    with _disk_errors_as_input_errors(out):
        work = Work(out.resolve(), job, len(shards))
        for number in range(rank, len(shards), num_ranks):
            if not work.part(number).exists():
                rows = predict_shard(shards[number], predictor, work.png, prompts=prompts)
                write_atomically(work.part(number), json.dumps(rows, allow_nan=False))
        num_masks = work.finish(data)
    if num_masks is None:
        return (
            f"rank {rank} of {num_ranks} has done its shards; the last rank to finish writes {out}"
        )
    return (
        f"{num_masks} masks on {len(records)} images in {out} "
        f"({with_objects.num_skipped} images without boxes skipped)"
    )


def ranks() -> Ranks:
    """As torchrun tells it; one of one where it does not."""
    return Ranks(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


class Work:
    """A hidden folder beside the place that it becomes: what is finished of one job, and whose it is."""

    def __init__(self, place: Path, job: str, num_shards: int) -> None:
        self.place = place
        self.num_shards = num_shards
        self.folder = place.with_name(f".{place.name}.{job}.unfinished")
        self.result = self.folder / "result"
        self.png = self.result / "png"
        self.png.mkdir(parents=True, exist_ok=True)

    def part(self, number: int) -> Path:
        """The rows of a shard; there when all of it is done."""
        return self.folder / f"{number:06d}.json"

    def finish(self, data: TwoBoxData) -> int | None:
        """Put the result in its place once every shard is done, by whoever sees it first; how many masks, or None."""
        lock = FileLock(self.place.with_name(f".{self.place.name}.lock"))
        with lock:
            parts = [self.part(number) for number in range(self.num_shards)]
            if not all(part.exists() for part in parts):
                return None
            num_masks = write_rows(data, parts, self.result / "masks.json")
            if self.place.exists():
                self.place.rmdir()
            self.result.rename(self.place)
            for stale in self.place.parent.glob(f".{self.place.name}.*.unfinished"):
                shutil.rmtree(stale)
        Path(lock.lock_file).unlink(missing_ok=True)
        return num_masks


def predict_shard(
    records: Sequence[ImageRecord], predictor: Predictor, png: Path, *, prompts: PromptPolicy
) -> list[Row]:
    """Ask for the masks of every object on these images; writes the PNGs, returns the rows."""
    rows: list[Row] = []
    for record in records:
        prediction = predictor.predict(
            read_pixels(record),
            record.big_boxes,
            record.small_boxes,
            prompts=prompts,
            object_ids=record.object_ids,
        )
        rows += coco_rows(record, prediction)
        write_pngs(record, prediction, png)
    return rows


def write_rows(data: TwoBoxData, parts: Sequence[Path], path: Path) -> int:
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


def _refuse_used(out: Path) -> None:
    """Raises InputError where `out` is more than an empty folder, or cannot be moved."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder; give another --out")
    if out.is_mount():
        raise InputError(f"{out}: is a disk of its own; give a new folder in it as --out")


def _device() -> str:
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"


def _digest(predictor: Predictor, boxes: Path, images: Path, *settings: str) -> str:
    """Tells this job from every other: weights, boxes, where the images lie, prompts."""
    about = (predictor.sam.digest(), str(predictor.preprocess), str(predictor.num_points))
    named = (*about, str(images.resolve()), *settings)
    digest = hashlib.blake2b("\n".join(named).encode(), digest_size=8)
    digest.update(Path(boxes).read_bytes() if boxes.is_file() else b"")
    return digest.hexdigest()


@contextmanager
def _disk_errors_as_input_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        mend = "make room, or give another --out; what is finished is kept for the same command"
        raise InputError(f"{out}: cannot be written: {error.strerror or error}; {mend}") from error


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
