"""What a camera and a file format do to a drawn scene: blur, noise, exposure, colour loss, few pixels, JPEG."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pretrain.canvas import Pixels
from pretrain.fields import shading


def photograph(rng: np.random.Generator, pixels: Pixels) -> NDArray[np.uint8]:
    """The scene as an 8-bit image of the same size, made worse in the ways that real images are worse."""
    if rng.random() < 0.35:
        pixels = ndimage.gaussian_filter(pixels, (*[rng.uniform(0.4, 1.6)] * 2, 0))
    if rng.random() < 0.3:
        pixels = pixels * (1 + rng.uniform(0, 0.3) * shading(rng, *pixels.shape[:2])[..., None])
    if rng.random() < 0.25:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.1:
        pixels = 1 - pixels
    pixels = np.clip(pixels, 0, 1) ** np.exp(rng.normal(0, 0.2))
    if rng.random() < 0.3:  # flat or dark exposure
        contrast = rng.uniform(0.2, 0.9)
        pixels = pixels * contrast + (1 - contrast) * rng.choice([0.0, 0.0, rng.uniform(0, 1)])
    if rng.random() < 0.6:
        sigma = np.exp(rng.uniform(np.log(0.004), np.log(0.06)))
        channels = 1 if rng.random() < 0.5 else 3
        grain = rng.standard_normal((*pixels.shape[:2], channels), dtype=np.float32)
        pixels = pixels + sigma * grain * (np.sqrt(pixels + 0.02) if rng.random() < 0.5 else 1)
    image = (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
    return compress(image, quality=int(rng.integers(30, 96))) if rng.random() < 0.5 else image


def compress(image: NDArray[np.uint8], *, quality: int) -> NDArray[np.uint8]:
    """The image after a trip through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
