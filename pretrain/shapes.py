"""Outlines with soft edges, each in its own small window of the canvas: blobs, polygons, strokes, ragged regions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from pretrain.fields import Field, noise


class Shape(NamedTuple):
    """`alpha` (height, width) in [0, 1] with its top-left corner at (`top`, `left`) of the canvas; > 0.5 is inside."""

    alpha: Field
    top: int
    left: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the canvas that the shape may touch."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def _window(
    centre: tuple[float, float], reach: float, size: tuple[int, int]
) -> tuple[int, int, NDArray[np.float32], NDArray[np.float32]]:
    """Top, left and the y and x offsets from the centre over the square window of that reach, clipped to the canvas."""
    top = int(np.clip(centre[0] - reach, 0, size[0] - 1))
    left = int(np.clip(centre[1] - reach, 0, size[1] - 1))
    bottom = int(np.clip(centre[0] + reach + 1, top + 1, size[0]))
    right = int(np.clip(centre[1] + reach + 1, left + 1, size[1]))
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - centre[0]
    x = np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - centre[1]
    return top, left, y, x


def _soften(level: Field, softness_px: float) -> Field:
    return np.clip(level / max(softness_px, 1.0) + 0.5, 0, 1).astype(np.float32)


def blob(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    centre: tuple[float, float],
    radius_px: float,
    aspect: float = 1.0,
    waviness: float = 0.1,
    softness_px: float = 1.0,
) -> Shape:
    """A rotated ellipse whose radius swings by `waviness` (relative) over 2 to 7 lobes."""
    top, left, y, x = _window(centre, radius_px * max(aspect, 1 / aspect) * 1.5 + softness_px, size)
    turn = rng.uniform(0, np.pi)
    along = (x * np.cos(turn) + y * np.sin(turn)) / np.sqrt(aspect)
    across = (y * np.cos(turn) - x * np.sin(turn)) * np.sqrt(aspect)
    angle = np.arctan2(across, along)
    swing = np.zeros_like(angle)
    for lobes in range(2, 8):
        swing += rng.normal() / lobes * np.cos(lobes * angle + rng.uniform(0, 2 * np.pi))
    outline = radius_px * np.clip(1 + waviness * swing, 0.35, 1.6)
    return Shape(_soften(outline - np.hypot(along, across), softness_px), top, left)


def polygon(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    centre: tuple[float, float],
    radius_px: float,
    aspect: float = 1.0,
    softness_px: float = 1.0,
) -> Shape:
    """A convex polygon of 3 to 7 sides."""
    top, left, y, x = _window(centre, radius_px * max(aspect, 1 / aspect) * 2 + softness_px, size)
    corners = int(rng.integers(3, 8))
    turn = rng.uniform(0, np.pi)
    along = (x * np.cos(turn) + y * np.sin(turn)) / aspect
    across = (y * np.cos(turn) - x * np.sin(turn)) * aspect
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) / corners
    level = np.full(np.broadcast_shapes(along.shape, across.shape), np.inf, dtype=np.float32)
    for angle in angles:
        side = radius_px * rng.uniform(0.75, 1.0) - along * np.cos(angle) - across * np.sin(angle)
        level = np.minimum(level, side)
    return Shape(_soften(level, softness_px), top, left)


def stroke(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    start: tuple[float, float],
    length_px: float,
    width_px: float,
    wobble: float = 0.4,
    heading: float | None = None,
) -> Shape:
    """A wandering line of changing width, such as a crack, a hair or a fibre; `heading` in radians, 0 is rightwards."""
    steps = int(np.clip(length_px / 4, 3, 60))
    first = rng.uniform(0, 2 * np.pi) if heading is None else heading
    turns = first + np.cumsum(rng.normal(0, wobble / np.sqrt(steps), steps) * 3)
    y = start[0] + np.cumsum(np.sin(turns)) * length_px / steps
    x = start[1] + np.cumsum(np.cos(turns)) * length_px / steps
    image = Image.new("L", (size[1] * 2, size[0] * 2))
    pen = ImageDraw.Draw(image)
    widths = np.maximum(
        width_px
        * (1 + 0.5 * np.interp(np.arange(steps), [0, steps / 2, steps], rng.normal(0, 0.6, 3))),
        0.8,
    )
    points = np.stack([x, y], axis=1) * 2
    for index in range(1, steps):
        pen.line(
            [tuple(points[index - 1]), tuple(points[index])],
            fill=255,
            width=max(round(widths[index] * 2), 1),
        )
    alpha = np.asarray(
        image.resize((size[1], size[0]), Image.Resampling.BOX), dtype=np.float32
    ) / np.float32(255)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if len(rows) == 0:
        return Shape(alpha[:1, :1], 0, 0)
    top, left = int(rows[0]), int(columns[0])
    return Shape(alpha[top : rows[-1] + 1, left : columns[-1] + 1], top, left)


def outlined(shape: Shape, *, reach_px: float) -> Shape:
    """The shape as a person outlines it: frays and islands smaller than `reach_px` are smoothed away."""
    return Shape(ndimage.gaussian_filter(shape.alpha, reach_px), shape.top, shape.left)


def brushed(shape: Shape, size: tuple[int, int], *, reach_px: float) -> Shape:
    """The shape as a person paints it with a brush too thick for it: grown by `reach_px` on a canvas of that size."""
    reach = max(round(reach_px), 1)
    top, left = max(shape.top - reach, 0), max(shape.left - reach, 0)
    height, width = shape.alpha.shape
    bottom, right = (
        min(shape.top + height + reach, size[0]),
        min(shape.left + width + reach, size[1]),
    )
    alpha = np.zeros((bottom - top, right - left), dtype=np.float32)
    alpha[shape.top - top :, shape.left - left :][:height, :width] = shape.alpha
    return Shape(ndimage.grey_dilation(alpha, footprint=_disc(reach)), top, left)


def _disc(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= (radius + 0.5) ** 2


def border_patch(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    num_borders: int,
    raggedness: float,
    softness_px: float,
) -> Shape:
    """A strip along one border of the canvas, or what is left of it when up to two more cuts across it end it early.

    The cuts run straight, or torn by fractal noise of `raggedness` times the longest side.
    """
    height, width = size
    longest = max(size)
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    tilt = rng.normal(0, 0.1, 3)
    inwards = [height - y + tilt[0] * x, y + tilt[0] * x, width - x + tilt[0] * y, x + tilt[0] * y]
    side = int(rng.integers(4))
    depth = (height if side < 2 else width) * rng.uniform(0.08, 0.6)
    level = np.broadcast_to(depth - inwards[side], size)
    along, extent = (x + tilt[1] * y, width) if side < 2 else (y + tilt[1] * x, height)
    if num_borders > 1:
        level = np.minimum(level, along - extent * rng.uniform(0.1, 0.5))
    if num_borders > 2:
        level = np.minimum(level, extent * rng.uniform(0.6, 0.95) - along)
    if raggedness:
        grain = longest * rng.uniform(0.03, 0.2)
        level = level + raggedness * longest * noise(rng, *size, grain_px=grain, octaves=3)
    return Shape(_soften(level, softness_px), 0, 0)


def ragged(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    centre: tuple[float, float],
    radius_px: float,
    aspect: float,
    raggedness: float,
    softness_px: float,
) -> Shape:
    """A large blob whose outline is torn by fractal noise: a lesion, a stain, a patch of wear."""
    shape = blob(
        rng,
        size,
        centre=centre,
        radius_px=radius_px,
        aspect=aspect,
        waviness=rng.uniform(0.05, 0.35),
        softness_px=radius_px * 2,
    )
    height, width = shape.alpha.shape
    grain = radius_px * rng.uniform(0.25, 0.9)
    level = (shape.alpha - 0.5) * radius_px * 2
    level += raggedness * radius_px * noise(rng, height, width, grain_px=max(grain, 2), octaves=3)
    return Shape(_soften(level, softness_px), shape.top, shape.left)
