"""Pixel-wise contrast in the space that the frozen decoder reads masks from: its upscaled pixels, just before the mask tokens.

The seed contrasts cells of the encoder's grid in a projection of their own; what is learned there need not help the decoder.
Here each object's sure pixels are pulled to what the teacher makes of them, and pushed from the background around them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.geometry import Cells
from ringsam.method.sampling import certain_background
from ringsam.sam.model import DecoderPixels

SURE = 0.8  # of object, by the targets; 1 - SURE of background
_NUM_ANCHORS, _NUM_NEGATIVES = 64, 128  # an object
_SHORTEST = 1e-12  # length of a pixel that still has a direction

Rows = Float[Tensor, "n k c"]
PerObject = Float[Tensor, " n"]


def pixel_contrast_loss(
    student: DecoderPixels,
    teacher: DecoderPixels,
    targets: Float[Tensor, "n h w"],
    outside: Cells,
    batch: Batch,
    *,
    temperature: float,
    draws: Draws,
) -> PerObject:
    """InfoNCE of each object (van den Oord 2018, eq. 4): sure pixels towards the teacher's mean of them, away from sure background.

    That background lies in the object's own big box, or where no big box of the image is (`outside` is what its own does not
    touch). Zero for an object without sure pixels of either kind.
    """
    free = certain_background(batch, grid=targets.shape[-1])[batch.image_index]
    sure = targets >= SURE
    background = (targets <= 1 - SURE) & (~outside | free)
    with torch.autocast(student.device.type, enabled=False):
        maps, taught = student.float().flatten(2), teacher.float().flatten(2)  # (n, c, h * w)
        counts = sure.flatten(1) / taught.norm(dim=1).clamp(min=_SHORTEST)
        prototype = F.normalize((taught @ counts[..., None])[..., 0], dim=1)
        anchors, is_anchor = choose_rows(maps, sure, _NUM_ANCHORS, batch, draws, "pixel anchors")
        negatives, is_negative = choose_rows(
            maps, background, _NUM_NEGATIVES, batch, draws, "pixel negatives"
        )
        near = torch.einsum("nkc,nc->nk", anchors, prototype)[..., None] / temperature
        far = (anchors @ negatives.mT / temperature).masked_fill(~is_negative[:, None], -torch.inf)
        losses = torch.cat([near, far], dim=2).logsumexp(dim=2) - near[..., 0]
        counted = is_anchor & is_negative.any(dim=1, keepdim=True)
        return (losses * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def choose_rows(
    maps: Float[Tensor, "n c all"],
    pixels: Cells,
    most: int,
    batch: Batch,
    draws: Draws,
    purpose: str,
) -> tuple[Rows, Bool[Tensor, "n k"]]:
    """At most `most` of the maps' vectors at each object's `pixels`, drawn without replacement and brought to unit length, and which of them there are."""
    flat = pixels.flatten(1)
    keys = draws.uniform(batch.object_ids, flat.shape[1], purpose).masked_fill(~flat, -1.0)
    values, index = keys.topk(min(most, flat.shape[1]), dim=1)
    chosen = maps.gather(2, index[:, None].expand(-1, maps.shape[1], -1)).mT
    return F.normalize(chosen, dim=2), values >= 0
