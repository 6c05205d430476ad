import math

from hypothesis import given
from hypothesis import strategies as st

from ringsam.evaluation.charts import (
    HEIGHT,
    WIDTH,
    Line,
    epoch_ticks,
    histogram_chart,
    line_chart,
    nice_ticks,
    scatter_chart,
    short_number,
)  # fmt: skip

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-9)


@given(NUMBERS, NUMBERS)
def test_ticks_hold_every_value_and_are_few(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    ticks = nice_ticks(low, high, 4)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert 2 <= len(ticks) <= 7


def test_ticks_are_round() -> None:
    assert nice_ticks(0, 7.3, 4) == [0, 2, 4, 6, 8]
    assert epoch_ticks([1, 2, 3]) == [1, 2, 3]
    assert len(epoch_ticks(range(1, 1001))) <= 8


def test_labels_are_short() -> None:
    assert [short_number(v) for v in (0.0, 0.30000000000000004, 2e-5, 15000)] == [
        "0",
        "0.3",
        "2e-05",
        "15k",
    ]


def test_a_gap_lifts_the_pen() -> None:
    values = [1.0, None, 2.0, math.nan, 3.0, 4.0]
    chart = line_chart("t", [Line("", values)], y_title="y", epochs=range(1, 7))
    assert chart is not None
    assert chart.marks[0].path.count("M") == 3
    assert chart.marks[0].path.count("L") == 1


def test_without_numbers_there_is_no_chart() -> None:
    assert line_chart("t", [Line("", [None, math.inf])], y_title="y", epochs=[1, 2]) is None


def test_one_epoch_is_a_dot_inside_the_drawing() -> None:
    chart = line_chart("t", [Line("", [0.5])], y_title="y", epochs=[1])
    assert chart is not None
    x, y = (float(v) for v in chart.marks[1].path[1:-2].split())
    assert 0 < x < WIDTH
    assert 0 < y < HEIGHT


def test_counts_start_at_zero() -> None:
    chart = line_chart("t", [Line("", [90.0, 95.0])], y_title="y", epochs=[1, 2], y_from=0)
    assert chart is not None
    assert chart.y_ticks[0][1] == "0"


def test_many_objects_are_thinned_and_the_page_says_so() -> None:
    chart = scatter_chart("t", [0.5] * 9000, [0.6] * 9000)
    assert chart.marks[1].path.count("M") == 3000
    assert "One of 3 objects" in chart.note


def test_the_histogram_puts_an_iou_of_one_in_its_last_bin() -> None:
    chart = histogram_chart("t", [Line("zero-shot", [1.0, 1.0, 0.0], "zero")])
    assert chart.y_ticks[-1][1] == "2"
