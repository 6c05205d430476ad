"""Drawn data sets from a domain that nano was not pretrained on, with masks without end: where recipes are tried before real test sets.

python -m benchmarks.shifted shifted          # writes shifted/speckle_one and shifted/speckle_many, each train/ and test/

The scenes are nano's own, seen as by ultrasound: gray, blurred, of low contrast, under speckle and bands. Boxes are made as
people draw them: the big one 5 to 20 % beyond the object on each side, the small one about its deepest point.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tyro
from PIL import Image
from scipy import ndimage

from pretrain.batches import tight_box
from pretrain.canvas import Canvas, Pixels
from pretrain.pile import coloured_pile
from pretrain.surfaces import lesion
from ringsam.data.masks import encode_mask

Mask = npt.NDArray[np.bool_]

SETS: dict[str, tuple[Callable[..., Canvas], int]] = {  # scene, objects an image at most
    "speckle_one": (lesion, 1),
    "speckle_many": (coloured_pile, 3),
}
SIZES = {"train": 100, "test": 60}
MIN_AREA_PX = 60


@dataclass
class Arguments:
    """Where to."""

    out: tyro.conf.Positional[Path]


def speckled(random: np.random.Generator, pixels: Pixels) -> npt.NDArray[np.uint8]:
    """The scene as ultrasound shows it."""
    gray = ndimage.gaussian_filter(np.clip(pixels, 0, 1).mean(axis=2), 2.5)
    gray = 0.5 + 0.12 * (gray - gray.mean()) / max(float(gray.std()), 0.02)
    grain = ndimage.gaussian_filter(random.standard_normal(gray.shape), (0.8, 1.6))
    bands = np.sin(np.arange(len(gray))[:, None] / random.uniform(3, 9))
    seen = gray * (1 + 0.35 * grain / grain.std()) + 0.05 * bands
    return np.repeat((seen.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def big_box(random: np.random.Generator, mask: Mask) -> list[float]:
    """The tight box with each side pushed out by 5 to 20 %, within the image."""
    x1, y1, x2, y2 = tight_box(mask)
    push = random.uniform(0.05, 0.2, 4) * (x2 - x1, y2 - y1, x2 - x1, y2 - y1)
    height, width = mask.shape
    return [
        float(max(0, x1 - push[0])), float(max(0, y1 - push[1])),
        float(min(width, x2 + push[2])), float(min(height, y2 + push[3])),
    ]  # fmt: skip


def small_box(random: np.random.Generator, mask: Mask) -> list[float]:
    """About the deepest point, 40 to 70 % of the tight box, shrunk until nine tenths of it are object."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = (place + 0.5 for place in np.unravel_index(depth.argmax(), depth.shape))
    x1, y1, x2, y2 = tight_box(mask)
    half = random.uniform(0.2, 0.35, 2) * (x2 - x1, y2 - y1)
    for share in np.linspace(1, 0.02, 50):
        left, right = max(0.0, x - half[0] * share), min(mask.shape[1], x + half[0] * share)
        top, bottom = max(0.0, y - half[1] * share), min(mask.shape[0], y + half[1] * share)
        if mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))].mean() >= 0.9:
            break
    return [float(left), float(top), float(right), float(bottom)]


def write_set(folder: Path, scene: Callable[..., Canvas], num: int, most: int, seed: int) -> None:
    """Images, annotations.json with the masks, two_boxes.json without."""
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    index = 0
    while len(images) < num:
        random = np.random.default_rng((seed, index))
        index += 1
        height, width = (int(side) for side in random.integers(180, 257, 2))
        canvas = scene(random, (height, width))
        whole = [n for n in canvas.objects(min_area=MIN_AREA_PX) if not canvas.parent(n)]
        if not whole:
            continue
        name = f"{len(images):04d}.png"
        Image.fromarray(speckled(random, canvas.pixels)).save(folder / "images" / name)
        images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
        for mask in (canvas.mask(int(n)) for n in random.permutation(whole)[:most]):
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": len(images),
                    "category_id": 1,
                    "big_box": big_box(random, mask),
                    "small_box": small_box(random, mask),
                    "segmentation": encode_mask(mask),
                }
            )
    content = {"images": images, "categories": [{"id": 1, "name": "object"}]}
    for file, hidden in (("annotations.json", ""), ("two_boxes.json", "segmentation")):
        shown = [{key: value for key, value in row.items() if key != hidden} for row in rows]
        (folder / file).write_text(json.dumps({**content, "annotations": shown}), encoding="utf-8")


def main(arguments: Arguments) -> None:
    """Write every set."""
    for name, (scene, most) in SETS.items():
        for seed, (part, num) in enumerate(SIZES.items(), start=7):
            write_set(arguments.out / name / part, scene, num, most, seed)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
