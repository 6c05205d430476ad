"""Guesses at one cause behind many bad boxes: another kind of coordinates, or the file of another tool."""

import math
import sys
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from ringsam.data.annotations import NAMES
from ringsam.data.boxes import Box
from ringsam.data.fields import Size
from ringsam.data.findings import Finding
from ringsam.errors import InputError

MIN_BOXES = 3
MANY = 0.5  # of the boxes leave the image or are inverted
NEARLY_ALL = 0.9  # would be right if read the other way
MIN_BOXES_PERCENT = 20
FOREIGN_KEYS = frozenset({"bbox", "segmentation"})
BOX_KEYS = FOREIGN_KEYS | {"big_box", "small_box"}  # that tell where an object is
_CORNERS = "boxes are [x1, y1, x2, y2] in pixels of the image"


def refuse_another_tools(source: Path, keys: Set[str]) -> None:
    """Raises InputError where of the BOX_KEYS its objects have those of other tools alone."""
    if not keys or not keys <= FOREIGN_KEYS:
        return
    told = f"its objects have {' and '.join(sorted(keys))}, none has a big_box or a small_box"
    beside = source.with_name("coco.json") if source.name == NAMES[0] else source
    first = f"rename it to {beside.name}, then " if beside != source else ""
    made = f"`ringsam import {beside} --out {source.parent}` makes {NAMES[0]} of it"
    masks = " (with --keep_masks, to evaluate with)" if "segmentation" in keys else ""
    raise InputError(f"{source}: is COCO of another tool: {told}; {first}{made}{masks}")


@dataclass
class BoxTally:
    """What the big boxes of a file have in common, good and bad ones, each as the file gives it."""

    num_boxes: int = 0
    num_wrong: int = 0
    num_right_as_sizes: int = 0  # if they were [x, y, width, height]
    least: float = math.inf
    most: float = -math.inf
    smallest_side: int = sys.maxsize  # of the images

    def add(self, box: Box, size: Size) -> None:
        """A box on an image of this (height, width)."""
        x, y, width, height = box
        self.num_boxes += 1
        self.num_wrong += not _fits(box, size)
        self.num_right_as_sizes += _fits((x, y, x + width, y + height), size)
        self.least, self.most = min(self.least, *box), max(self.most, *box)
        self.smallest_side = min(self.smallest_side, *size)

    def hints(self, file: str) -> list[Finding]:
        """One warning at most: fractions, percent, or xywh instead of corners."""
        if self.num_boxes < MIN_BOXES:
            return []
        reason = self._fractions() or self._width_and_height() or self._percent()
        return [Finding("warning", file, "all boxes", reason, _CORNERS)] if reason else []

    def _fractions(self) -> str | None:
        if self.least >= 0 and self.most <= 1:
            return "every value lies in 0..1: are these fractions of the image?"
        return None

    def _percent(self) -> str | None:
        """Percent of a large image pass as small boxes in its corner, so no row would show it."""
        many = self.num_boxes >= MIN_BOXES_PERCENT and self.smallest_side >= 200
        if many and self.least >= 0 and 90 < self.most <= 100:
            return "every value lies in 0..100 on larger images: are these percent of the image?"
        return None

    def _width_and_height(self) -> str | None:
        wrong, right = self.num_wrong / self.num_boxes, self.num_right_as_sizes / self.num_boxes
        if wrong < MANY:
            return None
        question = (
            ": is this xywh?" if right >= NEARLY_ALL else ": is this another size of the images?"
        )
        return f"{wrong:.0%} of boxes leave the image or are inverted{question}"


def _fits(box: Box, size: Size) -> bool:
    x1, y1, x2, y2 = box
    height, width = size
    return 0 <= x1 < x2 <= width + 1 and 0 <= y1 < y2 <= height + 1
