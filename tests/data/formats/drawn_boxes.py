"""Three objects on two images, for labelling tools to write down."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"a.png": (60, 40), "b.png": (50, 30)}  # width, height

PAIRS = {
    "a.png": [([10, 10, 40, 30], [20, 15, 30, 25]), ([42, 4, 58, 20], [46, 8, 54, 16])],
    "b.png": [([5, 5, 25, 25], [10, 10, 20, 20])],
}

ROLES = ("big", "small")


def write_images(root: Path, folder: str = "images") -> Path:
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / name)
    return root


def drawn(name: str) -> list[tuple[int, str, list[int]]]:
    """(group, role, box) of an image's boxes in the order they were drawn: big, small, big, small."""
    boxes = enumerate(PAIRS[name], start=1)
    return [(n, role, box) for n, pair in boxes for role, box in zip(ROLES, pair, strict=True)]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path
