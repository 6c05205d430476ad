"""What every foreign format becomes: images with regions drawn on them, not yet paired."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ringsam.data.boxes import Box, parse_box
from ringsam.data.fields import Size, short_text
from ringsam.data.findings import Finding, RowProblem, shown

Role = Literal["big", "small"]

_BIG, _SMALL = ("big", "max", "outer"), ("small", "min", "inner")
_WORD, _BETWEEN = "|".join(_BIG + _SMALL), "[ _:/-]"
_ROLE_ALONE = re.compile(rf"({_WORD})(?:{_BETWEEN}?box(?:es)?)?", re.IGNORECASE)
# From the first of several separators alone: begun at each of them, the search would take hours for a long row
_ROLE_IN_NAME = re.compile(
    rf"(?:^|(?<!{_BETWEEN}){_BETWEEN}+)({_WORD}){_BETWEEN}?box(?:es)?(?:{_BETWEEN}+|$)",
    re.IGNORECASE,
)
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")  # what Label Studio puts before an uploaded file's name


@dataclass(frozen=True)
class Region:
    """A box or a mask as drawn, or a box with its object's mask; `where` names its row, a `group` holds what makes up one object."""

    where: str
    label: str = ""
    box: Box | None = None
    segmentation: object = None  # COCO polygons or RLE
    group: str | None = None
    role: Role | None = None


@dataclass
class LabelledImage:
    """What one label file says of one image, which may go by any of `names`."""

    file: Path
    names: tuple[str, ...]
    size: Size | None = None  # as the labels state it
    in_fractions: bool = False  # of the image's sides, else pixels
    regions: list[Region] = field(default_factory=list)


@dataclass
class Labels:
    """All that was read, all that was wrong with it, and how much of what kind was passed over."""

    format: str = ""
    images: list[LabelledImage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def row(self, file: Path, where: str = "") -> Iterator[None]:
        """Within it a RowProblem becomes a finding, and the reader goes on behind it."""
        try:
            yield
        except RowProblem as problem:
            self.tell(problem, file, where)

    def tell(self, problem: RowProblem, file: Path, where: str) -> None:
        """Adds an error."""
        self.findings.append(problem.at(shown(str(file)), where))


def corner_box(x1: object, y1: object, x2: object, y2: object) -> Box:
    """The box between two corners; raises RowProblem."""
    values = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return parse_box("box", [number(value, name) for name, value in values.items()])


def side_box(x: object, y: object, width: object, height: object) -> Box:
    """The box of a top left corner and two sides; raises RowProblem."""
    left, top = number(x, "x"), number(y, "y")
    return corner_box(left, top, left + number(width, "width"), top + number(height, "height"))


def stated_size(height: object, width: object) -> Size | None:
    """None where the labels do not state it; raises RowProblem."""
    if height in (None, "") or width in (None, ""):
        return None
    return int(number(height, "height")), int(number(width, "width"))


def number(value: object, name: str) -> float:
    """A finite number, or text that spells one; raises RowProblem."""
    mend = f"give {name} a number"
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RowProblem(f"{name} is {short_text(value)}, not a number", mend)
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise RowProblem(f"{name} is {short_text(value)[:60]}, not a number", mend) from None
    if not math.isfinite(found):
        raise RowProblem(f"{name} is {short_text(value)}, not a finite number", mend)
    return found


def point_list(value: object) -> list[tuple[float, float]]:
    """Points from a list of [x, y]; raises RowProblem."""
    points = value if isinstance(value, list) else []
    if not points or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise RowProblem("points is no list of [x, y]", "draw it again")
    return [(number(x, "x"), number(y, "y")) for x, y in points]


def text(value: object, name: str) -> str:
    """Text that says something; raises RowProblem."""
    if not isinstance(value, str) or not value.strip():
        raise RowProblem(f"{name} is {short_text(value)}, not a name", f"write the {name}")
    return value.strip()


def role_in(label: str) -> tuple[Role | None, str]:
    """The role that a label tells, and the label without it: "nucleus big_box" is a nucleus's big box.

    A word alone counts where it is the whole label, so a "small bowel" stays one.
    """
    found = _ROLE_ALONE.fullmatch(label) or _ROLE_IN_NAME.search(label)
    if found is None:
        return None, label
    rest = " ".join(part for part in (label[: found.start()], label[found.end() :]) if part)
    return ("big" if found[1].lower() in _BIG else "small"), rest


def names_of_upload(name: str) -> tuple[str, ...]:
    """An image's name or path, and its name as it was before Label Studio took it in."""
    before = _UPLOAD.fullmatch(name.rsplit("/", 1)[-1])
    return (name, before[1]) if before else (name,)
