"""What training minimises: cross-entropy near the object, Dice, and the error of the predicted IoU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.batches import MASK_STRIDE


def near(boxes: Tensor, side: int) -> Tensor:
    """1 within the boxes (n, 4, input px) grown by 15 % and 6 px a side, else 0, (n, 1, side, side)."""
    centres = (torch.arange(side, device=boxes.device) + 0.5) * MASK_STRIDE
    margin = 0.15 * (boxes[:, 2:] - boxes[:, :2]) + 6
    low, high = boxes[:, :2] - margin, boxes[:, 2:] + margin
    across = (centres >= low[:, :1]) & (centres < high[:, :1])
    down = (centres >= low[:, 1:]) & (centres < high[:, 1:])
    return (down[:, :, None] & across[:, None, :]).float()[:, None]


def mask_loss(
    logits: Tensor, targets: Tensor, nearby: Tensor, *, balance: float, focus: float
) -> Tensor:
    """Loss of each mask, (n, k), for logits (n, k, side, side) against soft targets (n, 1, side, side).

    Cross-entropy is averaged over the pixels near the object and, at a quarter, over the rest: averaged over the image,
    small objects would vanish. `balance` 1 gives object and surroundings equal weight, without which fresh weights settle on
    empty masks; 0 weighs pixels alike. `focus` is focal loss's gamma (Lin 2017); 0 is plain cross-entropy. Dice is added.
    """
    entropy = F.binary_cross_entropy_with_logits(
        logits, targets.expand_as(logits), reduction="none"
    )
    chance = logits.sigmoid()
    if focus:
        entropy = 4 * entropy * (chance.detach() - targets).abs() ** focus
    inside, around, far = targets * nearby, (1 - targets) * nearby, 1 - nearby
    equal = balance * 0.5 * (_mean(entropy, inside) + _mean(entropy, around)) if balance else 0.0
    alike = (1 - balance) * _mean(entropy, nearby) if balance < 1 else 0.0
    both = (chance * targets).sum(dim=(2, 3))
    dice = 1 - (2 * both + 1) / (
        chance.square().sum(dim=(2, 3)) + targets.square().sum(dim=(2, 3)) + 1
    )
    return equal + alike + 0.25 * _mean(entropy, far) + dice


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of each map, (n, k)."""
    return (values * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3)).clamp(min=1e-3)


@torch.no_grad()
def true_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """IoU of the masks logits > 0 (n, k, side, side) with the targets > 0.5 (n, 1, side, side), (n, k)."""
    masks, truth = logits > 0, targets > 0.5
    both = (masks & truth).sum(dim=(2, 3))
    return both / (masks | truth).sum(dim=(2, 3)).clamp(min=1)
