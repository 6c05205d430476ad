"""What colour alone says: GrabCut, seeded by the two boxes (Rother 2004)."""

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ringsam.geometry import ellipse_radius

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Masks = npt.NDArray[np.bool_]
Window = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the image

_MARGIN = 0.3  # of the big box's side, on each side: the background that the model learns from
_MAX_SIDE_PX = 128  # crops are brought down to this: as fine as SAM's decoder draws an object
_NUM_ROUNDS = 5
_MEDIAN_PX = 5  # of the crop


def colour_masks(
    pixels: Pixels, big_box: npt.NDArray[np.float32], small_box: npt.NDArray[np.float32]
) -> Masks:
    """Two readings of one object, (2, height, width): as it is, and smoothed. Where they differ, colours do not tell.

    So of an object with no background around it they differ all over the ring.
    """
    return _paste(*colour_readings(pixels, big_box, small_box), pixels)


def colour_readings(
    pixels: Pixels, big_box: npt.NDArray[np.float32], small_box: npt.NDArray[np.float32]
) -> tuple[Masks, Window]:
    """The same in the big box's window alone: left, top, right and bottom of it, in pixels of the image."""
    window = _window(big_box, height=pixels.shape[0], width=pixels.shape[1])
    readings = [
        _reading(pixels, big_box, small_box, window, smooth=smooth) for smooth in (False, True)
    ]
    return np.stack(readings), window


def colour_mask(
    pixels: Pixels,
    big_box: npt.NDArray[np.float32],
    small_box: npt.NDArray[np.float32],
    *,
    smooth: bool = False,
) -> Mask:
    """The object's mask (height, width): the small box is object, outside the big box is not, colours decide the ring.

    The whole ring begins as object. With `smooth`, for images of much grain, a median takes the grain
    away first, and only the ellipse half way between the boxes begins as object. Where no background is
    left to learn from (the big box is all of the image) the mask is the big box, with `smooth` the small
    one. The same image and boxes always give the same mask.
    """
    window = _window(big_box, height=pixels.shape[0], width=pixels.shape[1])
    return _paste(_reading(pixels, big_box, small_box, window, smooth=smooth), window, pixels)


def _paste(readings: Masks, window: Window, pixels: Pixels) -> Masks:
    """The readings of a window, one or several, on an empty image."""
    left, top, right, bottom = window
    masks = np.zeros((*readings.shape[:-2], *pixels.shape[:2]), dtype=np.bool_)
    masks[..., top:bottom, left:right] = readings
    return masks


def _reading(
    pixels: Pixels,
    big_box: npt.NDArray[np.float32],
    small_box: npt.NDArray[np.float32],
    window: Window,
    *,
    smooth: bool,
) -> Mask:
    left, top, right, bottom = window
    scale = min(1.0, _MAX_SIDE_PX / max(right - left, bottom - top))
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    crop: Pixels = np.asarray(
        cv2.resize(pixels[top:bottom, left:right], size, interpolation=cv2.INTER_AREA),
        dtype=np.uint8,
    )
    corner = np.array([left, top, left, top], dtype=np.float32)
    seeds = np.full(crop.shape[:2], cv2.GC_BGD, dtype=np.uint8)
    big, small = (big_box - corner) * scale, (small_box - corner) * scale
    seeds[_rows_columns(big, seeds.shape)] = cv2.GC_PR_FGD
    if smooth:
        crop = np.asarray(cv2.medianBlur(crop, _MEDIAN_PX), dtype=np.uint8)
        between = torch.from_numpy((big + small) / 2)[None].double()
        beyond = ellipse_radius(between, height=size[1], width=size[0])[0].numpy() > 1
        seeds[(seeds == cv2.GC_PR_FGD) & beyond] = cv2.GC_PR_BGD
    seeds[_rows_columns(small, seeds.shape)] = cv2.GC_FGD
    if (seeds == cv2.GC_BGD).any():
        found = _cut(crop, seeds)
    else:
        found = seeds == cv2.GC_FGD if smooth else seeds != cv2.GC_BGD
    full = cv2.resize(
        found.astype(np.uint8), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR
    )
    mask: Mask = full > 0
    return mask


def _window(box: npt.NDArray[np.float32], *, height: int, width: int) -> Window:
    """The big box and a margin, in whole pixels inside the image."""
    margin_x, margin_y = _MARGIN * (box[2] - box[0]) + 2, _MARGIN * (box[3] - box[1]) + 2
    left, top = max(0, int(box[0] - margin_x)), max(0, int(box[1] - margin_y))
    right, bottom = int(np.ceil(box[2] + margin_x)), int(np.ceil(box[3] + margin_y))
    return left, top, min(width, right), min(height, bottom)


def _rows_columns(box: npt.NDArray[np.float32], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The pixels of a box, one at least."""
    left, top = (min(round(float(v)), s - 1) for v, s in zip(box[:2], shape[::-1], strict=True))
    right, bottom = (round(float(v)) for v in box[2:])
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def _cut(crop: Pixels, seeds: npt.NDArray[np.uint8]) -> Mask:
    """GrabCut's answer on the crop; it needs some certain background to learn from."""
    core: Mask = seeds == cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(crop, seeds, (0, 0, 0, 0), *models, _NUM_ROUNDS, cv2.GC_INIT_WITH_MASK)
    found: Mask = core | (seeds == cv2.GC_PR_FGD)
    return found
