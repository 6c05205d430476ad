"""Guesses at one cause behind many bad boxes: another kind of coordinates."""

from collections.abc import Sequence
from typing import NamedTuple

from ringsam.data.boxes import Box
from ringsam.data.findings import Finding

MIN_BOXES = 3
MANY = 0.5  # of the boxes leave the image or are inverted
NEARLY_ALL = 0.9  # would be right if read the other way
MIN_BOXES_PERCENT = 20
_CORNERS = "boxes are [x1, y1, x2, y2] in pixels of the image"


class BoxOnImage(NamedTuple):
    """A big box as the file gives it, and its image's (height, width)."""

    box: Box
    size: tuple[int, int]


def coordinate_hints(boxes: Sequence[BoxOnImage], file: str) -> list[Finding]:
    """One warning at most: fractions, percent, or xywh instead of corners."""
    if len(boxes) < MIN_BOXES:
        return []
    reason = _fractions(boxes) or _width_and_height(boxes) or _percent(boxes)
    return [Finding("warning", file, "all boxes", reason, _CORNERS)] if reason else []


def _fractions(boxes: Sequence[BoxOnImage]) -> str | None:
    if all(0 <= value <= 1 for box, _ in boxes for value in box):
        return "every value lies in 0..1: are these fractions of the image?"
    return None


def _percent(boxes: Sequence[BoxOnImage]) -> str | None:
    """Percent of a large image pass as small boxes in its corner, so no row would show it."""
    values = [value for box, _ in boxes for value in box]
    large = all(min(size) >= 200 for _, size in boxes)
    if len(boxes) >= MIN_BOXES_PERCENT and large and min(values) >= 0 and 90 < max(values) <= 100:
        return "every value lies in 0..100 on larger images: are these percent of the image?"
    return None


def _width_and_height(boxes: Sequence[BoxOnImage]) -> str | None:
    wrong = sum(not _fits(box, size) for box, size in boxes) / len(boxes)
    if wrong < MANY:
        return None
    right = sum(_fits((x, y, x + w, y + h), size) for (x, y, w, h), size in boxes) / len(boxes)
    question = ": is this xywh?" if right >= NEARLY_ALL else ": is this another size of the images?"
    return f"{wrong:.0%} of boxes leave the image or are inverted{question}"


def _fits(box: Box, size: tuple[int, int]) -> bool:
    x1, y1, x2, y2 = box
    height, width = size
    return 0 <= x1 < x2 <= width + 1 and 0 <= y1 < y2 <= height + 1
