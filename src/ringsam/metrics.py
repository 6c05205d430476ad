"""How good is a mask: pure functions of tensors, one number an object."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Masks = Bool[Tensor, "n h w"]


def iou(masks: Masks, targets: Masks) -> Float[Tensor, " n"]:
    """Intersection over union; 1 where both are empty."""
    shared = (masks & targets).flatten(1).sum(dim=1).double()
    union = (masks | targets).flatten(1).sum(dim=1).double()
    return torch.where(union > 0, shared / union.clamp(min=1), 1.0).float()


def dice(masks: Masks, targets: Masks) -> Float[Tensor, " n"]:
    """Dice coefficient (F1 of the pixels); 1 where both are empty."""
    shared = (masks & targets).flatten(1).sum(dim=1).double()
    total = (masks.flatten(1).sum(dim=1) + targets.flatten(1).sum(dim=1)).double()
    return torch.where(total > 0, 2 * shared / total.clamp(min=1), 1.0).float()


def boundary_iou(masks: Masks, targets: Masks, *, width_ratio: float = 0.02) -> Float[Tensor, " n"]:
    """IoU of the inner boundary bands, `width_ratio` of the image's diagonal wide (Cheng 2021, "Boundary IoU")."""
    height, width = masks.shape[-2:]
    width_px = max(1, round(width_ratio * math.hypot(height, width)))
    return iou(boundary_band(masks, width_px), boundary_band(targets, width_px))


def boundary_band(masks: Masks, width_px: int) -> Masks:
    """Pixels of a mask within `width_px` (chessboard distance) of its outside; beyond the image is outside."""
    outside = F.pad(~masks, [width_px] * 4, value=True)
    # A square window is separable; running counts cost the same for every width
    for axis in (1, 2):
        running = outside.cumsum(dim=axis, dtype=torch.int)
        length = masks.shape[axis]
        passed = running.narrow(axis, 2 * width_px, length) - running.narrow(axis, 0, length)
        outside = (passed > 0) | outside.narrow(axis, 0, length)
    return masks & outside
