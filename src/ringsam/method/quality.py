"""How good masks are, judged without any mask: do they keep to the two boxes, and do two prompts agree?"""

import torch

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.method.prompts import make_prompts
from ringsam.method.self_training import BoxRegions, PerObject, box_regions
from ringsam.metrics import Masks, iou
from ringsam.sam.model import Decoded, Embedding, Sam

_NUM_POINTS = 5


@torch.no_grad()
def judge(sam: Sam, embedding: Embedding, batch: Batch, draws: Draws) -> PerObject:
    """The quality of the masks that SAM's decoder draws of the batch's objects in this embedding of its images, in [0, 1]."""
    by_box, by_core = (
        decoded.logits[:, 0] > 0 for decoded in ask_twice(sam, embedding, batch, draws)
    )
    return mask_free_quality(by_box, by_core, box_regions(batch, grid=by_box.shape[-1]))


def ask_twice(
    sam: Sam, embedding: Embedding, batch: Batch, draws: Draws
) -> tuple[Decoded, Decoded]:
    """What SAM draws for the big box, and for the big box with points in the small one, which `draws` places."""
    by_box, by_core = (
        sam.decode(
            embedding,
            batch.image_index,
            make_prompts(batch, policy, num_points=_NUM_POINTS, draws=draws),
        )
        for policy in ("box", "box+core")
    )
    return by_box, by_core


def mask_free_quality(by_box: Masks, by_core: Masks, regions: BoxRegions) -> PerObject:
    """Agreement of the two prompts' masks (IoU), times the share of the small box that is covered, times the share of
    the mask that keeps inside the big box; 1 is perfect, an empty mask has 0."""
    core, outside = regions
    covered = (by_box & core).flatten(1).sum(dim=1) / core.flatten(1).sum(dim=1)
    area = by_box.flatten(1).sum(dim=1).clamp(min=1)
    inside = (by_box & ~outside).flatten(1).sum(dim=1) / area
    return iou(by_box, by_core) * covered * inside
