"""Prompts for training: loose and tight boxes, clicks inside, clicks around, and the click that corrects a mask."""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from pretrain.batches import MASK_STRIDE, Batch

KINDS = ("box", "point", "points", "box and points")


class Prompts(NamedTuple):
    """`boxes` (n, 1, 4) or None; `points` (n, 1, p, 2) as x, y and `labels` (n, 1, p) or None; input px; 1 is inside."""

    boxes: Tensor | None
    points: Tensor | None
    labels: Tensor | None


def jitter_boxes(batch: Batch, generator: torch.Generator) -> Tensor:
    """Boxes as people draw them, clipped to the image, (n, 4): of ten, seven are loose by up to 22 % a side, two are
    tight, and one is sloppy by -12 to 45 %, so that the IoU head meets bad prompts too."""
    boxes, count = batch.boxes, len(batch.boxes)
    extent = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    manner = torch.rand(count, 1, generator=generator)
    share = torch.rand(count, 4, generator=generator)
    push = torch.where(
        manner < 0.7,
        share * 0.22,
        torch.where(manner < 0.9, share * 0.13 - 0.05, share * 0.57 - 0.12),
    )
    outwards = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    wobble = torch.rand(count, 4, generator=generator) - 0.5
    moved = boxes + outwards * push * extent + wobble
    frames = batch.frames.repeat(1, 2)
    return torch.minimum(moved.clamp(min=0), frames)


def sample_points(weights: Tensor, num_points: int, generator: torch.Generator) -> Tensor:
    """Input-px points (n, num_points, 2), drawn by the weights (n, height, width) of mask pixels, with replacement."""
    flat = weights.flatten(1) + 1e-9
    cells = torch.multinomial(flat, num_points, replacement=True, generator=generator)
    place = torch.stack([cells % weights.shape[2], cells // weights.shape[2]], dim=-1).float()
    return (place + torch.rand(place.shape, generator=generator)) * MASK_STRIDE - 0.5


def _ring(batch: Batch, boxes: Tensor) -> Tensor:
    """1 at the mask pixels inside the boxes and off the object, (n, height, width)."""
    side = batch.targets.shape[-1]
    centres = (torch.arange(side) + 0.5) * MASK_STRIDE
    across = (centres >= boxes[:, 0, None]) & (centres < boxes[:, 2, None])
    down = (centres >= boxes[:, 1, None]) & (centres < boxes[:, 3, None])
    inside = down[:, :, None] & across[:, None, :]
    return inside & (batch.targets[:, 0] < 0.1)


def _depths(targets: Tensor) -> Tensor:
    """Of each mask pixel inside (n, height, width) the distance to the outside, as a share of the deepest; 0 outside."""
    depths = np.stack(
        [ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] for mask in targets > 0.5]
    )
    return torch.from_numpy(depths / depths.max(axis=(1, 2), keepdims=True).clip(1)).float()


def first_prompts(batch: Batch, kind: str, generator: torch.Generator) -> Prompts:
    """Prompts of one of KINDS for every object of the batch."""
    boxes = jitter_boxes(batch, generator)
    if kind == "box":
        return Prompts(boxes[:, None], None, None)
    count = len(boxes)
    num_inside = 1 if kind == "point" else int(torch.randint(1, 11, (), generator=generator))
    weights = batch.targets[:, 0] ** 4
    if kind == "point" and float(torch.rand((), generator=generator)) < 0.5:
        weights = _depths(batch.targets[:, 0]) ** 4  # as people click: in the middle
    points = sample_points(weights, num_inside, generator)
    labels = torch.ones(count, num_inside)
    if kind != "point" and float(torch.rand((), generator=generator)) < 0.4:
        num_outside = int(torch.randint(1, 6, (), generator=generator))
        outside = sample_points(_ring(batch, boxes).float(), num_outside, generator)
        points, labels = (
            torch.cat([points, outside], dim=1),
            torch.cat([labels, torch.zeros(count, num_outside)], dim=1),
        )
    kept_boxes = boxes[:, None] if kind == "box and points" else None
    return Prompts(kept_boxes, points[:, None], labels[:, None])


def corrected(
    prompts: Prompts, logits: Tensor, targets: Tensor, generator: torch.Generator
) -> Prompts:
    """The prompts with one more click, inside the region where the masks (n, 1, height, width) err; labelled by the truth."""
    wrong = ((logits > 0) != (targets > 0.5))[:, 0].float()
    point = sample_points(wrong.cpu(), 1, generator).to(logits.device)  # (n, 1, 2)
    column, row = (
        ((point[:, 0] + 0.5) / MASK_STRIDE).long().clamp(0, targets.shape[-1] - 1).unbind(-1)
    )
    truth = (targets[torch.arange(len(point), device=row.device), 0, row, column] > 0.5).float()
    points, labels = point[:, None], truth[:, None, None]
    if prompts.points is not None and prompts.labels is not None:
        points = torch.cat([prompts.points, points], dim=2)
        labels = torch.cat([prompts.labels, labels], dim=2)
    return Prompts(prompts.boxes, points, labels)
