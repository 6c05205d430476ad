"""Boxes that nobody drew: proposed from the other one, or from a mask, for experiments."""

from collections.abc import Sequence

import cv2
import numpy as np

from ringsam.data.boxes import Box
from ringsam.data.fields import Size
from ringsam.data.findings import RowProblem
from ringsam.data.masks import Mask

SIDE = 0.5  # of the big box's sides, the small one's, around the same centre
PUSHED_OUT = (0.05, 0.20)  # of the tight box's sides
MIN_PUSHED_OUT_PX = 1.0
SMALL_SIDES = (0.40, 0.70)  # of the tight box's
MIN_OBJECT = 0.90  # of the small box
SHRINK = 0.9
NUM_SHARES = 6


def propose_small(big: Box) -> Box:
    """The middle of the big box."""
    return _scaled(big, SIDE)


def propose_big(small: Box, size: Size) -> Box:
    """The box whose middle the small one is, as far as the image of (height, width) goes."""
    return _clipped(_scaled(small, 1 / SIDE), size)


def boxes_from_mask(mask: Mask, shares: Sequence[float]) -> tuple[Box, Box]:
    """Big and small box; six shares in [0, 1) place their sides between the bounds above.

    Big: the tight box with each side pushed out. Small: around the point deepest inside the object,
    shrunk until nearly all of it is object. Raises RowProblem for an empty mask.
    """
    if not mask.any():
        raise RowProblem("the mask is empty", "take it out, or draw it anew")
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    sides = (right - left, bottom - top) * 2
    pushed = [
        max(side * _between(PUSHED_OUT, share), MIN_PUSHED_OUT_PX)
        for side, share in zip(sides, shares[:4], strict=True)
    ]
    big = (left - pushed[0], top - pushed[1], right + pushed[2], bottom + pushed[3])
    width, height = (
        side * _between(SMALL_SIDES, share)
        for side, share in zip(sides[:2], shares[4:], strict=True)
    )
    x1, y1, x2, y2 = _core(mask[top:bottom, left:right], float(width), float(height))
    small = _floats(x1 + left, y1 + top, x2 + left, y2 + top)
    return _clipped(big, mask.shape), small


def _core(mask: Mask, width: float, height: float) -> Box:
    """The largest box, of whole pixels around the deepest one, that is object enough."""
    framed = np.pad(mask.astype(np.uint8), 1)  # what lies outside is no object
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = (int(place) for place in np.unravel_index(depth.argmax(), depth.shape))
    while True:
        across, down = int(width / 2), int(height / 2)
        top, left = max(y - down, 0), max(x - across, 0)
        part = mask[top : y + down + 1, left : x + across + 1]
        if part.mean() >= MIN_OBJECT:  # at the latest where only the deepest pixel is left
            return _floats(left, top, left + part.shape[1], top + part.shape[0])
        width, height = width * SHRINK, height * SHRINK


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


def _scaled(box: Box, factor: float) -> Box:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    across, down = (box[2] - box[0]) / 2 * factor, (box[3] - box[1]) / 2 * factor
    return x - across, y - down, x + across, y + down


def _clipped(box: Sequence[float], size: Sequence[int]) -> Box:
    height, width = size
    return _floats(max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height))


def _floats(left: float, top: float, right: float, bottom: float) -> Box:
    return float(left), float(top), float(right), float(bottom)
