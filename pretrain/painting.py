"""What every drawn scene begins with: a ground, a place for the next object, the colours of its surface."""

import numpy as np

from pretrain.canvas import Canvas
from pretrain.fields import colour, noise, shading, texture, tinted
from pretrain.shapes import Shape

Size = tuple[int, int]  # height, width in px


def lay_ground(
    rng: np.random.Generator, size: Size, *, low: float, high: float, strength: float
) -> Canvas:
    """A coloured ground with some texture and a slow shade."""
    base = colour(rng, low=low, high=high)
    tint = colour(rng) - 0.5 if rng.random() < 0.4 else np.ones(3, dtype=np.float32)
    pixels = tinted(
        strength * texture(rng, *size) + rng.uniform(0, 0.1) * shading(rng, *size), base, tint
    )
    if rng.random() < 0.5:
        pixels = pixels + strength * rng.uniform(0.2, 0.8) * texture(rng, *size)[..., None]
    return Canvas(pixels)


def pick_centre(
    rng: np.random.Generator, size: Size, radius_px: float, last: tuple[float, float, float] | None
) -> tuple[float, float]:
    """A centre on the canvas, or one that just touches the `last` object (y, x, radius)."""
    if last is None:
        return rng.uniform(0, size[0]), rng.uniform(0, size[1])
    angle, gap = rng.uniform(0, 2 * np.pi), (last[2] + radius_px) * rng.uniform(0.75, 1.15)
    return last[0] + gap * np.sin(angle), last[1] + gap * np.cos(angle)


def surface_colours(
    rng: np.random.Generator, shape: Shape, base: np.ndarray, *, strength: float
) -> np.ndarray:
    """The colours of one object: its base with a texture and a rim-to-middle change."""
    height, width = shape.alpha.shape
    grain = noise(rng, height, width, grain_px=rng.uniform(2, max(height, 4)), octaves=2)
    return base + (strength * grain)[..., None] * rng.uniform(0.5, 1, 3).astype(np.float32)
