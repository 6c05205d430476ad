"""The painter's canvas: colours below, and above each pixel the name of the object that is seen there."""

import numpy as np
from numpy.typing import NDArray

from pretrain.fields import Colour
from pretrain.shapes import Shape

Pixels = NDArray[np.float32]  # (height, width, 3), RGB in [0, 1]


class Canvas:
    """Paints shapes over one another and knows what stays visible of each; 0 owns the background."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels.astype(np.float32)
        self.size = pixels.shape[:2]
        self.owner = np.zeros(self.size, dtype=np.int32)
        self._parents: dict[int, int] = {}

    def overlap(self, shape: Shape) -> float:
        """The share of the shape that other objects already own."""
        inside = shape.alpha > 0.5
        return float((self.owner[shape.window][inside] > 0).mean()) if inside.any() else 1.0

    def blend(self, shape: Shape, paint: Colour | Pixels, *, opacity: float = 1.0) -> None:
        """Colour the shape's pixels without making it an object: hairs, stains, fibres that nobody asks for."""
        cover = (opacity * shape.alpha)[..., None]
        self.pixels[shape.window] += cover * (paint - self.pixels[shape.window])

    def add(self, shape: Shape, change: Colour | Pixels) -> None:
        """Add light (or take it, below zero) under the shape without making it an object."""
        self.pixels[shape.window] += shape.alpha[..., None] * change

    def claim(self, shape: Shape, *, parent: int = 0) -> int:
        """Make the shape an object, in front of what it covers; a part stays within its parent and belongs to both."""
        name = len(self._parents) + 1
        self._parents[name] = parent
        inside = shape.alpha > 0.5
        window = self.owner[shape.window]
        if parent:
            inside = inside & (window == parent)
        window[inside] = name
        return name

    def objects(self, *, min_area: int) -> list[int]:
        """The names of the objects of which at least `min_area` pixels are seen, parts included."""
        areas = np.bincount(self.owner.ravel(), minlength=len(self._parents) + 1)
        return [name for name in self._parents if areas[self._family(name)].sum() >= min_area]

    def parent(self, name: int) -> int:
        """The object that this one is a part of, or 0."""
        return self._parents[name]

    def mask(self, name: int) -> NDArray[np.bool_]:
        """What is seen of the object and its parts, (height, width)."""
        family = self._family(name)
        return np.isin(self.owner, family) if len(family) > 1 else self.owner == name

    def _family(self, name: int) -> list[int]:
        return [name, *(part for part, parent in self._parents.items() if parent == name)]
