"""Millions of images and objects as columns: numbers in arrays, texts in one buffer, in memory or mapped from disk."""

import json
from array import array
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ringsam.data.boxes import BoxPair
from ringsam.data.fields import Size

Numbers = npt.NDArray[np.int64]


class Texts:
    """Texts end to end in one buffer, and the byte at which each ends."""

    def __init__(
        self,
        buffer: npt.NDArray[np.uint8] | None = None,
        ends: Numbers | None = None,
    ) -> None:
        self.buffer = bytearray() if buffer is None else buffer
        self.ends: array[int] | Numbers = array("q") if ends is None else ends

    def __getitem__(self, index: int) -> str:
        start = self.ends[index - 1] if index else 0
        return bytes(self.buffer[start : self.ends[index]]).decode("utf-8", "surrogatepass")

    def append(self, text: str) -> None:
        """Only while they grow: those on disk are read."""
        assert isinstance(self.buffer, bytearray) and isinstance(self.ends, array)
        self.buffer += text.encode("utf-8", "surrogatepass")
        self.ends.append(len(self.buffer))


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Columns of n images and of the m objects on them, those of an image in a row."""

    image_ids: Numbers  # (n,)
    sizes: npt.NDArray[np.int32]  # (n, 2) height, width; zeros where they are not known
    names: npt.NDArray[np.uint8]
    name_ends: Numbers  # (n,)
    paths: npt.NDArray[np.uint8]  # below the image folder; empty where the name is the path
    path_ends: Numbers  # (n,)
    object_ends: Numbers  # (n,)
    boxes: npt.NDArray[np.float32]  # (m, 2, 4) big, small
    object_ids: Numbers  # (m,)
    category_ids: Numbers  # (m,)
    masks: npt.NDArray[np.uint8]  # segmentations as JSON; empty where an object has none
    mask_ends: Numbers  # (m,)

    @property
    def num_objects(self) -> Numbers:
        """How many lie on each image."""
        return np.diff(self.object_ends, prepend=0)

    @property
    def num_masks(self) -> Numbers:
        """How many objects of each image have a segmentation."""
        before = np.append(0, np.cumsum(np.diff(self.mask_ends, prepend=0) > 0))
        return np.diff(before[self.object_ends], prepend=0)

    def objects(self, index: int) -> slice:
        """The rows of an image's objects."""
        return slice(self.object_ends[index - 1] if index else 0, self.object_ends[index])

    def segmentation(self, row: int) -> object:
        """As it stands in the file; None where there is none."""
        text = Texts(self.masks, self.mask_ends)[row]
        return json.loads(text) if text else None

    def save(self, folder: Path) -> None:
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, folder: Path) -> "ImageTable":
        """What was saved, read from disk as it is asked for."""
        return cls(*(np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(cls)))


class GrowingTable:
    """A table in the making; objects may come in any order of their images."""

    def __init__(self) -> None:
        self._image_ids, self._sizes, self._usable = array("q"), array("i"), array("b")
        self.names, self._paths = Texts(), Texts()
        self._image_of, self._boxes = array("q"), array("f")
        self._object_ids, self._category_ids = array("q"), array("q")
        self._masks = Texts()

    def __len__(self) -> int:
        return len(self._image_ids)

    def add_image(self, image_id: int, name: str, path: str | None, size: Size | None) -> None:
        """One that cannot be used has no path."""
        self._image_ids.append(image_id)
        self._sizes.extend(size or (0, 0))
        self._usable.append(path is not None)
        self.names.append(name)
        self._paths.append("" if path == name else path or "")

    def size(self, index: int) -> Size | None:
        height, width = self._sizes[2 * index : 2 * index + 2]
        return (height, width) if height else None

    def path(self, index: int) -> str:
        return self._paths[index] or self.names[index]

    def add_object(
        self, image: int, object_id: int, category_id: int, boxes: BoxPair, segmentation: object
    ) -> None:
        """Passed over where its image cannot be used."""
        if not self._usable[image]:
            return
        self._image_of.append(image)
        self._object_ids.append(object_id)
        self._category_ids.append(category_id)
        self._boxes.extend((*boxes.big, *boxes.small))
        self._masks.append("" if segmentation is None else json.dumps(segmentation))

    def usable(self) -> Numbers:
        """The places of the images that can be used."""
        return np.flatnonzero(np.frombuffer(self._usable, dtype=np.int8))

    def finish(self) -> ImageTable:
        """All images as they came, and their objects image by image."""
        image_of = np.frombuffer(self._image_of, dtype=np.int64)
        order: slice | Numbers = slice(None)
        masks = self._masks
        if (np.diff(image_of) < 0).any():
            order = image_of.argsort(kind="stable")
            masks = Texts()
            for row in order:
                masks.append(self._masks[row])
        return ImageTable(
            image_ids=_column(self._image_ids),
            sizes=np.frombuffer(self._sizes, dtype=np.int32).reshape(-1, 2),
            names=np.frombuffer(self.names.buffer, dtype=np.uint8),
            name_ends=_column(self.names.ends),
            paths=np.frombuffer(self._paths.buffer, dtype=np.uint8),
            path_ends=_column(self._paths.ends),
            object_ends=np.bincount(image_of, minlength=len(self)).cumsum(),
            boxes=np.frombuffer(self._boxes, dtype=np.float32).reshape(-1, 2, 4)[order],
            object_ids=_column(self._object_ids)[order],
            category_ids=_column(self._category_ids)[order],
            masks=np.frombuffer(masks.buffer, dtype=np.uint8),
            mask_ends=_column(masks.ends),
        )


def _column(numbers: "array[int] | Numbers") -> Numbers:
    return np.frombuffer(numbers, dtype=np.int64)
