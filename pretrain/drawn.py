"""Endless drawn images with instance masks: (seed, index) names one image, the same on every machine.

python -m pretrain.drawn --size 256 --count 64 --sheet sheet.png     # look at them, and time them
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pretrain import cells, pile, surfaces
from pretrain.camera import photograph

SCENES = (
    (0.20, cells.glowing_nuclei),
    (0.16, cells.stained_cells),
    (0.12, surfaces.lesion),
    (0.14, cells.whole_cells),
    (0.26, surfaces.worn_surface),
    (0.12, pile.coloured_pile),
)
MIN_AREA = 1.2e-4  # of the image: 8 pixels of a 256 x 256 image


class DrawnImage(NamedTuple):
    """`pixels` uint8 (height, width, 3) RGB; `masks` bool (n, height, width), n >= 1, each with at least one pixel."""

    pixels: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def draw(seed: int, index: int, *, size: int, max_objects: int) -> DrawnImage:
    """The image of that seed and index: its longest side is `size` px; at most `max_objects` of its objects, chosen at random.

    The scene is painted at 0.35 to 1 of the size and stretched, as small real images are.
    """
    for attempt in range(100):
        rng = np.random.default_rng((seed, index, attempt))
        height, width = _frame(rng, size)
        scale = rng.choice([1.0, rng.uniform(0.35, 1.0)])
        small = max(round(height * scale), 32), max(round(width * scale), 32)
        shares = [share for share, _ in SCENES]
        canvas = SCENES[rng.choice(len(SCENES), p=shares)][1](rng, small)
        names = canvas.objects(min_area=max(int(MIN_AREA * small[0] * small[1]), 4))
        if not names:
            continue
        masks = np.stack([canvas.mask(name) for name in rng.permutation(names)[:max_objects]])
        image = photograph(rng, canvas.pixels)
        return _stretch(image, masks, height, width)
    raise ValueError(
        f"seed {seed}, index {index}: a hundred scenes without an object; is size {size} too small?"
    )


def _frame(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Height and width: a square in half of the cases, else a rectangle down to 2:1."""
    other = size if rng.random() < 0.5 else int(size * rng.uniform(0.5, 1.0))
    return (size, other) if rng.random() < 0.5 else (other, size)


def _stretch(
    image: NDArray[np.uint8], masks: NDArray[np.bool_], height: int, width: int
) -> DrawnImage:
    """Image and masks at (height, width), bilinear; a mask is where its stretched indicator passes one half."""
    if image.shape[:2] == (height, width):
        return DrawnImage(np.ascontiguousarray(image), masks)
    picture = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    large = [
        Image.fromarray(mask.astype(np.uint8) * 255).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for mask in masks
    ]
    return DrawnImage(picture, np.stack([np.asarray(mask) > 127 for mask in large]))


def contact_sheet(drawn: list[DrawnImage], size: int) -> Image.Image:
    """Eight images a row, the outlines of their masks in green."""
    sheet = Image.new("RGB", (8 * size, -(-len(drawn) // 8) * size))
    for index, (pixels, masks) in enumerate(drawn):
        shown = pixels.copy()
        for mask in masks:
            inner = (
                mask[1:-1, 1:-1]
                & mask[:-2, 1:-1]
                & mask[2:, 1:-1]
                & mask[1:-1, :-2]
                & mask[1:-1, 2:]
            )
            outline = mask.copy()
            outline[1:-1, 1:-1] &= ~inner
            shown[outline] = (0, 255, 0)
        sheet.paste(Image.fromarray(shown), (index % 8 * size, index // 8 * size))
    return sheet


def main() -> None:
    """Draw some images, print how many one core makes in a second, and save a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--sheet", type=Path, default=None)
    options = parser.parse_args()
    start = time.process_time()
    drawn = [
        draw(options.seed, index, size=options.size, max_objects=8)
        for index in range(options.count)
    ]
    print(f"{options.count / (time.process_time() - start):.1f} images/s per core")
    if options.sheet:
        contact_sheet(drawn, options.size).save(options.sheet)


if __name__ == "__main__":
    main()
