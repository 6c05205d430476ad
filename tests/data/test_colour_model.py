"""Colours seeded by two boxes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ringsam.data.colour_model import colour_mask, colour_masks


def drawn_disc() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:80, :100]
    disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 18**2
    noise = np.random.default_rng(0).normal(0, 8, (80, 100, 3))
    pixels = np.where(disc[..., None], (200, 80, 90), (60, 120, 70)) + noise
    return pixels.clip(0, 255).astype(np.uint8), disc


def boxes(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_a_disc_of_its_own_colour_is_found():
    pixels, disc = drawn_disc()
    mask = colour_mask(pixels, boxes(26, 15, 74, 66), boxes(42, 32, 58, 48))
    assert (mask & disc).sum() / (mask | disc).sum() > 0.93


def test_the_second_reading_sees_through_grain():
    rows, columns = np.mgrid[:120, :120]
    disc = (rows - 60) ** 2 + (columns - 60) ** 2 < 32**2
    grain = np.random.default_rng(0).normal(0, 1, (120, 120, 1))
    pixels = (np.where(disc[..., None], 170, 110) + 55 * grain).clip(0, 255).astype(np.uint8)
    sharp, smooth = colour_masks(
        pixels.repeat(3, axis=2), boxes(18, 18, 102, 102), boxes(44, 44, 76, 76)
    )
    quality = [(mask & disc).sum() / (mask | disc).sum() for mask in (sharp, smooth)]
    assert quality[1] > quality[0] + 0.1 and quality[1] > 0.75


def test_the_two_readings_agree_where_colours_tell():
    pixels, _ = drawn_disc()
    sharp, smooth = colour_masks(pixels, boxes(26, 15, 74, 66), boxes(42, 32, 58, 48))
    assert (sharp != smooth).mean() < 0.01


def test_the_same_image_and_boxes_give_the_same_mask():
    pixels, _ = drawn_disc()
    first, second = (
        colour_mask(pixels, boxes(26, 15, 74, 66), boxes(42, 32, 58, 48)) for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_of_an_object_without_background_the_readings_differ_all_over_the_ring():
    pixels, _ = drawn_disc()
    sharp, smooth = colour_masks(pixels, boxes(0, 0, 100, 80), boxes(40, 30, 60, 50))
    core = np.zeros((80, 100), dtype=bool)
    core[30:50, 40:60] = True
    assert sharp.all() and np.array_equal(smooth, core)


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.floats(0, 1, width=32), min_size=8, max_size=8),
)
def test_any_boxes_on_any_image_give_a_mask_inside_the_big_box(height, width, places):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    xs, ys = np.sort(places[:4]) * width, np.sort(places[4:]) * height
    big, small = boxes(xs[0], ys[0], xs[3], ys[3]), boxes(xs[1], ys[1], xs[2], ys[2])
    masks = colour_masks(pixels, big, small)
    assert masks.shape == (2, height, width)
    _, rows, columns = masks.nonzero()
    assert (rows >= big[1] - 2).all() and (rows <= big[3] + 2).all()
    assert (columns >= big[0] - 2).all() and (columns <= big[2] + 2).all()
