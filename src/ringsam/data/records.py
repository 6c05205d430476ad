"""Images with two boxes per object, judged and ready to use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool
from torch import Tensor

from ringsam.data.colours import Pixels
from ringsam.data.findings import Finding, RowProblem
from ringsam.data.images import read_image
from ringsam.data.masks import decode_mask
from ringsam.draws import Draws
from ringsam.errors import InputError


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image and its n objects; boxes are xyxy pixels of the image as displayed, inside it.

    Arrays, not tensors: thousands of them pass to loader processes without a file handle each.
    """

    image_id: int
    file_name: str
    path: Path
    height: int
    width: int
    big_boxes: npt.NDArray[np.float32]  # (n, 4)
    small_boxes: npt.NDArray[np.float32]  # (n, 4)
    object_ids: npt.NDArray[np.int64]  # (n,) unique in the file
    category_ids: npt.NDArray[np.int64]  # (n,) 0 where the file gives none
    segmentations: tuple[object, ...]  # (n,) as in the file, None where there is none

    @property
    def num_objects(self) -> int:
        return len(self.object_ids)

    @property
    def has_masks(self) -> bool:
        """Whether it has objects and each has a segmentation."""
        return self.num_objects > 0 and None not in self.segmentations


@dataclass(frozen=True, eq=False)
class TwoBoxData:
    """All images of an annotation file; `warnings`, `num_skipped` tell what was clipped or left."""

    root: Path
    source: Path
    images: tuple[ImageRecord, ...]
    categories: Mapping[int, str]
    warnings: tuple[Finding, ...] = ()
    num_skipped: int = 0

    @property
    def num_objects(self) -> int:
        return sum(record.num_objects for record in self.images)

    @property
    def has_masks(self) -> bool:
        """Whether every image with objects has the masks of all of them."""
        return all(record.has_masks for record in self.images if record.num_objects)

    def with_objects(self) -> "TwoBoxData":
        """The images that have objects; the others are counted in `num_skipped`."""
        kept = tuple(record for record in self.images if record.num_objects)
        skipped = self.num_skipped + len(self.images) - len(kept)
        return replace(self, images=kept, num_skipped=skipped)

    def hold_out(self, share: float, seed: int) -> tuple["TwoBoxData", "TwoBoxData"]:
        """Those to learn from, and the share held out: one image at least, and never the last; none where it is 0."""
        most = len(self.images) - 1
        num = min(max(round(share * len(self.images)), 1), most) if share else 0
        ids = torch.tensor([record.image_id for record in self.images], dtype=torch.long)
        order = Draws(seed, 0).uniform(ids, 1, "held out")[:, 0].argsort(stable=True).tolist()
        chosen = set(order[:num])
        parts = (
            tuple(record for i, record in enumerate(self.images) if (i in chosen) == held)
            for held in (False, True)
        )
        learn, held = (replace(self, images=part) for part in parts)
        return learn, held


def read_pixels(record: ImageRecord) -> Pixels:
    """The image's pixels; raises InputError if they are not of the size for which the boxes were judged."""
    pixels = read_image(record.path)
    if pixels.shape[:2] != (record.height, record.width):
        now = f"is {pixels.shape[1]} x {pixels.shape[0]} now, was {record.width} x {record.height}"
        raise InputError(
            f"{record.path}: changed while it was used: {now} when the data was read; put the old file back"
        )
    return pixels


def decode_masks(record: ImageRecord) -> Bool[Tensor, "n h w"] | None:
    """The objects' masks in the image frame, None unless each has one.

    Raises InputError for one that cannot be decoded.
    """
    if not record.has_masks:
        return None
    masks = np.empty((record.num_objects, record.height, record.width), dtype=np.bool_)
    for index, segmentation in enumerate(record.segmentations):
        try:
            masks[index] = decode_mask(segmentation, (record.height, record.width))
        except RowProblem as problem:
            where = f"annotation {record.object_ids[index]}"
            raise InputError(
                f"{record.path}: {where}: {problem.reason}; {problem.mend}"
            ) from problem
    return torch.from_numpy(masks)
