"""Row 9: a box of which half or more lies on the image is clipped, with the amount told; any other is an error."""

import pytest
from data.written_rows import an_object
from hypothesis import given
from hypothesis import strategies as st

from ringsam.data.boxes import judge_boxes
from ringsam.data.check import check
from ringsam.data.findings import RowProblem


@given(shift=st.floats(-80, 80, allow_nan=False), height=st.sampled_from([40, 50]))
def test_a_box_is_clipped_where_half_of_it_is_kept_else_refused(shift, height):
    big, small = [5 + shift, 5, 25 + shift, 35], [14.8 + shift, 15, 15.2 + shift, 25]
    kept = max(0.0, min(25 + shift, 60) - max(5 + shift, 0)) / 20
    if abs(kept - 0.5) < 1e-6:
        return
    row = {"big_box": big, "small_box": small}
    if kept < 0.5:
        with pytest.raises(RowProblem, match=r"^big_box .* outside the image"):
            judge_boxes(row, (height, 60))
        return
    try:
        pair = judge_boxes(row, (height, 60))
    except RowProblem as problem:  # the small one is the one that is outside
        assert problem.reason.startswith("small_box")
        return
    assert 0 <= pair.big[0] < pair.big[2] <= 60
    assert bool(pair.warnings) == (big[0] < 0 or big[2] > 60)


def test_check_reports_the_amount(make_data):
    (finding,) = check(
        make_data([an_object(big_box=[-6, 10, 24, 30], small_box=[5, 15, 15, 25])])
    ).warnings
    assert "lies 20.0% outside the image" in finding.reason
    assert finding.mend == "clipped to [0, 10, 24, 30]"
