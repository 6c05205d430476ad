"""Outlines back to masks, slowly and without OpenCV."""

import numpy as np


def filled(rings, shape: tuple[int, int]) -> np.ndarray:
    """Even and odd: a pixel is in where a line from its centre to the left crosses the rings an odd number of times."""
    inside = np.zeros(shape, dtype=bool)
    rows, columns = (np.arange(side) + 0.5 for side in shape)
    for ring in rings:
        corners = np.asarray(ring, dtype=float)
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y1 != y2:
                between = (min(y1, y2) <= rows) & (rows < max(y1, y2))
                crossing = x1 + (rows - y1) * (x2 - x1) / (y2 - y1)
                inside ^= between[:, None] & (columns > crossing[:, None])
    return inside


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return (first & second).sum() / (first | second).sum()
