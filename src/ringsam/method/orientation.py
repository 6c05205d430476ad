"""Flips and quarter turns, so that few images are not learned by heart."""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.geometry import Boxes

NUM_ORIENTATIONS = 8


class Orientation(NamedTuple):
    """How each picture comes to lie: rows and columns change places, then it is flipped within its own (height, width)."""

    transposed: Bool[Tensor, " n"]
    flipped: Bool[Tensor, "n 2"]  # left to right, top to bottom
    extents: Int[Tensor, "n 2"]  # after it

    def of_objects(self, image_index: Int[Tensor, " m"]) -> "Orientation":
        return Orientation(*(part[image_index] for part in self))


def orient(batch: Batch, draws: Draws) -> Batch:
    """Each image, with all that lies on it, in one of its eight orientations, drawn anew in every epoch; padding stays where it is.

    An image's draw goes by the first id among its objects, so neighbours and ranks do not matter; its key tells the orientation too.
    """
    ways = draw_ways(batch, draws)
    transposed = ways % 2 == 1
    extents = torch.where(transposed[:, None], batch.extents.flip(1), batch.extents)
    flipped = torch.stack([ways // 2 % 2, ways // 4], dim=1) == 1
    images = Orientation(transposed, flipped, extents)
    objects = images.of_objects(batch.image_index)
    return replace(
        batch,
        images=orient_pictures(batch.images, images),
        extents=extents,
        big_boxes=orient_boxes(batch.big_boxes, objects),
        small_boxes=orient_boxes(batch.small_boxes, objects),
        gt_masks=None if batch.gt_masks is None else orient_pictures(batch.gt_masks, objects),
        colour_masks=None
        if batch.colour_masks is None
        else orient_pictures(batch.colour_masks, objects),
        image_keys=batch.image_keys
        and tuple(
            f"{key}-{way}" if way else key
            for key, way in zip(batch.image_keys, ways.tolist(), strict=True)
        ),
    )


def draw_ways(batch: Batch, draws: Draws) -> Int[Tensor, " b"]:
    """A number below NUM_ORIENTATIONS for each image; one without objects counts as object 0."""
    ids = batch.object_ids.new_zeros(len(batch.images))
    ids.scatter_reduce_(0, batch.image_index, batch.object_ids, "amin", include_self=False)
    return (draws.uniform(ids, 1, "orientation")[:, 0] * NUM_ORIENTATIONS).long()


def orient_pictures(pictures: Shaped[Tensor, "n *_ s s"], lying: Orientation) -> Tensor:
    """Images or masks; no more memory than a few times theirs."""
    size = pictures.shape[-1]
    place = torch.arange(size, device=pictures.device)
    height, width = lying.extents[:, :, None].unbind(dim=1)  # (n, 1)
    across = torch.where(lying.flipped[:, :1] & (place < width), width - 1 - place, place)
    down = torch.where(lying.flipped[:, 1:] & (place < height), height - 1 - place, place)
    ones = [1] * (pictures.dim() - 3)
    seen = torch.where(lying.transposed.view(-1, *ones, 1, 1), pictures.mT, pictures)
    seen = seen.gather(-2, down.view(len(down), *ones, size, 1).expand_as(seen))
    return seen.gather(-1, across.view(len(across), *ones, 1, size).expand_as(seen))


def orient_boxes(boxes: Boxes, lying: Orientation) -> Boxes:
    x1, y1, x2, y2 = torch.where(lying.transposed[:, None], boxes[:, [1, 0, 3, 2]], boxes).unbind(
        dim=1
    )
    height, width = lying.extents.to(boxes).unbind(dim=1)
    across, down = lying.flipped.unbind(dim=1)
    return torch.stack(
        [
            torch.where(across, width - x2, x1),
            torch.where(down, height - y2, y1),
            torch.where(across, width - x1, x2),
            torch.where(down, height - y1, y2),
        ],
        dim=1,
    )
