"""Image files by the names the annotations give them, never outside their folder."""

import os
import posixpath
import re
import stat
import unicodedata
from functools import cached_property, lru_cache
from pathlib import Path, PureWindowsPath

from ringsam.data.findings import RowProblem, shown
from ringsam.data.images import IMAGE_SUFFIXES


class ImageFolder:
    """The folder that holds the images; its listing is made once, when it is first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = root.resolve()
        self._lies_inside = lru_cache(maxsize=1024)(self._judge_folder)

    def locate(self, name: object) -> Path:
        """The image file called `name`, in whichever Unicode form; raises RowProblem."""
        return self.root / self.find(name)

    def find(self, name: object) -> str:
        """The same, as its path below the root, with / between folders; raises RowProblem."""
        if isinstance(name, str) and self._is_plain_file(name):
            return name
        return self._search(name).relative_to(self.root).as_posix()

    def _is_plain_file(self, name: str) -> bool:
        """Whether a file, not a link, lies in a folder that was judged already, and its name has nothing to be judged."""
        if posixpath.normpath(name) != name or ".." in name or name[0] == "/" or not name.strip():
            return False
        if "\\" in name or ":" in name or "\0" in name:
            return False
        try:
            name.encode()
            found = os.lstat(f"{self.root}/{name}").st_mode
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(found) and self._lies_inside(posixpath.dirname(name))

    def _judge_folder(self, name: str) -> bool:
        try:
            return (self.root / name).resolve(strict=True).is_relative_to(self._real_root)
        except (OSError, ValueError, RuntimeError):
            return False

    def _search(self, name: object) -> Path:
        if not isinstance(name, str) or not name.strip():
            raise RowProblem(
                f"file_name is {ascii(name)[:60]}, not a name", "write the image's name"
            )
        refuse_unsafe(name)
        path = self.root / name
        try:
            real = path.resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # none there, not encodable, a loop of links
            path = self._by_other_form(name)
            real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._real_root):
            raise RowProblem(
                "is a link that leads out of the image folder", "copy the image itself"
            )
        if not real.is_file():
            raise RowProblem("is not a file", "name an image file")
        return path

    def image_files(self) -> list[Path]:
        """All files below the folder that look like images, sorted."""
        files = self._listing.values()
        return sorted(path for path in files if path.suffix.lower() in IMAGE_SUFFIXES)

    @cached_property
    def _listing(self) -> dict[str, Path]:
        """Paths by composed (NFC) name relative to the folder."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder, name) for name in names):
                found[composed(path.relative_to(self.root).as_posix())] = path
        return found

    @cached_property
    def _names_by_lower_case(self) -> dict[str, str]:
        return {name.lower(): name for name in self._listing}

    def _by_other_form(self, name: str) -> Path:
        form = composed(name)
        if form in self._listing:
            return self._listing[form]
        other_case = self._names_by_lower_case.get(form.lower())
        if other_case is not None:
            raise RowProblem("no such file", f"the folder has {shown(other_case)}: mind the case")
        raise RowProblem(
            "no such file", f"put it into {self.root} or mend file_name, which is relative to there"
        )


def refuse_unsafe(name: str) -> None:
    """Raises RowProblem for a name that could lead out of the folder on any system."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise RowProblem("its name is not UTF-8", "rename the file or its folder") from error
    mend = "write the name relative to the image folder"
    if "\0" in name:
        raise RowProblem("the file name holds a NUL character", mend)
    if ".." in re.split(r"[/\\]", name):
        raise RowProblem("the file name climbs out with '..'", mend)
    if name[0] in "/\\" or PureWindowsPath(name).drive:
        raise RowProblem("the file name is an absolute path", mend)
    if "\\" in name:
        raise RowProblem("the file name holds a backslash", "write / between folders")


def composed(name: str) -> str:
    """The name in the one Unicode form (NFC) in which names are compared."""
    return unicodedata.normalize("NFC", name)
