"""Which cells are contrasted: anchors and positives in trusted cores, negatives where the teacher is surely wrong."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.geometry import Cells, cells_inside, cells_on_image, cells_touched
from ringsam.method.losses import Pixels
from ringsam.method.pseudo_labels import PseudoLabels
from ringsam.method.ranks import gather_rows, share_of, sum_over_ranks
from ringsam.method.tower import Projection


class Roles(NamedTuple):
    """Cells of trusted objects by what the two boxes and the pseudo-label say of them."""

    anchors: Cells  # pseudo-label, in the small box: surely object
    missed: Cells  # in the small box, not in the pseudo-label
    spurious: Cells  # in the pseudo-label, outside the big box


@dataclass(frozen=True)
class Contrast:
    """Rows of unit length, and how many of them each source gave on this rank."""

    anchors: Pixels  # student
    positives: Pixels  # teacher, the same cells
    negatives: Float[Tensor, "m c"]  # student, shared by all anchors of all ranks
    # This rank's share of all anchors, times the number of ranks: 1 on one rank
    anchor_share: Tensor
    num_missed: Tensor
    num_spurious: Tensor
    num_background: Tensor


def sample_contrast(
    student: Projection,
    teacher: Projection,
    pseudo: PseudoLabels,
    batch: Batch,
    *,
    pos_samples: int,
    neg_samples: int,
    gather_negatives: bool,
    draws: Draws,
) -> Contrast:
    """Anchors, positives and the pool of negatives of the batch; with no hard negative at all, certain background."""
    roles = cell_roles(pseudo, batch)
    anchors = choose_cells(roles.anchors, pos_samples, batch, draws, "anchors")
    hard = choose_cells(roles.missed | roles.spurious, neg_samples, batch, draws, "negatives")
    negatives = take_cells(student, hard, batch)
    num_hard, num_background = hard.sum(), torch.zeros_like(hard.sum())
    if (sum_over_ranks(num_hard) if gather_negatives else num_hard) == 0:
        background = hardest_background(student, anchors, batch, neg_samples=neg_samples)
        negatives = student.movedim(1, -1)[background]
        num_background = background.sum()
    num_anchors = anchors.sum()
    return Contrast(
        anchors=take_cells(student, anchors, batch),
        positives=take_cells(teacher, anchors, batch),
        negatives=gather_rows(negatives) if gather_negatives else negatives,
        anchor_share=share_of(num_anchors),
        num_missed=(hard & roles.missed).sum(),
        num_spurious=(hard & roles.spurious).sum(),
        num_background=num_background,
    )


def cell_roles(pseudo: PseudoLabels, batch: Batch) -> Roles:
    """Anchor, missed and spurious cells of each trusted object; never on padding."""
    grid = pseudo.cells.shape[-1]
    stride = batch.images.shape[-1] / grid
    small = cells_inside(batch.small_boxes, grid=grid, stride=stride)
    outside = ~cells_touched(batch.big_boxes, grid=grid, stride=stride)
    on_image = cells_on_image(batch.extents, grid=grid, stride=stride)[batch.image_index]
    usable = on_image & pseudo.trusted[:, None, None]
    return Roles(
        anchors=pseudo.cells & small & usable,
        missed=~pseudo.cells & small & usable,
        spurious=pseudo.cells & outside & usable,
    )


def choose_cells(cells: Cells, most: int, batch: Batch, draws: Draws, purpose: str) -> Cells:
    """At most `most` cells of each object, drawn without replacement."""
    flat = cells.flatten(1)
    if most >= flat.shape[1]:
        return cells
    keys = draws.uniform(batch.object_ids, flat.shape[1], purpose).masked_fill(~flat, -1.0)
    values, index = keys.topk(most, dim=1)
    return torch.zeros_like(flat).scatter(1, index, values >= 0).view_as(cells)


def take_cells(projection: Projection, cells: Cells, batch: Batch) -> Float[Tensor, "k p"]:
    """The projection at each object's cells, one row a cell, objects in order."""
    objects, rows, columns = cells.nonzero(as_tuple=True)
    return projection.movedim(1, -1)[batch.image_index[objects], rows, columns]


def certain_background(batch: Batch, *, grid: int) -> Bool[Tensor, "b h w"]:
    """Cells of each image that no big box touches, and that are not padding."""
    stride = batch.images.shape[-1] / grid
    touched = cells_touched(batch.big_boxes, grid=grid, stride=stride)
    covered = torch.zeros((len(batch.images), grid, grid), dtype=torch.int, device=touched.device)
    covered = covered.index_add(0, batch.image_index, touched.int())
    return (covered == 0) & cells_on_image(batch.extents, grid=grid, stride=stride)


@torch.no_grad()
def hardest_background(
    student: Projection, anchors: Cells, batch: Batch, *, neg_samples: int
) -> Bool[Tensor, "b h w"]:
    """The certain background of each image most like the mean of its anchors, `neg_samples` for each object with an anchor."""
    num_images, _, grid, _ = student.shape
    with_anchor = anchors.flatten(1).any(dim=1).long()
    objects = torch.zeros(num_images, dtype=torch.long, device=student.device)
    budget = neg_samples * objects.index_add(0, batch.image_index, with_anchor)
    weight = torch.zeros((num_images, grid, grid), device=student.device)
    weight = weight.index_add(0, batch.image_index, anchors.float())
    # (b, c); its length does not rank
    prototype = (student.float() * weight[:, None]).flatten(2).sum(dim=2)
    likeness = torch.einsum("bchw,bc->bhw", student.float(), prototype).flatten(1)
    candidates = certain_background(batch, grid=grid).flatten(1)
    order = likeness.masked_fill(~candidates, -torch.inf).argsort(
        dim=1, descending=True, stable=True
    )
    place = torch.empty_like(order).scatter(
        1, order, torch.arange(grid**2, device=order.device).expand_as(order)
    )
    return (candidates & (place < budget[:, None])).view(num_images, grid, grid)
