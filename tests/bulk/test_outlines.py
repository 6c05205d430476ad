"""Outlines hold exactly the pixels of the mask they were drawn around."""

import numpy as np
import pytest
from filled_outlines import filled
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ringsam.bulk.outlines import outline, tied_together

MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda size: arrays(bool, size))


@settings(max_examples=200, deadline=None)
@given(MASKS)
def test_the_outline_filled_is_the_mask(mask):
    polygons = outline(mask)
    assert np.array_equal(filled([ring for part in polygons for ring in part], mask.shape), mask)
    if polygons:
        assert np.array_equal(filled([tied_together(polygons)], mask.shape), mask)


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_holes_lie_in_the_polygon_they_are_given_to(mask):
    for outer, *holes in outline(mask):
        around = filled([outer], mask.shape)
        for hole in holes:
            cut = filled([hole], mask.shape)
            assert cut.any() and not (cut & ~around).any()


def test_a_ring_of_pixels_is_one_polygon_with_a_hole_along_their_edges():
    mask = np.zeros((6, 7), dtype=bool)
    mask[1:5, 2:6] = True
    mask[2:4, 3:5] = False
    (outer, hole), = outline(mask)  # fmt: skip
    assert sorted(map(tuple, outer)) == [(2, 1), (2, 5), (6, 1), (6, 5)]
    assert sorted(map(tuple, hole)) == [(3, 2), (3, 4), (5, 2), (5, 4)]


def test_parts_that_do_not_touch_are_polygons_of_their_own():
    mask = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    assert [len(polygon) for polygon in outline(mask)] == [1, 1, 1]


@pytest.mark.parametrize("shape", [(5, 4), (1, 1)])
def test_an_empty_mask_has_no_outline(shape):
    assert outline(np.zeros(shape, dtype=bool)) == []
