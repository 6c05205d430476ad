"""Row 11: a small box outside the big one, equal to it, or without a ring is an error of its row; a ring thinner than a pixel where SAM sees it is a warning; what passes can be sampled."""

import pytest
import torch
from data.written_rows import BIG, an_object
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ringsam.data.boxes import judge_boxes
from ringsam.data.check import check
from ringsam.data.findings import RowProblem
from ringsam.geometry import sample_ring_points


@pytest.mark.parametrize(
    ("small", "reason"),
    [
        ([0, 15, 30, 25], "leaves big_box"),
        (BIG, "are the same"),
        ([10.5, 10.5, 39.5, 29.5], "the ring between small_box and big_box is 0.5 px wide"),
    ],
)
def test_boxes_without_a_ring_are_errors_of_their_row(make_data, small, reason):
    (error,) = (e for e in check(make_data([an_object(5, small_box=small)])).errors if e.where)
    assert error.where == "annotation 5" and reason in error.reason and error.mend


def test_a_ring_that_sam_hardly_sees_is_a_warning(make_data):
    folder = make_data(
        [an_object(big_box=[10, 10, 900, 900], small_box=[11.5, 11.5, 898.5, 898.5])]
    )
    Image.new("L", (4096, 4096)).save(folder / "images" / "a.png")
    (warning,) = check(folder).warnings
    assert "is 0.38 px wide where SAM sees the image at 1024 px" in warning.reason
    assert warning.mend == "leave 4.0 px or more on a side"


@given(
    inset=st.tuples(*[st.floats(0, 12)] * 4),
    size=st.tuples(st.integers(40, 5000), st.integers(60, 5000)),
)
def test_a_ring_that_passes_can_always_be_sampled(inset, size):
    left, top, right, bottom = inset
    row = {"big_box": [10, 10, 40, 35], "small_box": [10 + left, 10 + top, 40 - right, 35 - bottom]}
    try:
        pair = judge_boxes(row, size)
    except RowProblem:
        return
    scale = 1024 / max(size)
    big, small = (torch.tensor([box]) * scale for box in (pair.big, pair.small))
    points = sample_ring_points(small, big, torch.rand(1, 20, 3))
    core = small[:, None] + torch.tensor([1e-3, 1e-3, -1e-3, -1e-3])  # single precision
    inside = ((points > core[..., :2]) & (points < core[..., 2:])).all(dim=-1)
    assert points.isfinite().all() and not inside.any()
