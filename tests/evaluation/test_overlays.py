import base64
import io
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from ringsam.evaluation.overlays import data_address, draw_overlay, fill_path, outline_path
from ringsam.geometry import crop_window


def slow_edges(mask: np.ndarray) -> set[tuple[str, int, int]]:
    """Every unit edge between a pixel of the mask and one that is not."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    across = {
        ("h", x, y)
        for y in range(height + 1)
        for x in range(width)
        if padded[y, x + 1] != padded[y + 1, x + 1]
    }
    along = {
        ("v", x, y)
        for y in range(height)
        for x in range(width + 1)
        if padded[y + 1, x] != padded[y + 1, x + 1]
    }
    return across | along


def drawn_edges(path: str) -> set[tuple[str, int, int]]:
    edges: set[tuple[str, int, int]] = set()
    for x, y, kind, end in re.findall(r"M(\d+) (\d+)([HV])(\d+)", path):
        if kind == "H":
            edges |= {("h", u, int(y)) for u in range(int(x), int(end))}
        else:
            edges |= {("v", int(x), v) for v in range(int(y), int(end))}
    return edges


@given(arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_an_outline_is_every_edge_between_mask_and_outside(mask: np.ndarray) -> None:
    assert drawn_edges(outline_path(mask)) == slow_edges(mask)


@given(arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_strips_fill_every_pixel_of_the_mask_once(mask: np.ndarray) -> None:
    filled = np.zeros(mask.shape, dtype=int)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1H\d+z", fill_path(mask)):
        filled[int(y), int(x) : int(x) + int(width)] += 1
    np.testing.assert_array_equal(filled, mask)


def test_an_empty_mask_has_no_outline() -> None:
    assert outline_path(np.zeros((5, 5), dtype=np.bool_)) == ""


def test_large_masks_have_short_outlines() -> None:
    y, x = np.mgrid[:2000, :2000]
    path = outline_path((x - 1000) ** 2 + (y - 1000) ** 2 < 900**2)
    assert len(path) < 12_000


@given(st.integers(0, 90), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40))
def test_the_window_holds_the_box_and_stays_on_the_image(x: int, y: int, w: int, h: int) -> None:
    box = np.array([x, y, min(x + w, 100), min(y + h, 70)], dtype=np.float32)
    left, top, right, bottom = crop_window(box, height=70, width=100)
    assert 0 <= left <= box[0] < box[2] <= right <= 100
    assert 0 <= top <= box[1] < box[3] <= bottom <= 70


def test_boxes_move_with_the_crop() -> None:
    pixels = np.zeros((80, 80, 3), dtype=np.uint8)
    big, small = (np.array(box, dtype=np.float32) for box in ([20, 30, 60, 70], [35, 45, 45, 55]))
    drawn = draw_overlay(pixels, big, small, {"truth": np.ones((80, 80), dtype=np.bool_)})
    left, top, _, _ = crop_window(big, height=80, width=80)
    assert drawn.big_box == (20 - left, 30 - top, 40, 40)
    assert drawn.small_box == (35 - left, 45 - top, 10, 10)


def test_pictures_are_no_larger_than_shown() -> None:
    address = data_address(np.zeros((900, 1800, 3), dtype=np.uint8))
    image = Image.open(
        io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,")))
    )
    assert image.size == (420, 210)
