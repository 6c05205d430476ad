"""Rings, cells and frames, against loops over pixels and corners."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ringsam.draws import Draws
from ringsam.geometry import (
    Frame,
    box_centers,
    cells_inside,
    cells_on_image,
    cells_touched,
    ring_rectangles,
    sample_box_points,
    sample_ring_points,
)

GRID, STRIDE = 8, 8.0
SIDE, CELL = 64, 8  # pixels


def draw_points(small: list[float], big: list[float], num: int, *, seed: int = 0) -> torch.Tensor:
    uniform = Draws(seed, 0).uniform(torch.tensor([0]), 3 * num, "ring").view(1, num, 3)
    return sample_ring_points(torch.tensor([small]), torch.tensor([big]), uniform)[0]


def area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


@st.composite
def nested_boxes(draw) -> tuple[list[float], list[float]]:
    """A small box in a big one; sides may touch, on one axis or on all four sides."""
    place = st.integers(0, 4000).map(lambda value: value / 4)
    x1, x2 = sorted(draw(st.lists(place, min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(place, min_size=2, max_size=2, unique=True)))
    share = st.sampled_from([0.0, 1.0]) | st.floats(0, 1, width=16)
    left, right = sorted([draw(share), draw(share)])
    top, bottom = sorted([draw(share), draw(share)])
    width, height = x2 - x1, y2 - y1
    small = [x1 + left * width, y1 + top * height, x1 + right * width, y1 + bottom * height]
    return small, [x1, y1, x2, y2]


@given(nested_boxes(), st.integers(0, 2**32))
@settings(deadline=None, max_examples=200)
def test_ring_points_lie_in_the_big_box_and_outside_the_small_one(boxes, seed):
    small, big = boxes
    x, y = draw_points(small, big, 64, seed=seed).unbind(dim=1)
    assert ((x >= big[0]) & (x <= big[2]) & (y >= big[1]) & (y <= big[3])).all()
    within = (x > small[0]) & (x < small[2]) & (y > small[1]) & (y < small[3])
    assert not within.any()


@given(nested_boxes())
@settings(deadline=None, max_examples=200)
def test_the_four_rectangles_tile_the_ring(boxes):
    small, big = boxes
    rectangles = ring_rectangles(torch.tensor([small]), torch.tensor([big]))[0].tolist()
    assert sum(map(area, rectangles)) == pytest.approx(area(big) - area(small), abs=1)
    for i, (x1, y1, x2, y2) in enumerate(rectangles):
        for other_x1, other_y1, other_x2, other_y2 in rectangles[:i]:
            width = min(x2, other_x2) - max(x1, other_x1)
            height = min(y2, other_y2) - max(y1, other_y1)
            assert width <= 0 or height <= 0


@pytest.mark.parametrize(
    ("small", "big"),
    [
        ([30.0, 20.0, 50.0, 70.0], [10.0, 10.0, 90.0, 80.0]),
        ([10.0, 10.0, 50.0, 70.0], [10.0, 10.0, 90.0, 80.0]),  # a corner is shared
        ([10.0, 30.0, 90.0, 40.0], [10.0, 10.0, 90.0, 80.0]),  # from side to side
        ([12.0, 11.0, 89.0, 79.0], [10.0, 10.0, 90.0, 80.0]),  # a thin ring
        ([50.0, 40.0, 50.0, 40.0], [10.0, 10.0, 90.0, 80.0]),  # a core without area
    ],
)
def test_ring_points_are_spread_as_rejection_would_spread_them(small, big):
    points = draw_points(small, big, 40_000)
    corner, size = torch.tensor(big[:2]), torch.tensor([big[2] - big[0], big[3] - big[1]])
    tries = corner + size * torch.rand(400_000, 2, generator=torch.Generator().manual_seed(1))
    x, y = tries.unbind(dim=1)
    ring = ~((x > small[0]) & (x < small[2]) & (y > small[1]) & (y < small[3]))
    expected = histogram(tries[ring], corner, size) * len(points) / ring.sum()
    found = histogram(points, corner, size)
    bins = expected >= 5
    assert not found[expected == 0].any()
    chi_square = ((found - expected).square() / expected)[bins].sum()
    freedom = int(bins.sum()) - 1
    # Both sides are samples, hence the factor; five standard deviations of a chi-square.
    limit = (freedom + 5 * (2 * freedom) ** 0.5) * (1 + len(points) / float(ring.sum()))
    assert chi_square < limit


def histogram(points: torch.Tensor, corner: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    bins = ((points - corner) / size * 10).long().clamp(0, 9)
    return torch.bincount(bins[:, 0] * 10 + bins[:, 1], minlength=100).float()


def test_a_ring_without_area_gives_points_on_the_lower_side():
    x, y = draw_points([10.0, 20.0, 50.0, 60.0], [10.0, 20.0, 50.0, 60.0], 100).unbind(dim=1)
    assert (y == 60).all() and (x >= 10).all() and (x < 50).all()


def test_a_small_box_that_leaves_the_big_one_is_cut_at_it():
    leaving, cut = [0.0, 30.0, 50.0, 100.0], [10.0, 30.0, 50.0, 80.0]
    big = [10.0, 10.0, 90.0, 80.0]
    assert torch.equal(draw_points(leaving, big, 50), draw_points(cut, big, 50))


def test_each_objects_points_are_its_own():
    small = torch.tensor([[30.0, 20.0, 50.0, 70.0], [300.0, 200.0, 500.0, 700.0]])
    big = torch.tensor([[10.0, 10.0, 90.0, 80.0], [100.0, 100.0, 900.0, 800.0]])
    uniform = Draws(0, 0).uniform(torch.arange(2), 30, "ring").view(2, 10, 3)
    together = sample_ring_points(small, big, uniform)
    for n in range(2):
        alone = sample_ring_points(small[n : n + 1], big[n : n + 1], uniform[n : n + 1])
        assert torch.equal(together[n], alone[0])
    assert sample_ring_points(small[:0], big[:0], uniform[:0]).shape == (0, 10, 2)


def test_box_points_fill_the_box():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 80.0]])
    points = sample_box_points(
        boxes, Draws(0, 0).uniform(torch.tensor([0]), 8000, "b").view(1, -1, 2)
    )
    assert (points >= boxes[:, None, :2]).all() and (points <= boxes[:, None, 2:]).all()
    torch.testing.assert_close(points.mean(dim=1), box_centers(boxes), rtol=0, atol=1)
    torch.testing.assert_close(points.amin(dim=1), boxes[:, :2], rtol=0, atol=0.1)
    torch.testing.assert_close(points.amax(dim=1), boxes[:, 2:], rtol=0, atol=0.1)


whole_boxes = st.tuples(*[st.integers(0, SIDE)] * 4).filter(lambda b: b[0] < b[2] and b[1] < b[3])


@given(whole_boxes)
@settings(deadline=None, max_examples=60)
def test_cells_are_inside_or_touched_as_their_pixels_are(box):
    boxes = torch.tensor([box]).float()
    inside = cells_inside(boxes, grid=GRID, stride=STRIDE)[0]
    touched = cells_touched(boxes, grid=GRID, stride=STRIDE)[0]
    pixels = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    pixels[box[1] : box[3], box[0] : box[2]] = True
    center_row, center_column = (box[1] + box[3]) / 2 // STRIDE, (box[0] + box[2]) / 2 // STRIDE
    for r in range(GRID):
        for c in range(GRID):
            cell = pixels[r * CELL : (r + 1) * CELL, c * CELL : (c + 1) * CELL]
            holds_center = (r, c) == (center_row, center_column)
            assert inside[r, c] == (bool(cell.all()) or holds_center)
            assert touched[r, c] == bool(cell.any())


@pytest.mark.parametrize("box", [[63.9, 0.0, 64.0, 0.1], [64.0, 64.0, 64.0, 64.0]])
def test_even_the_smallest_box_at_the_far_edge_has_a_cell(box):
    assert cells_inside(torch.tensor([box]), grid=GRID, stride=STRIDE).sum() == 1


@given(st.integers(1, 64), st.integers(1, 64))
@settings(deadline=None, max_examples=60)
def test_cells_on_the_image_hold_no_padding(height, width):
    on_image = cells_on_image(torch.tensor([[height, width]]), grid=GRID, stride=STRIDE)[0]
    pixels = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    # An image thinner than a cell keeps its first row or column of cells.
    pixels[: max(height, CELL), : max(width, CELL)] = True
    for r in range(GRID):
        for c in range(GRID):
            cell = pixels[r * CELL : (r + 1) * CELL, c * CELL : (c + 1) * CELL]
            assert on_image[r, c] == bool(cell.all())


@given(st.integers(1, 5000), st.integers(1, 5000), nested_boxes())
@settings(deadline=None, max_examples=60)
def test_boxes_come_back_from_the_input_frame(height, width, boxes):
    frame = Frame(height, width, max(1, height // 7), max(1, width // 7), 1024)
    given_boxes = torch.tensor(boxes)
    back = frame.boxes_to_image(frame.boxes_to_input(given_boxes))
    torch.testing.assert_close(back, given_boxes, rtol=1e-5, atol=1e-4)
    whole = torch.tensor([[0.0, 0.0, width, height]])
    expected = torch.tensor([[0.0, 0.0, frame.width, frame.height]])
    torch.testing.assert_close(frame.boxes_to_input(whole), expected)
