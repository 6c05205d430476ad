"""What the two boxes and the colours say of a mask, as losses through the frozen decoder.

All on the decoder's own grid of mask pixels, a quarter of the input frame.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.batch import Batch
from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.geometry import Cells, cells_inside, cells_touched, ellipse_radius, grow_boxes
from ringsam.method.colours import SoftMasks, follow_colours, log_odds
from ringsam.method.losses import Scalar
from ringsam.method.pixel_contrast import pixel_contrast_loss
from ringsam.method.ranks import share_of
from ringsam.sam.model import Decoded

MaskLogits = Float[Tensor, "n h w"]
PerObject = Float[Tensor, " n"]

# Of the shape prior: 0.98 in the middle of its ellipse, 0.02 at 1.4 times its radius
_STEEPNESS = 4.0
_BEYOND = 0.1  # of the big box's side: how far past the image's border the shape prior goes on
_DOUBT = 1e-4  # of each pixel, in what is tempered
_SAM_MOST = 6.0  # log odds that count of what SAM says; some SAMs are surer than they are right


class BoxRegions(NamedTuple):
    """What the two boxes say for certain of each mask pixel; the ring between them is unknown."""

    core: Cells  # in the small box: object
    outside: Cells  # not touched by the big box: background


def mask_terms(
    student: Decoded,
    teacher: Decoded,
    targets: SoftMasks,
    batch: Batch,
    *,
    temperature: float,
    draws: Draws,
) -> dict[str, Scalar]:
    """The losses through the frozen decoder, mean over the objects of all ranks."""
    logits = student.logits[:, 0]
    regions = box_regions(batch, grid=logits.shape[-1])
    share = share_of(torch.full((), float(batch.num_objects), device=logits.device))
    count = max(batch.num_objects, 1)
    losses = {
        "self_training": self_training_loss(logits, targets, regions),
        "box_constraint": box_constraint_loss(logits, regions),
    }
    if student.pixels is not None and teacher.pixels is not None:
        losses["pixel_contrast"] = pixel_contrast_loss(
            student.pixels,
            teacher.pixels,
            targets,
            regions.outside,
            batch,
            temperature=temperature,
            draws=draws,
        )
    return {name: share * loss.sum() / count for name, loss in losses.items()}


def box_regions(batch: Batch, *, grid: int) -> BoxRegions:
    stride = batch.images.shape[-1] / grid
    core = cells_inside(batch.small_boxes, grid=grid, stride=stride)
    return BoxRegions(core, ~cells_touched(batch.big_boxes, grid=grid, stride=stride))


def shape_prior(batch: Batch, *, grid: int) -> SoftMasks:
    """How likely each mask pixel is object by its place alone: 1/2 on the ellipse half way between the boxes.

    Where the image's border cuts the big box the object is taken to go on beyond it, and so does the ellipse.
    """
    stride = batch.images.shape[-1] / grid
    between = (batch.big_boxes + batch.small_boxes) / 2
    beyond = grow_boxes(batch.big_boxes, _BEYOND)
    cut = cut_sides(batch, within=stride)
    radius = ellipse_radius(
        torch.where(cut, beyond, between), height=grid, width=grid, stride=stride
    )
    return (_STEEPNESS * (1 - radius)).sigmoid()


def cut_sides(batch: Batch, *, within: float) -> Bool[Tensor, "n 4"]:
    """Which sides of the big boxes lie at their image's border, to `within` input pixels."""
    height, width = batch.extents[batch.image_index].to(batch.big_boxes).unbind(dim=1)
    x1, y1, x2, y2 = batch.big_boxes.unbind(dim=1)
    return torch.stack([x1, y1, width - x2, height - y2], dim=1) <= within


def make_targets(teacher: MaskLogits, batch: Batch, config: MethodConfig) -> SoftMasks:
    """What colours, place and teacher believe, pooled by their shares and moved by the object's own colours; then what the boxes know.

    Of all but the boxes an object counts as much as the overlap that it expects: voters err together where an image is hard.
    """
    grid = teacher.shape[-1]
    votes = []
    if config.shape_vote:
        votes.append((shape_prior(batch, grid=grid), config.shape_vote))
    if config.colour_vote and batch.colour_masks is not None:
        seen = F.adaptive_avg_pool2d(batch.colour_masks.float().mean(dim=1), grid)
        votes.append((seen, config.colour_vote))
    belief = pool(teacher, votes)
    if config.colour_evidence:
        belief = follow_colours(belief, batch, weight=config.colour_evidence)
    belief = fill_boxes(belief, batch)
    return fill_boxes(temper(belief), batch) if votes else belief


def temper(belief: SoftMasks) -> SoftMasks:
    """The belief, each object's log odds times the overlap that it expects."""
    expected = expected_overlap(belief)[:, None, None]
    return (expected * belief.clamp(_DOUBT, 1 - _DOUBT).logit()).sigmoid()


def expected_overlap(belief: SoftMasks) -> PerObject:
    """IoU with the truth that a belief expects of its mask: what it believes of the mask, over the mask and what it believes beyond it."""
    mask = (belief > 0.5).to(belief)
    shared = (belief * mask).flatten(1).sum(dim=1)
    either = torch.maximum(belief, mask).flatten(1).sum(dim=1)
    return shared / either.clamp(min=_DOUBT)


def fill_boxes(belief: SoftMasks, batch: Batch) -> SoftMasks:
    """The belief, and what the boxes know for certain."""
    regions = box_regions(batch, grid=belief.shape[-1])
    return belief.masked_fill(regions.core, 1.0).masked_fill(regions.outside, 0.0)


def pool(sam: MaskLogits, votes: Sequence[tuple[SoftMasks, float]]) -> SoftMasks:
    """The voters' log odds, added up by their shares, SAM's share the rest: whoever is surer counts for more.

    (The logarithmic opinion pool, Genest 1986.) A SAM that is sure of its mask is not outvoted.
    """
    rest = 1 - sum(share for _, share in votes)
    pooled = rest * sam.float().clamp(-_SAM_MOST, _SAM_MOST)
    for belief, share in votes:
        pooled = pooled + share * log_odds(belief)
    return pooled.sigmoid()


def self_training_loss(logits: MaskLogits, targets: SoftMasks, regions: BoxRegions) -> PerObject:
    """Cross-entropy over the big box plus soft Dice over the frame (Milletari 2016), against soft targets."""
    logits, inside = logits.float(), (~regions.outside).float()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    per_box = (cross_entropy * inside).flatten(1).sum(dim=1) / inside.flatten(1).sum(dim=1)
    soft = logits.sigmoid().flatten(1)
    wanted = targets.flatten(1)
    shared = (soft * wanted).sum(dim=1)
    dice = 1 - (2 * shared + 1) / (soft.square().sum(dim=1) + wanted.square().sum(dim=1) + 1)
    return per_box + dice


def box_constraint_loss(logits: MaskLogits, regions: BoxRegions) -> PerObject:
    """Cross-entropy where the boxes leave no doubt: mean over the core, and over the outside in units of the big box.

    (The tightness and background priors of Kervadec 2020, for two boxes.)
    """
    logits = logits.float()
    missed = F.softplus(-logits) * regions.core
    spilled = F.softplus(logits) * regions.outside
    core_px = regions.core.flatten(1).sum(dim=1)
    box_px = (~regions.outside).flatten(1).sum(dim=1)
    return missed.flatten(1).sum(dim=1) / core_px + spilled.flatten(1).sum(dim=1) / box_px
