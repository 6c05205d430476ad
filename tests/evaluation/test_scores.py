import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ringsam import metrics
from ringsam.evaluation.scores import crops, score_masks, score_prediction
from ringsam.predict import Prediction


def blobs(num: int, *, height: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num, 1, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[:, 0] > 0.6


def test_scores_from_crops_are_exactly_those_of_whole_masks() -> None:
    masks, targets = (blobs(12, height=90, width=130, seed=seed) for seed in (0, 1))
    masks[3], targets[5], masks[7] = False, False, True
    found = score_masks(masks, targets)
    assert [one.iou for one in found] == metrics.iou(masks, targets).tolist()
    assert [one.dice for one in found] == metrics.dice(masks, targets).tolist()
    assert [one.boundary_iou for one in found] == metrics.boundary_iou(masks, targets).tolist()


@settings(deadline=None, max_examples=60)
@given(arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 40), st.integers(1, 70))))
def test_crops_lose_nothing_whatever_the_masks(pair: np.ndarray) -> None:
    one, other = (torch.from_numpy(mask)[None] for mask in pair)
    (found,) = score_masks(one, other)
    assert found.iou == metrics.iou(one, other).item()
    assert found.boundary_iou == metrics.boundary_iou(one, other).item()


def test_a_crop_is_the_smallest_window_of_both_masks() -> None:
    masks, targets = torch.zeros(2, 1, 50, 50, dtype=torch.bool)
    masks[0, 10:20, 5:8] = True
    targets[0, 15:30, 7:9] = True
    ((mask, target),) = crops(masks, targets)
    assert mask.shape == target.shape == (1, 20, 4)


def test_two_empty_masks_agree() -> None:
    empty = torch.zeros(1, 9, 9, dtype=torch.bool)
    (found,) = score_masks(empty, empty)
    assert (found.iou, found.dice, found.boundary_iou) == (1, 1, 1)


def test_what_is_not_a_number_becomes_none() -> None:
    masks = torch.ones(1, 4, 4, dtype=torch.bool)
    prediction = Prediction(masks, torch.tensor([math.nan]), torch.tensor([math.inf]))
    (found,) = score_prediction(prediction, masks)
    assert (found.predicted_iou, found.entropy) == (None, None)
    assert found.iou == pytest.approx(1)
