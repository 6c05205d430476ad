"""The teacher's masks as labels: how sure it is, and which objects to trust."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.geometry import Cells
from ringsam.method.losses import CHUNK
from ringsam.sam.preprocess import upsample


class PseudoLabels(NamedTuple):
    masks: Bool[Tensor, "n s s"]  # in the input frame
    cells: Cells  # cells of the encoder's grid that are mostly mask
    entropy: Float[Tensor, " n"]  # nats, mean over the frame
    trusted: Bool[Tensor, " n"]

    @classmethod
    def from_logits(
        cls, logits: Float[Tensor, "n 1 h w"], *, input_size: int, grid: int, entropy_thresh: float
    ) -> "PseudoLabels":
        """Label and trust of each object from its low-resolution logits, judged in the input frame, a few at a time."""
        judged = [_judge(upsample(part, input_size), grid) for part in logits.split(CHUNK)]
        masks, cells, entropy = (torch.cat(parts) for parts in zip(*judged, strict=True))
        return cls(masks, cells, entropy, entropy <= entropy_thresh)


def _judge(logits: Float[Tensor, "n s s"], grid: int) -> tuple[Tensor, Tensor, Tensor]:
    masks = logits > 0
    return masks, mask_to_cells(masks, grid=grid), mask_entropy(logits)


def mask_entropy(logits: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Mean binary entropy of each mask, in nats: log(1 + e^-|x|) + |x| / (1 + e^|x|) for a logit x."""
    size = logits.float().abs()
    minus = -size
    entropy = F.softplus(minus).addcmul(size, minus.sigmoid())
    return entropy.flatten(1).mean(dim=1)


def mask_to_cells(masks: Bool[Tensor, "n s s"], *, grid: int) -> Cells:
    """Cells of which more than half is mask."""
    return F.adaptive_avg_pool2d(masks[:, None].float(), grid)[:, 0] > 0.5
