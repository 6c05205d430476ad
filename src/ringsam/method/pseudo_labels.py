"""The teacher's masks as labels: how sure it is, and which objects to trust."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.geometry import Cells


class PseudoLabels(NamedTuple):
    masks: Bool[Tensor, "n s s"]  # in the input frame
    cells: Cells  # cells of the encoder's grid that are mostly mask
    entropy: Float[Tensor, " n"]  # nats, mean over the frame
    trusted: Bool[Tensor, " n"]

    @classmethod
    def from_logits(
        cls, logits: Float[Tensor, "n s s"], *, grid: int, entropy_thresh: float
    ) -> "PseudoLabels":
        """Label and trust of each object from its logits in the input frame."""
        masks = logits > 0
        entropy = mask_entropy(logits)
        return cls(masks, mask_to_cells(masks, grid=grid), entropy, entropy <= entropy_thresh)


def mask_entropy(logits: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Mean binary entropy of each mask, in nats: log(1 + e^-|x|) + |x| / (1 + e^|x|) for a logit x."""
    size = logits.float().abs()
    entropy = F.softplus(-size) + size * (-size).sigmoid()
    return entropy.flatten(1).mean(dim=1)


def mask_to_cells(masks: Bool[Tensor, "n s s"], *, grid: int) -> Cells:
    """Cells of which more than half is mask."""
    return F.adaptive_avg_pool2d(masks[:, None].float(), grid)[:, 0] > 0.5
