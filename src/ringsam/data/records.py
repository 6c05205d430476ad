"""Images with two boxes per object, judged and ready to use."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool
from torch import Tensor

from ringsam.data.colours import Pixels
from ringsam.data.findings import Finding, RowProblem
from ringsam.data.images import read_image
from ringsam.data.masks import decode_mask
from ringsam.data.table import ImageTable, Texts
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

    def choose(self, places: Sequence[int]) -> "ImageRecord":
        """The image with these of its objects only."""
        index = np.asarray(places, dtype=np.int64)
        return replace(
            self,
            big_boxes=self.big_boxes[index],
            small_boxes=self.small_boxes[index],
            object_ids=self.object_ids[index],
            category_ids=self.category_ids[index],
            segmentations=tuple(self.segmentations[place] for place in places),
        )


class ImageRecords(Sequence[ImageRecord]):
    """Images of a table, some or all; a record is made when it is asked for."""

    def __init__(self, table: ImageTable, root: Path, chosen: npt.NDArray[np.int64]) -> None:
        self.table, self.root, self.chosen = table, root, chosen
        self._names = Texts(table.names, table.name_ends)
        self._paths = Texts(table.paths, table.path_ends)

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, index: slice) -> "ImageRecords": ...
    def __getitem__(self, index: int | slice) -> "ImageRecord | ImageRecords":
        if isinstance(index, slice):
            return self.choose(index)
        place, table = int(self.chosen[index]), self.table
        rows, name = table.objects(place), self._names[place]
        height, width = table.sizes[place].tolist()
        return ImageRecord(
            image_id=int(table.image_ids[place]),
            file_name=name,
            path=self.root / (self._paths[place] or name),
            height=height,
            width=width,
            big_boxes=np.array(table.boxes[rows, 0]),
            small_boxes=np.array(table.boxes[rows, 1]),
            object_ids=np.array(table.object_ids[rows]),
            category_ids=np.array(table.category_ids[rows]),
            segmentations=tuple(table.segmentation(row) for row in range(rows.start, rows.stop)),
        )

    def file_names(self) -> Iterator[str]:
        """The name of each image, without the rest of its record."""
        return (self._names[place] for place in self.chosen)

    @property
    def image_ids(self) -> npt.NDArray[np.int64]:
        return self.table.image_ids[self.chosen]

    @property
    def num_objects(self) -> npt.NDArray[np.int64]:
        """How many objects each image has."""
        return self.table.num_objects[self.chosen]

    @property
    def num_masks(self) -> npt.NDArray[np.int64]:
        """How many objects of each image have a segmentation."""
        return self.table.num_masks[self.chosen]

    @property
    def category_ids(self) -> npt.NDArray[np.int64]:
        """Every category that an object has, once."""
        chosen = np.zeros(len(self.table.image_ids), dtype=np.bool_)
        chosen[self.chosen] = True
        return np.unique(self.table.category_ids[np.repeat(chosen, self.table.num_objects)])

    def choose(
        self, which: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]
    ) -> "ImageRecords":
        return ImageRecords(self.table, self.root, self.chosen[which])


@dataclass(frozen=True, eq=False)
class TwoBoxData:
    """All images of an annotation file; `warnings`, `num_skipped` tell what was clipped or left."""

    root: Path
    source: Path
    images: ImageRecords
    categories: Mapping[int, str]
    warnings: tuple[Finding, ...] = ()
    num_skipped: int = 0

    @property
    def num_objects(self) -> int:
        return int(self.images.num_objects.sum())

    @property
    def has_masks(self) -> bool:
        """Whether every image with objects has the masks of all of them."""
        return bool((self.images.num_objects == self.images.num_masks).all())

    def with_objects(self) -> "TwoBoxData":
        """The images that have objects; the others are counted in `num_skipped`."""
        kept = self.images.choose(self.images.num_objects > 0)
        skipped = self.num_skipped + len(self.images) - len(kept)
        return replace(self, images=kept, num_skipped=skipped)

    def without(self, image_ids: Collection[int]) -> "TwoBoxData":
        """All but the images of these ids."""
        kept = np.isin(self.images.image_ids, list(image_ids), invert=True)
        return replace(self, images=self.images.choose(kept))

    def hold_out(self, share: float, seed: int) -> tuple["TwoBoxData", "TwoBoxData"]:
        """Those to learn from, and the share held out: one image at least, and never the last; none where it is 0."""
        most = len(self.images) - 1
        num = min(max(round(share * len(self.images)), 1), most) if share else 0
        ids = torch.from_numpy(np.array(self.images.image_ids))
        order = Draws(seed, 0).uniform(ids, 1, "held out")[:, 0].argsort(stable=True)
        held = np.zeros(len(self.images), dtype=np.bool_)
        held[order[:num].numpy()] = True
        learn, aside = (replace(self, images=self.images.choose(which)) for which in (~held, held))
        return learn, aside


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
