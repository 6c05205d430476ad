"""The losses, pure functions: two that train (contrast, distillation), two that watch (mask, IoU)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.metrics import iou
from ringsam.sam.model import Decoded, Embedding
from ringsam.sam.preprocess import upsample

CHUNK = 32  # objects whose masks are drawn in the input frame at once

Pixels = Float[Tensor, "n c"]
Scalar = Float[Tensor, ""]


def info_nce(
    anchors: Pixels, positives: Pixels, negatives: Float[Tensor, "m c"], *, temperature: float
) -> Scalar:
    """InfoNCE over cosine similarity: anchor i's positive is row i, all m negatives are shared (van den Oord 2018, eq. 4).

    Rows must have unit length. Without an anchor or a negative it is a zero that keeps the graph, so
    that every rank runs the same backward pass.
    """
    if len(anchors) == 0 or len(negatives) == 0:
        return (anchors.sum() + negatives.sum()) * 0.0
    with torch.autocast(anchors.device.type, enabled=False):
        anchors, positives, negatives = anchors.float(), positives.float(), negatives.float()
        positive = (anchors * positives).sum(dim=1, keepdim=True)
        logits = torch.cat([positive, anchors @ negatives.T], dim=1) / temperature  # (n, 1 + m)
        return (logits.logsumexp(dim=1) - logits[:, 0]).mean()


def distillation(embedding: Embedding, reference: Embedding) -> Scalar:
    """Mean squared distance to the original encoder's embedding: zero before the first step, and a tether after it."""
    return F.mse_loss(embedding.float(), reference.float())


def mask_loss(logits: Float[Tensor, "n h w"], targets: Bool[Tensor, "n h w"]) -> Scalar:
    """Binary cross-entropy plus Dice, mean over objects."""
    if len(logits) == 0:
        return logits.sum()
    wanted = targets.float()
    cross_entropy = F.binary_cross_entropy_with_logits(logits.float(), wanted)
    return cross_entropy + dice_loss(logits, targets).mean()


def dice_loss(
    logits: Float[Tensor, "n h w"], targets: Bool[Tensor, "n h w"]
) -> Float[Tensor, " n"]:
    """1 - Dice of the soft mask, one a mask (Milletari 2016), smoothed by one pixel."""
    soft, wanted = logits.float().sigmoid().flatten(1), targets.float().flatten(1)
    shared = (soft * wanted).sum(dim=1)
    return 1 - (2 * shared + 1) / (soft.sum(dim=1) + wanted.sum(dim=1) + 1)


def iou_loss(
    predicted: Float[Tensor, " n"], logits: Float[Tensor, "n h w"], targets: Bool[Tensor, "n h w"]
) -> Scalar:
    """Squared error of the IoU that SAM predicts for its own masks."""
    return _iou_error(predicted, iou(logits > 0, targets))


def _iou_error(predicted: Float[Tensor, " n"], found: Float[Tensor, " n"]) -> Scalar:
    if len(predicted) == 0:
        return predicted.sum()
    return F.mse_loss(predicted.float(), found)


def mask_monitors(decoded: Decoded, targets: Bool[Tensor, "n s s"]) -> dict[str, Scalar]:
    """Mask loss, IoU loss and mIoU, means over objects, judged in the targets' frame, a few objects at a time."""
    sums = decoded.iou.new_zeros(3, dtype=torch.float)
    parts = (part.split(CHUNK) for part in (decoded.logits, decoded.iou, targets))
    for logits, predicted, wanted in zip(*parts, strict=True):
        drawn = upsample(logits, targets.shape[-1])
        found = iou(drawn > 0, wanted)
        means = torch.stack([mask_loss(drawn, wanted), _iou_error(predicted, found)])
        sums[:2] += means * len(wanted)
        sums[2] += found.sum()
    names = ("mask_loss", "iou_loss", "miou")
    return dict(zip(names, (sums / max(len(targets), 1)).unbind(), strict=True))
