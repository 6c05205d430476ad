"""Training batches of drawn images: step k of a seed is the same batch whoever asks and whenever training resumes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from pretrain.drawn import draw

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
MASK_STRIDE = 2  # input px per mask px: SAM's masks have a quarter of the patch as their stride, and our patch is 8


class Batch(NamedTuple):
    """b images and, over all of them, n objects.

    `pixels` float32 (b, 3, size, size), normalised, zero where padded; `targets` float32 (n, 1, size/2, size/2) in
    [0, 1], the covered share of each mask pixel; `boxes` (n, 4) tight, input px, right/bottom exclusive;
    `image_index` (n,) the image of each object; `frames` (n, 2) width and height of that image without its padding.
    """

    pixels: Tensor
    targets: Tensor
    boxes: Tensor
    image_index: Tensor
    frames: Tensor


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the mask's pixels, right/bottom exclusive; the mask must not be empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def load_batch(seed: int, step: int, *, size: int, num_images: int, num_objects: int) -> Batch:
    """The batch of that step: up to `num_objects` objects an image; a lone object comes up to three times."""
    pixels = torch.zeros(num_images, 3, size, size)
    targets, boxes, image_index, frames = [], [], [], []
    mean, std = torch.tensor(PIXEL_MEAN).view(3, 1, 1), torch.tensor(PIXEL_STD).view(3, 1, 1)
    for image in range(num_images):
        drawn = draw(seed, step * num_images + image, size=size, max_objects=num_objects)
        height, width = drawn.pixels.shape[:2]
        chosen = torch.from_numpy(drawn.pixels.copy()).permute(2, 0, 1).float()
        pixels[image, :, :height, :width] = (chosen - mean) / std
        padded = np.zeros((len(drawn.masks), size, size), dtype=np.float32)
        padded[:, :height, :width] = drawn.masks
        side = size // MASK_STRIDE
        covered = padded.reshape(-1, side, MASK_STRIDE, side, MASK_STRIDE).mean(axis=(2, 4))
        for number in range(min(num_objects, 3 * len(drawn.masks))):
            targets.append(covered[number % len(covered)])
            boxes.append(tight_box(drawn.masks[number % len(covered)]))
            image_index.append(image)
            frames.append((width, height))
    return Batch(
        pixels,
        torch.from_numpy(np.stack(targets))[:, None],
        torch.tensor(boxes, dtype=torch.float32),
        torch.tensor(image_index),
        torch.tensor(frames, dtype=torch.float32),
    )


class DrawnBatches(IterableDataset[Batch]):
    """The batches of a seed from `first_step` on, without end; several workers take turns."""

    def __init__(
        self, seed: int, *, first_step: int, size: int, num_images: int, num_objects: int
    ) -> None:
        super().__init__()
        self.seed, self.first_step = seed, first_step
        self.size, self.num_images, self.num_objects = size, num_images, num_objects

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        step, stride = self.first_step, 1
        if worker is not None:
            step, stride = step + worker.id, worker.num_workers
        while True:
            yield load_batch(
                self.seed,
                step,
                size=self.size,
                num_images=self.num_images,
                num_objects=self.num_objects,
            )
            step += stride
