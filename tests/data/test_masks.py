"""Segmentations of files as they come."""

import math

import pytest

from ringsam.data.findings import RowProblem
from ringsam.data.masks import decode_mask

CORNERS = {"huge": 10**400, "-huge": -(10**400), "far": 1e300, "nan": math.nan, "inf": math.inf}


@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS.keys())
def test_a_polygon_with_an_impossible_corner_is_a_problem_of_its_row(corner):
    with pytest.raises(RowProblem, match="segmentation holds a polygon"):
        decode_mask([[1, 1, 8, 1, 8, corner]], (20, 20))
