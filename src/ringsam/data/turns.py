"""EXIF orientation: from pixels as stored to pixels as displayed."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Kind = TypeVar("Kind", bound=np.generic)


def displayed(stored: npt.NDArray[Kind], orientation: int) -> npt.NDArray[Kind]:
    """The (height, width, ...) array turned and mirrored as EXIF orientation 1 to 8 asks."""
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return stored


def displayed_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """(height, width) as displayed."""
    return (width, height) if orientation >= 5 else (height, width)
