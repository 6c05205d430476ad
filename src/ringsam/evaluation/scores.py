"""One object's scores: its mask against the ground truth, in the image's own pixels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from ringsam.metrics import boundary_band, dice, iou
from ringsam.predict import Prediction

BOUNDARY_WIDTH_RATIO = 0.02  # of the image's diagonal (Cheng 2021)

Masks = Bool[Tensor, "n height width"]


@dataclass(frozen=True)
class MaskScores:
    """A mask's agreement with the ground truth, 0 to 1."""

    iou: float
    dice: float
    boundary_iou: float


@dataclass(frozen=True)
class ObjectScores(MaskScores):
    """And what SAM itself says of the mask; None where that is not a number."""

    predicted_iou: float | None
    entropy: float | None  # nats, mean over the image


def score_prediction(prediction: Prediction, targets: Masks) -> list[ObjectScores]:
    """The scores of each object, in the order of the prediction."""
    return [
        ObjectScores(scores.iou, scores.dice, scores.boundary_iou, _finite(said), _finite(entropy))
        for scores, said, entropy in zip(
            score_masks(prediction.masks, targets),
            prediction.iou.tolist(),
            prediction.entropy.tolist(),
            strict=True,
        )
    ]


def score_masks(masks: Masks, targets: Masks) -> list[MaskScores]:
    """The same numbers as of whole masks, from crops: nothing outside an object's crop can count.

    A pixel beyond the crop belongs to neither mask, just as one beyond the image, and the boundary
    band lies inside its mask.
    """
    height, width = masks.shape[-2:]
    width_px = max(1, round(BOUNDARY_WIDTH_RATIO * math.hypot(height, width)))
    return [
        MaskScores(
            iou=iou(mask, target).item(),
            dice=dice(mask, target).item(),
            boundary_iou=iou(boundary_band(mask, width_px), boundary_band(target, width_px)).item(),
        )
        for mask, target in crops(masks, targets)
    ]


def crops(masks: Masks, targets: Masks) -> Iterator[tuple[Masks, Masks]]:
    """Each object's two masks, cut to the smallest window that holds both; one pixel where both are empty."""
    either = masks | targets
    rows, columns = either.any(dim=2), either.any(dim=1)  # (n, height), (n, width)
    windows = zip(*_first_and_end(rows), *_first_and_end(columns), strict=True)
    for index, (top, bottom, left, right) in enumerate(windows):
        window = (slice(index, index + 1), slice(top, bottom), slice(left, right))
        yield masks[window], targets[window]


def _first_and_end(hit: Bool[Tensor, "n side"]) -> tuple[list[int], list[int]]:
    """Where the True entries of each row start and end (exclusive); 0 and 1 where there is none."""
    size = hit.shape[1]
    first = hit.int().argmax(dim=1)
    end = torch.where(hit.any(dim=1), size - hit.flip(1).int().argmax(dim=1), 1)
    return first.tolist(), end.tolist()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
