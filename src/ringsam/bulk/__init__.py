"""Masks for a whole data set, written to files: COCO RLE for programs, PNG for people.

The work is cut into shards of images. A shard's rows are written when its PNGs are, so an interrupted prediction goes on
where it stopped, and several processes share the shards without a word between them.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from ringsam.bulk.files import Row, coco_rows, write_pngs, write_rows
from ringsam.bulk.work import Work, ranks
from ringsam.config import PromptPolicy
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import ImageRecord, read_pixels
from ringsam.errors import InputError
from ringsam.predict import Predictor, load
from ringsam.runs import write_atomically

SHARD = 32  # images, at most


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
        write = partial(write_rows, data, path=work.result / "masks.json")
        num_masks = work.finish(write)
    if num_masks is None:
        return (
            f"rank {rank} of {num_ranks} has done its shards; the last rank to finish writes {out}"
        )
    return (
        f"{num_masks} masks on {len(records)} images in {out} "
        f"({with_objects.num_skipped} images without boxes skipped)"
    )


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
