"""The images that a page shows, by keys that tell nothing of their paths."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ringsam.data.findings import RowProblem, shown
from ringsam.data.folder import ImageFolder
from ringsam.data.images import read_image
from ringsam.errors import InputError

LARGEST_SIDE_PX = 2048  # of what is sent to the page at once
_KEPT = 2  # decoded images: the one on the page and the one before it


@dataclass(frozen=True)
class Picture:
    """One image file; `name` is what the annotation file calls it."""

    key: str
    name: str
    path: Path


class Pictures:
    """Images by their keys; `left_out` tells of those that cannot be shown, and why."""

    def __init__(
        self, folder: Path, pictures: Iterable[Picture], left_out: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.by_key = {picture.key: picture for picture in pictures}
        self.left_out = left_out
        self.pixels = lru_cache(maxsize=_KEPT)(read_image)

    def leads_out(self, picture: Picture) -> bool:
        """Whether its file has since become a link to somewhere else."""
        return not picture.path.resolve().is_relative_to(self.folder.resolve())

    def jpeg(
        self, picture: Picture, *, left: int, top: int, right: int | None, bottom: int | None
    ) -> bytes:
        """A part of the image, made at most `LARGEST_SIDE_PX` wide and high."""
        pixels = self.pixels(picture.path)[top:bottom, left:right]
        if pixels.size == 0:
            raise InputError(f"{picture.name}: has no pixels there; reload the page")
        part = Image.fromarray(pixels)
        part.thumbnail((LARGEST_SIDE_PX, LARGEST_SIDE_PX), Image.Resampling.BILINEAR)
        encoded = io.BytesIO()
        part.save(encoded, "JPEG", quality=95, subsampling=0)
        return encoded.getvalue()


def find_pictures(folder: Path, *, named_from: Path) -> Pictures:
    """All images below a folder, in order, but links that lead out of it and names that are not UTF-8.

    Names are relative to `named_from`. Raises InputError where there is no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the folder of the images")
    found: list[Picture] = []
    left_out: list[str] = []
    images = ImageFolder(folder)
    for path in images.image_files():
        inside = path.relative_to(folder).as_posix()
        name = (folder.resolve() / inside).relative_to(named_from.resolve()).as_posix()
        try:
            images.locate(inside)
            found.append(Picture(key_of(name), name, path))
        except RowProblem as problem:
            left_out.append(f"{shown(inside)}: {problem}; {problem.mend}")
    if not found:
        raise InputError(f"{folder}: holds no images", left_out)
    return Pictures(folder, found, left_out)


def key_of(name: str) -> str:
    """Raises RowProblem for a name that JSON cannot hold."""
    try:
        return hashlib.sha256(name.encode()).hexdigest()[:16]
    except UnicodeEncodeError as error:
        raise RowProblem("its name is not UTF-8", "rename the file or its folder") from error
