import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ringsam.metrics import boundary_band, boundary_iou, dice, iou

MASKS = arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 9)))


def slow_band(mask: np.ndarray, width_px: int) -> np.ndarray:
    """Pixel by pixel: in the mask, and something outside (or beyond the image) within `width_px`."""
    height, width = mask.shape
    band = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            around = [
                (y + dy, x + dx)
                for dy in range(-width_px, width_px + 1)
                for dx in range(-width_px, width_px + 1)
            ]
            outside = any(
                not (0 <= v < height and 0 <= u < width) or not mask[v, u] for v, u in around
            )
            band[y, x] = mask[y, x] and outside
    return band


def slow_ratio(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    first, second = set(zip(*one.nonzero(), strict=True)), set(zip(*other.nonzero(), strict=True))
    if not first | second:
        return 1.0, 1.0
    shared = len(first & second)
    return shared / len(first | second), 2 * shared / (len(first) + len(second))


@settings(deadline=None, max_examples=50)
@given(MASKS)
def test_iou_and_dice_equal_their_slow_twins(pair: np.ndarray) -> None:
    one, other = (torch.from_numpy(mask)[None] for mask in pair)
    slow_iou, slow_dice = slow_ratio(*pair)
    assert iou(one, other).item() == pytest.approx(slow_iou, abs=1e-6)
    assert dice(one, other).item() == pytest.approx(slow_dice, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(MASKS)
def test_iou_and_dice_are_symmetric_and_tell_each_other(pair: np.ndarray) -> None:
    one, other = (torch.from_numpy(mask)[None] for mask in pair)
    assert iou(one, other) == iou(other, one)
    assert iou(one, one) == 1
    overlap = iou(one, other).item()
    assert dice(one, other).item() == pytest.approx(2 * overlap / (1 + overlap), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(MASKS, st.integers(1, 4))
def test_the_boundary_band_equals_its_slow_twin(pair: np.ndarray, width_px: int) -> None:
    band = boundary_band(torch.from_numpy(pair), width_px).numpy()
    assert np.array_equal(band, np.stack([slow_band(mask, width_px) for mask in pair]))


def test_a_large_square_has_a_band_of_the_width_asked_for() -> None:
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 5:35, 5:35] = True
    assert boundary_band(mask, 3).sum() == 30**2 - 24**2


def test_the_image_border_is_a_boundary_too() -> None:
    full = torch.ones(1, 20, 20, dtype=torch.bool)
    assert boundary_band(full, 2).sum() == 20**2 - 16**2


def test_boundary_iou_sees_a_wrong_border_that_iou_forgives() -> None:
    target = torch.zeros(1, 200, 200, dtype=torch.bool)
    target[0, 20:180, 20:180] = True
    mask = torch.zeros_like(target)
    mask[0, 23:177, 23:177] = True
    assert iou(mask, target) > 0.9
    assert boundary_iou(mask, target) < 0.5


def test_boundary_iou_takes_its_width_from_the_diagonal() -> None:
    masks = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(0)) > 0.1
    targets = torch.ones_like(masks)
    expected = iou(boundary_band(masks, 2), boundary_band(targets, 2))  # 2 % of 100 px
    assert torch.equal(boundary_iou(masks, targets), expected)


def test_no_objects_give_no_numbers() -> None:
    none = torch.zeros(0, 8, 8, dtype=torch.bool)
    for metric in (iou, dice, boundary_iou):
        assert metric(none, none).shape == (0,)
