"""The content of two_boxes.json, object by object; boxes that nobody drew are made and marked here."""

import json
from collections import Counter
from dataclasses import dataclass, field

import torch

from ringsam.data.boxes import Box, judge_boxes
from ringsam.data.fields import Size
from ringsam.data.formats.pairing import FoundObject
from ringsam.data.formats.proposals import NUM_SHARES, boxes_from_mask, propose_big, propose_small
from ringsam.data.masks import decode_mask
from ringsam.draws import Draws

_DECIMALS = 2  # of a pixel; formats in fractions have no more
_UNNAMED = "object"
_DRAWS = Draws(seed=0, epoch=0)
_MADE = {
    ("small_box",): "small boxes are proposed, the middle of the big ones",
    ("big_box",): "big boxes are proposed around the small ones",
    ("big_box", "small_box"): "objects have both boxes from their masks, for experiments",
}
_Row = dict[str, object]


@dataclass
class TwoBoxes:
    """COCO's lists; an annotation's `derived` names the boxes that nobody drew."""

    keep_masks: bool = False
    images: list[_Row] = field(default_factory=list)
    annotations: list[_Row] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    num_derived: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add_image(self, file_name: str, size: Size) -> None:
        row = {"file_name": file_name, "width": size[1], "height": size[0]}
        self.images.append({"id": len(self.images) + 1, **row})

    def add_object(self, found: FoundObject, size: Size) -> list[tuple[str, str]]:
        """Puts it on the last image, of (height, width); gives what was clipped, as (reason, mend).

        Raises RowProblem where its boxes or its mask cannot be used.
        """
        object_id = len(self.annotations) + 1
        big, small, derived = _both_boxes(found, object_id, size)
        pair = judge_boxes({"big_box": list(big), "small_box": list(small)}, size)
        label = found.label or _UNNAMED
        row: _Row = {
            "id": object_id,
            "image_id": len(self.images),
            "category_id": self.categories.setdefault(label, len(self.categories) + 1),
            "big_box": list(rounded(pair.big)),
            "small_box": list(rounded(pair.small)),
        }
        if self.keep_masks and found.segmentation is not None:
            row["segmentation"] = found.segmentation
        if derived:
            row["derived"] = list(derived)
            self.num_derived[derived] += 1
        self.annotations.append(row)
        return pair.warnings

    def json(self) -> str:
        categories = [{"id": number, "name": name} for name, number in self.categories.items()]
        content = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }
        return json.dumps(content, allow_nan=False) + "\n"

    def notes(self) -> list[str]:
        """What was made of what, counted."""
        return [
            f'{self.num_derived[boxes]} {words} (marked "derived")'
            for boxes, words in _MADE.items()
            if self.num_derived[boxes]
        ]


def rounded(box: Box) -> Box:
    x1, y1, x2, y2 = (round(value, _DECIMALS) for value in box)
    return x1, y1, x2, y2


def _both_boxes(found: FoundObject, object_id: int, size: Size) -> tuple[Box, Box, tuple[str, ...]]:
    """Big box, small box, and which of them nobody drew."""
    if found.big is not None and found.small is not None:
        return found.big, found.small, ()
    if found.big is not None:
        return found.big, propose_small(found.big), ("small_box",)
    if found.small is not None:
        return propose_big(found.small, size), found.small, ("big_box",)
    shares = _DRAWS.uniform(torch.tensor([object_id]), NUM_SHARES, "boxes from a mask")[0].tolist()
    big, small = boxes_from_mask(decode_mask(found.segmentation, size), shares)
    return big, small, ("big_box", "small_box")
