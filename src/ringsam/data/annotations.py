"""The annotation file: where it is, and its lists."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ringsam.data.findings import Finding
from ringsam.data.json_rows import Slips, read_members
from ringsam.errors import InputError

NAMES = ("two_boxes.json", "annotations.json")


@dataclass(frozen=True)
class Annotations:
    """The lists of a COCO file, not yet judged, and what is wrong with the JSON itself."""

    images: list[object]
    annotations: list[object]
    categories: dict[int, str]
    findings: list[Finding]
    content: dict[str, object]  # the whole file


def find_annotations(data: Path) -> Path:
    """`data` if it is a file, else its two_boxes.json, else its annotations.json.

    Raises InputError where there is none.
    """
    if data.is_file():
        return data
    for name in NAMES:
        if (data / name).is_file():
            return data / name
    if not data.exists():
        raise InputError(f"{data}: no such folder or file")
    below = [child.parent for name in NAMES for child in sorted(data.glob(f"*/{name}"))]
    make = "draw one with `ringsam annotate`, or make one of other labels with `ringsam import`"
    mend = f"did you mean {below[0]}?" if below else f"{make}, beside the folder images/"
    raise InputError(f"{data}: holds neither {NAMES[0]} nor {NAMES[1]}; {mend}")


def image_folder(source: Path) -> Path:
    """The folder `images` beside the annotation file, else the file's own folder."""
    folder = source.parent / "images"
    return folder if folder.is_dir() else source.parent


class AnnotationFile:
    """A COCO file read row by row; only lists in another order than they are asked for need another reading."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.categories: dict[int, str] = {}
        self._slips: Slips = Counter()

    def rows(self, *names: str) -> Iterator[tuple[str, Iterator[object]]]:
        """The lists of these names in this order; at the end `categories` and `findings` are known.

        Raises InputError where the file is no JSON, with line and column, or has no such list.
        """
        left = deque(names)
        while left:
            slips: Slips = Counter()
            found = ""
            for key, value in read_members(self.source, slips):
                if not isinstance(value, Iterator):
                    continue
                if left and key == left[0]:
                    found = left.popleft()
                if key == found:
                    yield key, value
                if key == "categories":
                    self.categories = _categories(value)
            if not found:
                raise _no_list(self.source, left[0])
            self._slips = slips

    @property
    def findings(self) -> list[Finding]:
        """What Python's reader would let pass."""
        return _findings(self.source, self._slips)


def read_annotations(source: Path) -> Annotations:
    """The whole file; raises InputError where it is no JSON, with line and column, or no COCO."""
    slips: Slips = Counter()
    content = {
        key: list(value) if isinstance(value, Iterator) else value
        for key, value in read_members(source, slips)
    }
    images, annotations = (_list_of(content, name, source) for name in ("images", "annotations"))
    categories = content.get("categories")
    return Annotations(
        images,
        annotations,
        _categories(categories if isinstance(categories, list) else ()),
        _findings(source, slips),
        content,
    )


def _list_of(content: Mapping[str, object], name: str, source: Path) -> list[object]:
    rows = content.get(name)
    if not isinstance(rows, list):
        raise _no_list(source, name)
    return rows


def _no_list(source: Path, name: str) -> InputError:
    return InputError(f'{source}: has no list "{name}"; write COCO JSON with big_box, small_box')


def _findings(source: Path, slips: Slips) -> list[Finding]:
    return [
        Finding(
            "error", source.name, "", reason if n == 1 else f"{reason} ({n} times)", "mend the file"
        )
        for reason, n in slips.items()
    ]


def _categories(rows: Iterable[object]) -> dict[int, str]:
    """Names by id; rows that are none are passed over, for names are a courtesy."""
    usable = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), int)]
    return {row["id"]: str(row.get("name", row["id"])) for row in usable}
