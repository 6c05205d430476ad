"""Images by what a label file calls them: a name, a path of another machine, or a web address."""

import re
from collections import defaultdict
from pathlib import Path

from ringsam.data.fields import Size, short_text
from ringsam.data.findings import RowProblem
from ringsam.data.folder import ImageFolder, composed
from ringsam.data.formats.regions import LabelledImage
from ringsam.data.images import image_size
from ringsam.errors import InputError

_Parts = tuple[str, ...]


class ImageFinder:
    """Finds only what the listing of its folder has, so no name leads out of it."""

    def __init__(self, root: Path) -> None:
        self.folder = ImageFolder(root)
        self._by_name: dict[str, list[tuple[_Parts, Path]]] = defaultdict(list)
        for path in self.folder.image_files():
            *folders, name = _parts(path.relative_to(root).as_posix())
            for last in (name, f"{name.rpartition('.')[0]}.*"):
                self._by_name[last].append(((*folders, last), path))

    def find(self, image: LabelledImage) -> tuple[Path, Size]:
        """The image's path and its (height, width); raises RowProblem."""
        for name in image.names:
            found = self._ending_alike(_parts(name))
            beside = [
                path for path in found if path.parent.resolve() == image.file.parent.resolve()
            ]
            if len(found) > 1 and len(beside) != 1:
                raise RowProblem(
                    f"{short_text(name)} may be {len(found)} images, {found[0]} and {found[1]}",
                    "say where they lie with --images",
                )
            if found:
                return self._measured((beside or found)[0], image.size)
        raise RowProblem(
            f"no image {short_text(image.names[0])} in {self.folder.root}",
            "say where the images lie with --images, or mend the name",
        )

    def _ending_alike(self, parts: _Parts) -> list[Path]:
        """The files whose path ends as the name does, as far as the shorter of both goes."""
        candidates = self._by_name.get(parts[-1], []) if parts else []
        alike = [
            path
            for found, path in candidates
            if all(a == b for a, b in zip(reversed(found), reversed(parts), strict=False))
        ]
        exact = [path for found, path in candidates if found == parts]
        return exact or alike

    def _measured(self, path: Path, stated: Size | None) -> tuple[Path, Size]:
        path = self.folder.locate(path.relative_to(self.folder.root).as_posix())
        try:
            size = image_size(path)
        except InputError as error:
            raise RowProblem(str(error).removeprefix(f"{path}: ")) from error
        if stated not in (None, size):
            told, real = (f"{s[1]} x {s[0]}" for s in (stated, size) if s is not None)
            raise RowProblem(
                f"was labelled as {told}, but {path} is {real} as displayed (width x height)",
                "put the image there that was labelled; EXIF may have turned it",
            )
        return path, size


def _parts(name: str) -> _Parts:
    return tuple(part for part in re.split(r"[/\\]", composed(name)) if part not in ("", ".", ".."))
