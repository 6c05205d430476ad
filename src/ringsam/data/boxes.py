"""The judgement of one object's two boxes."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ringsam.data.findings import RowProblem

Box = tuple[float, float, float, float]

MIN_KEPT = 0.5  # of a box's area; below it, clipping would make another box
MIN_RING_PX = 1.0
SAM_SIDE_PX = 1024  # at which SAM sees the longest side of an image
MIN_SIDE_PX = 0.1  # thinner boxes are slips of the hand, and vanish in single precision
_FOUR_FLOATS = [float] * 4
ROUNDING_PX = 1e-3  # how far the small box may leave the big one by rounding alone


class BoxPair(NamedTuple):
    """Both boxes clipped to the image, and what was clipped, as (reason, mend)."""

    big: Box
    small: Box
    warnings: list[tuple[str, str]]


def judge_boxes(row: Mapping[str, object], size: tuple[int, int] | None) -> BoxPair:
    """The usable boxes of a row; `size` is the image's (height, width), None where it is unknown.

    Raises RowProblem where the boxes are missing, not numbers, inverted, empty, outside the image,
    not one inside the other, or leave no ring of a pixel between them.
    """
    big_value, small_value = row.get("big_box"), row.get("small_box")
    if big_value is None or small_value is None:
        raise _missing(big_value, small_value)
    big, small = parse_box("big_box", big_value), parse_box("small_box", small_value)
    _refuse_loose(big, small)
    warnings: list[tuple[str, str]] = []
    if size is not None:
        big = _clip_to_image("big_box", big, size, warnings)
        small = _clip_to_image("small_box", small, size, warnings)
    small = _clip(small, big)
    _refuse_thin("small_box", small)
    ring = max(abs(s - b) for s, b in zip(small, big, strict=True))
    if ring < MIN_RING_PX:
        raise RowProblem(
            f"the ring between small_box and big_box is {ring:g} px wide",
            f"leave {MIN_RING_PX:g} px or more on a side",
        )
    if size is not None and (seen := ring * SAM_SIDE_PX / max(size)) < MIN_RING_PX:
        reason = f"the ring between the boxes is {seen:.2g} px wide where SAM sees the image at {SAM_SIDE_PX} px"
        warnings.append((reason, f"leave {MIN_RING_PX / seen * ring:.1f} px or more on a side"))
    return BoxPair(big, small, warnings)


def judge_big_box(row: Mapping[str, object], size: tuple[int, int] | None) -> BoxPair:
    """The same of a row whose big box alone is asked with; it stands in the small one's place."""
    if row.get("big_box") is None:
        raise RowProblem("has no big_box", "draw it")
    big, warnings = parse_box("big_box", row["big_box"]), list[tuple[str, str]]()
    if size is not None:
        big = _clip_to_image("big_box", big, size, warnings)
    _refuse_thin("big_box", big)
    return BoxPair(big, big, warnings)


def parse_box(name: str, value: object) -> Box:
    """Four finite numbers x1 < x2, y1 < y2; raises RowProblem."""
    x1, y1, x2, y2 = numbers = box_numbers(name, value)
    if x1 > x2 or y1 > y2:
        swapped = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        raise RowProblem(f"{name} {text(numbers)} is inverted", f"write {text(swapped)}")
    if x1 == x2 or y1 == y2:
        raise RowProblem(f"{name} {text(numbers)} has no area", "draw it again")
    return numbers


def box_numbers(name: str, value: object) -> Box:
    """Four finite numbers in any order; raises RowProblem."""
    if type(value) is list and list(map(type, value)) == _FOUR_FLOATS:
        x1, y1, x2, y2 = value
        if math.isfinite(x1 + y1 + x2 + y2):  # an infinite sum may be of finite numbers: see below
            return x1, y1, x2, y2
    mend = "write [x1, y1, x2, y2] in pixels"
    if not isinstance(value, list) or len(value) != 4:
        raise RowProblem(f"{name} is {_short(value)}, not four numbers", mend)
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise RowProblem(f"{name} {_short(value)} holds something that is not a number", mend)
    try:
        x1, y1, x2, y2 = (float(v) for v in value)
    except OverflowError:
        raise RowProblem(f"{name} holds a number beyond all bounds", mend) from None
    if not all(math.isfinite(v) for v in (x1, y1, x2, y2)):
        raise RowProblem(f"{name} {_short(value)} holds a number that is not finite", mend)
    return x1, y1, x2, y2


def text(box: Box) -> str:
    return "[" + ", ".join(f"{v:g}" for v in box) + "]"


def _missing(big: object, small: object) -> RowProblem:
    if big is None and small is None:
        return RowProblem("has neither big_box nor small_box", "draw both, or take the row out")
    name, other = ("big_box", "small_box") if big is None else ("small_box", "big_box")
    return RowProblem(f"has a {other} but no {name}", f"draw the {name} as well")


def _refuse_thin(name: str, box: Box) -> None:
    if min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE_PX:
        raise RowProblem(f"{name} {text(box)} is thinner than {MIN_SIDE_PX:g} px", "redraw it")


def _refuse_loose(big: Box, small: Box) -> None:
    if small == big:
        raise RowProblem(
            f"small_box and big_box are the same {text(big)}",
            "draw the small box at the object's core, the big box around the object",
        )
    over = max(big[0] - small[0], big[1] - small[1], small[2] - big[2], small[3] - big[3])
    if over > ROUNDING_PX:
        raise RowProblem(
            f"small_box {text(small)} leaves big_box {text(big)} by {over:g} px",
            "swap or redraw them",
        )


def _clip_to_image(
    name: str, box: Box, size: tuple[int, int], warnings: list[tuple[str, str]]
) -> Box:
    height, width = size
    if box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height:
        return box
    inside = _clip(box, (0.0, 0.0, float(width), float(height)))
    kept = (
        (inside[2] - inside[0]) / (box[2] - box[0]) * ((inside[3] - inside[1]) / (box[3] - box[1]))
    )
    if kept < MIN_KEPT:
        where = "outside" if kept <= 0 else f"{1 - kept:.0%} outside"
        raise RowProblem(
            f"{name} {text(box)} lies {where} the image of {width} x {height}", "redraw it"
        )
    if inside != box:
        warnings.append(
            (
                f"{name} {text(box)} lies {1 - kept:.1%} outside the image",
                f"clipped to {text(inside)}",
            )
        )
    return inside


def _clip(box: Box, limits: Box) -> Box:
    left, top, right, bottom = limits
    if left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom:
        return box
    return (
        min(max(box[0], left), right),
        min(max(box[1], top), bottom),
        min(max(box[2], left), right),
        min(max(box[3], top), bottom),
    )


def _short(value: object) -> str:
    words = ascii(value)
    return words if len(words) <= 60 else words[:57] + "..."
