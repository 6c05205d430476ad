"""Outlines of a mask: polygons with holes along the edges of its pixels, which hold exactly its pixels."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ringsam.data.masks import Mask

Ring = npt.NDArray[np.int64]  # (k, 2) corners x, y in the image; the last is joined to the first
Polygon = list[Ring]  # the outer ring, then its holes


def outline(mask: Mask) -> list[Polygon]:
    """The mask's parts, none where it is empty. Pixels that meet at a corner belong to one part, whose ring passes there twice.

    OpenCV's contours run through pixels. In the mask at twice its size each of them lies in one quarter of a pixel,
    and that quarter tells the corner that is meant.
    """
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    cut = mask[top : top + height, left : left + width].astype(np.uint8)
    if not cut.size:
        return []
    doubled = cut.repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = hierarchy.reshape(-1, 4)[:, 3]  # -1 of an outer ring
    rings = [_corners(contour.reshape(-1, 2)) + np.array([left, top]) for contour in contours]
    polygons = {number: [rings[number]] for number in np.flatnonzero(parents < 0)}
    for number in np.flatnonzero(parents >= 0):
        polygons[parents[number]].append(rings[number])
    return list(polygons.values())


def tied_together(polygons: list[Polygon]) -> Ring:
    """All rings as one: from the first ring's start to each other one and back, on lines that hold no area."""
    first, *others = [ring for polygon in polygons for ring in polygon]
    if not others:
        return first
    start = first[:1]
    return np.concatenate([first, start, *(p for r in others for p in (r, r[:1], start))])


def _corners(contour: npt.NDArray[Any]) -> Ring:
    corners: Ring = (contour.astype(np.int64) + 1) // 2
    turned: Ring = corners[(corners != np.roll(corners, 1, axis=0)).any(axis=1)]
    return turned
