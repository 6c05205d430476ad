"""The one reader: COCO JSON with `big_box` and `small_box` per annotation becomes samples."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import Dataset

from ringsam.batch import Sample
from ringsam.data.annotations import find_annotations, image_folder
from ringsam.data.colour_model import colour_masks
from ringsam.data.colours import Pixels
from ringsam.data.findings import finding_lines
from ringsam.data.index import read_index, write_index
from ringsam.data.masks import Rle, decode_mask, encode_mask
from ringsam.data.records import ImageRecord, TwoBoxData, decode_masks, read_pixels
from ringsam.data.rows import examine
from ringsam.errors import InputError
from ringsam.geometry import Frame

__all__ = [
    "ImageRecord",
    "TwoBoxData",
    "TwoBoxDataset",
    "decode_masks",
    "find_annotations",
    "read_two_boxes",
]


def read_two_boxes(
    data: Path,
    *,
    images_in: Path | None = None,
    without: Collection[int] = (),
    big_boxes_do: bool = False,
) -> TwoBoxData:
    """All images of `data`, a folder with its JSON or the JSON itself; only headers are read, of a large set once.

    The images lie in `images_in`, or where the annotations are; those whose ids are in `without` are left out. With `big_boxes_do` an object
    may have no small box, and its record has the big one in that place. Raises InputError with every bad row: its text is cut to a readable length, its `rows` are all.
    """
    source = find_annotations(data)
    known = read_index(source, images_in or image_folder(source))
    if known is not None:
        return known.without(without)
    examined = examine(source, images_in=images_in, big_boxes_do=big_boxes_do)
    bad = [finding for finding in examined.findings if finding.severity == "error"]
    errors = [found for found in bad if found.unreadable not in without]
    if errors:
        message = f"{examined.source}: {len(errors)} errors in the data"
        refusal = InputError(message, finding_lines(errors))
        refusal.rows = [str(finding) for finding in errors]
        raise refusal
    usable = examined.usable()
    whole = not (bad or examined.num_without_small)
    return (write_index(usable) if whole else usable).without(without)


@runtime_checkable
class Preprocess(Protocol):
    """What brings an image and its masks into the model's input frame."""

    def image(self, pixels: npt.NDArray[np.uint8]) -> tuple[Float[Tensor, "3 s s"], Frame]: ...

    def masks(self, masks: Bool[Tensor, "n h w"], frame: Frame) -> Bool[Tensor, "n s s"]: ...


class TwoBoxDataset(Dataset[Sample]):
    """One sample an image, 0..n objects; masks only where asked for and there, a colour model's and a key where asked for."""

    def __init__(
        self,
        records: Sequence[ImageRecord],
        preprocess: Preprocess,
        *,
        with_masks: bool,
        with_colours: bool = False,
        with_keys: bool = False,
    ) -> None:
        self.records = records
        self.preprocess = preprocess
        self.with_masks = with_masks
        self.with_colours = with_colours
        self.with_keys = with_keys
        # By index, both readings of each object: fitted once
        self._colours: dict[int, list[Rle]] = {}

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Raises InputError where the image is corrupt or no longer the one that was checked."""
        record = self.records[index]
        pixels = read_pixels(record)
        image, frame = self.preprocess.image(pixels)
        masks = decode_masks(record) if self.with_masks else None
        return Sample(
            image=image,
            frame=frame,
            big_boxes=frame.boxes_to_input(torch.from_numpy(record.big_boxes)),
            small_boxes=frame.boxes_to_input(torch.from_numpy(record.small_boxes)),
            object_ids=torch.from_numpy(record.object_ids),
            gt_masks=None if masks is None else self.preprocess.masks(masks, frame),
            colour_masks=self._colour_masks(index, pixels, frame) if self.with_colours else None,
            image_key=_content_key(image) if self.with_keys else None,
        )

    def _colour_masks(self, index: int, pixels: Pixels, frame: Frame) -> Bool[Tensor, "n k s s"]:
        if index not in self._colours:
            record = self.records[index]
            pairs = zip(record.big_boxes, record.small_boxes, strict=True)
            readings = (mask for pair in pairs for mask in colour_masks(pixels, *pair))
            self._colours[index] = [encode_mask(mask) for mask in readings]
        masks = [decode_mask(rle, pixels.shape[:2]) for rle in self._colours[index]]
        found = np.stack(masks) if masks else np.zeros((0, *pixels.shape[:2]), dtype=np.bool_)
        brought = self.preprocess.masks(torch.from_numpy(found), frame)
        return brought.reshape(len(masks) // 2, 2, *brought.shape[1:])


def _content_key(image: Float[Tensor, "3 s s"]) -> str:
    """The same for the same numbers in the input frame, for no others."""
    return hashlib.blake2b(image.contiguous().numpy().data, digest_size=16).hexdigest()
