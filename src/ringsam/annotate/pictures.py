"""The images to draw on, by keys that tell nothing of their paths."""

import hashlib
import io
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
    """All images below a folder, in order; `left_out` tells of links that lead out of it and names that are not UTF-8."""

    def __init__(self, folder: Path, *, named_from: Path) -> None:
        """Names are relative to `named_from`. Raises InputError where there is no image."""
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; name the folder of the images")
        self.folder = folder
        self.by_key: dict[str, Picture] = {}
        self.left_out: list[str] = []
        images = ImageFolder(folder)
        for path in images.image_files():
            inside = path.relative_to(folder).as_posix()
            name = (folder.resolve() / inside).relative_to(named_from.resolve()).as_posix()
            try:
                images.locate(inside)
                key = _key(name)
            except RowProblem as problem:
                self.left_out.append(f"{shown(inside)}: {problem}; {problem.mend}")
                continue
            self.by_key[key] = Picture(key, name, path)
        if not self.by_key:
            raise InputError(f"{folder}: holds no images", self.left_out)
        self.pixels = lru_cache(maxsize=_KEPT)(read_image)

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


def _key(name: str) -> str:
    """Raises RowProblem for a name that JSON cannot hold."""
    try:
        return hashlib.sha256(name.encode()).hexdigest()[:16]
    except UnicodeEncodeError as error:
        raise RowProblem("its name is not UTF-8", "rename the file or its folder") from error
