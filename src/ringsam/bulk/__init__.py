"""Masks for a whole data set, written to files in the formats of many tools.

The work is cut into shards of images. A shard's rows are written when its other files are, so an interrupted prediction goes on
where it stopped, and several processes share the shards without a word between them.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from ringsam.bulk.coco import Row, coco_rows, read_rows, write_coco
from ringsam.bulk.formats import WRITERS, Classes, Found, refuse_unwritable
from ringsam.bulk.work import Work, ranks
from ringsam.config import MaskFormat, PromptPolicy, Refinement
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import ImageRecord, TwoBoxData, read_pixels
from ringsam.digests import sha256
from ringsam.errors import InputError
from ringsam.files import write_atomically
from ringsam.predict import Predictor, load

SHARD = 32  # images, at most


def predict_files(
    run_or_weights: str | Path,
    images: Path,
    boxes: Path,
    out: Path,
    *,
    prompts: PromptPolicy = "box",
    refine: Refinement = "none",
    formats: Sequence[MaskFormat] = ("coco", "png"),
    shard_size: int = SHARD,
) -> str:
    """Write `masks.json` for coco (predicted IoU as `score`), a folder for every other format; says how many.

    `out` is there when the last mask is; until then finished shards lie in a hidden folder beside it, and the same
    command goes on from them. Raises InputError for boxes or images that cannot be used, and for an `out` that holds
    anything or cannot be written.
    """
    big_boxes_do = prompts == "box" and refine != "both_boxes"
    data = read_two_boxes(boxes, images_in=images, big_boxes_do=big_boxes_do)
    refuse_unwritable(data, formats)
    predictor = load(run_or_weights)
    predictor.to(_device())
    with_objects = data.with_objects()
    records, classes = with_objects.images, Classes.of(data)
    shards = [records[i : i + shard_size] for i in range(0, len(records), shard_size)]
    job = _digest(predictor, data.source, images, prompts, refine, str(shard_size), *formats)
    rank, num_ranks = ranks()
    work = Work(out.resolve(), job, len(shards))
    has_none = rank >= max(len(shards), 1)  # and may come when the others are done
    if not (work.is_in_place or has_none):
        _refuse_used(out)
    with _disk_errors_as_input_errors(out):
        if not has_none:
            work.begin()
        for number in range(rank, len(shards), num_ranks):
            if not work.part(number).exists():
                found = ask_for_masks(
                    shards[number], predictor, classes, prompts=prompts, refine=refine
                )
                rows = write_shard(found, work.result, formats)
                write_atomically(work.part(number), json.dumps(rows, allow_nan=False))
        put_together = partial(_put_together, data, folder=work.result, formats=formats)
        counts = None if has_none else work.finish(put_together)
    if counts is None:
        return (
            f"rank {rank} of {num_ranks} has done its shards; the last rank to finish writes {out}"
        )
    return (
        f"{counts.masks} masks on {len(records)} images in {out} "
        f"({with_objects.num_skipped} images without boxes skipped, {counts.empty} masks empty)"
    )


def ask_for_masks(
    records: Sequence[ImageRecord],
    predictor: Predictor,
    classes: Classes,
    *,
    prompts: PromptPolicy,
    refine: Refinement,
) -> Iterator[Found]:
    """The masks of every object, image by image."""
    for record in records:
        parts = predictor.predict_in_parts(
            read_pixels(record),
            record.big_boxes,
            record.small_boxes,
            prompts=prompts,
            refine=refine,
            object_ids=record.object_ids,
        )
        yield Found(record, coco_rows(record, parts), classes)


def write_shard(found: Iterable[Found], folder: Path, formats: Sequence[MaskFormat]) -> list[Row]:
    """Write each image's files; returns the rows that make `masks.json`."""
    rows: list[Row] = []
    for image in found:
        for name, write in WRITERS.items():
            if name in formats:
                write(image, folder / name)
        rows += image.rows
    return rows


class Counts(NamedTuple):
    masks: int
    empty: int  # of them, without a pixel


def _put_together(
    data: TwoBoxData, parts: Sequence[Path], folder: Path, formats: Sequence[MaskFormat]
) -> Counts:
    """Write what is of the whole data set."""
    if "coco" in formats:
        write_coco(data, parts, folder / "masks.json")
    if "yolo" in formats:
        Classes.of(data).write_yaml(folder / "yolo")
    areas = [row["area"] for row in read_rows(parts)]
    return Counts(len(areas), areas.count(0))


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


def _digest(predictor: Predictor, labels: Path, images: Path, *settings: str) -> str:
    """Tells this job from every other: weights, boxes, where the images lie, how SAM is asked."""
    about = (predictor.sam.digest(), str(predictor.preprocess), str(predictor.num_points))
    named = (*about, str(images.resolve()), *settings)
    digest = hashlib.blake2b("\n".join(named).encode(), digest_size=8)
    digest.update(sha256(labels).encode())
    return digest.hexdigest()


@contextmanager
def _disk_errors_as_input_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        mend = "make room, or give another --out; what is finished is kept for the same command"
        raise InputError(f"{out}: cannot be written: {error.strerror or error}; {mend}") from error
