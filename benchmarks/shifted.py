"""Drawn data sets from a domain that nano was not pretrained on, with masks without end: where recipes are tried before real test sets.

python -m benchmarks.shifted shifted          # writes shifted/speckle_one and shifted/speckle_many, each train/ and test/

The scenes are nano's own, seen as by ultrasound: gray, blurred, of low contrast, under speckle and bands. Boxes are made as
`ringsam import` makes them from masks.
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

from pretrain.canvas import Canvas, Pixels
from pretrain.pile import coloured_pile
from pretrain.surfaces import lesion
from ringsam.data.formats.proposals import NUM_SHARES, boxes_from_mask
from ringsam.data.masks import encode_mask

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
            big, small = boxes_from_mask(mask, random.uniform(size=NUM_SHARES).tolist())
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": len(images),
                    "category_id": 1,
                    "big_box": list(big),
                    "small_box": list(small),
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
