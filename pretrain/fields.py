"""Smooth random fields: the stuff that drawn surfaces, shades and outlines are made of. Every function takes a numpy Generator."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Field = NDArray[np.float32]  # (height, width)
Colour = NDArray[np.float32]  # (3,), RGB in [0, 1]


def resize(field: Field, height: int, width: int) -> Field:
    """The field stretched to (height, width), bicubic."""
    image = Image.fromarray(np.asarray(field, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    grain_px: float,
    octaves: int = 3,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Field:
    """Multi-octave noise of about zero mean and unit spread; its largest grain is `grain_px` long.

    `stretch` lengthens the grains in y and x: (8, 1) draws vertical streaks.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        grain = max(grain_px / 2**octave, 1.0)
        rows = int(np.clip(np.ceil(height / (grain * stretch[0])), 2, height))
        columns = int(np.clip(np.ceil(width / (grain * stretch[1])), 2, width))
        coarse = rng.standard_normal((rows + 2, columns + 2), dtype=np.float32)
        total += resize(coarse, height, width) * 0.6**octave
    return total / max(float(total.std()), 1e-6)


def stripes(rng: np.random.Generator, height: int, width: int, *, period_px: float) -> Field:
    """A sine grating of random direction and a slightly wavy phase, in [-1, 1]."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = noise(rng, height, width, grain_px=max(height, width) / 2, octaves=1)
    phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period_px
    return np.sin(phase + rng.uniform(0, 1.5) * bend).astype(np.float32)


def shading(rng: np.random.Generator, height: int, width: int) -> Field:
    """A slow tilt and bow of the light, zero in the middle, about [-1, 1]."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    slope_y, slope_x, bow_y, bow_x = rng.uniform(-0.5, 0.5, 4).astype(np.float32)
    return slope_y * y + slope_x * x + bow_y * y**2 + bow_x * x**2


def vignette(rng: np.random.Generator, height: int, width: int) -> Field:
    """The darkening of a round lens: 1 inside a circle about the middle, falling to 0 outside."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * height / max(height, width)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * width / max(height, width)
    reach = np.hypot(y - rng.uniform(-0.08, 0.08), x - rng.uniform(-0.08, 0.08))
    radius, fall = rng.uniform(0.8, 1.25), rng.uniform(0.02, 0.35)
    return np.clip((radius - reach) / fall, 0, 1).astype(np.float32)


def texture(rng: np.random.Generator, height: int, width: int) -> Field:
    """One of several surfaces, about zero mean and unit spread: clouds, grain, speckle, stripes, streaks."""
    kind = rng.integers(5)
    longest = max(height, width)
    if kind == 0:
        return noise(rng, height, width, grain_px=rng.uniform(0.1, 0.7) * longest, octaves=5)
    if kind == 1:
        return noise(rng, height, width, grain_px=rng.uniform(2, 8), octaves=2)
    if kind == 2:
        spots = rng.random((height, width), dtype=np.float32) > rng.uniform(0.95, 0.995)
        speckle = ndimage.gaussian_filter(spots.astype(np.float32), rng.uniform(0.6, 2.5))
        return (speckle - speckle.mean()) / max(float(speckle.std()), 1e-6)
    if kind == 3:
        return 1.4 * stripes(rng, height, width, period_px=rng.uniform(4, 40))
    stretch = (rng.uniform(4, 30), 1.0) if rng.random() < 0.5 else (1.0, rng.uniform(4, 30))
    return noise(rng, height, width, grain_px=rng.uniform(2, 6), octaves=2, stretch=stretch)


def colour(rng: np.random.Generator, *, low: float = 0.0, high: float = 1.0) -> Colour:
    """A random colour whose mean brightness lies in [low, high]; about a third of them are almost gray."""
    brightness = rng.uniform(low, high)
    tint = rng.standard_normal(3) * rng.choice([0.02, 0.1, 0.2])
    return np.clip(brightness + tint - tint.mean(), 0, 1).astype(np.float32)


def tinted(field: Field, base: Colour, tint: Colour) -> NDArray[np.float32]:
    """The colour `base` moved along `tint` by the field, (height, width, 3)."""
    return base + field[..., None] * tint
