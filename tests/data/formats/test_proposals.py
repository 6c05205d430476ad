"""Boxes that nobody drew keep what is promised of drawn ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringsam.data.boxes import judge_boxes
from ringsam.data.findings import RowProblem
from ringsam.data.formats.proposals import MIN_OBJECT, boxes_from_mask, propose_big, propose_small

SHARES = st.lists(st.floats(0, 1, exclude_max=True), min_size=6, max_size=6)


def ellipse(x: float, y: float, across: float, down: float):
    rows, columns = np.mgrid[:40, :60]
    return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 59), st.floats(0, 39), st.floats(1, 40), st.floats(1, 30), SHARES)
def test_boxes_from_a_mask_hold_it_and_lie_in_it(x, y, across, down, shares):
    mask = ellipse(x, y, across, down)
    mask[int(y)] = True  # a hair across, which the small box must not follow
    big, small = boxes_from_mask(mask, shares)
    left, top, right, bottom = map(int, small)
    assert mask[top:bottom, left:right].mean() >= MIN_OBJECT
    outside = mask.copy()
    outside[int(np.ceil(big[1])) : int(big[3]), int(np.ceil(big[0])) : int(big[2])] = False
    assert not outside.any()
    if not mask.all():
        judge_boxes({"big_box": list(big), "small_box": list(small)}, (40, 60))


def test_the_same_shares_give_the_same_boxes():
    mask = ellipse(30, 20, 15, 10)
    assert boxes_from_mask(mask, [0.5] * 6) == boxes_from_mask(mask, [0.5] * 6)
    assert boxes_from_mask(mask, [0.0] * 6) != boxes_from_mask(mask, [0.9] * 6)


def test_a_single_pixel_gets_a_ring():
    mask = np.zeros((40, 60), dtype=np.bool_)
    mask[20, 30] = True
    assert boxes_from_mask(mask, [0.0] * 6) == ((29, 19, 32, 22), (30, 20, 31, 21))


def test_an_empty_mask_is_told():
    with pytest.raises(RowProblem, match="empty"):
        boxes_from_mask(np.zeros((4, 4), dtype=np.bool_), [0.5] * 6)


def test_a_proposed_box_shares_the_centre_and_stays_on_the_image():
    assert propose_small((10, 10, 30, 20)) == (15, 12.5, 25, 17.5)
    assert propose_big((15, 12.5, 25, 17.5), (40, 60)) == (10, 10, 30, 20)
    assert propose_big((0, 0, 10, 10), (40, 60)) == (0, 0, 15, 15)
