"""Each loss against a slow twin that is written as its formula reads."""

import math

import pytest
import torch
import torch.nn.functional as F

from ringsam.method.losses import (
    CHUNK,
    dice_loss,
    distillation,
    info_nce,
    iou_loss,
    mask_loss,
    mask_monitors,
)
from ringsam.method.pseudo_labels import PseudoLabels, mask_entropy, mask_to_cells
from ringsam.metrics import iou
from ringsam.sam.model import Decoded


def unit_rows(num: int, *, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(num, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def slow_info_nce(anchors, positives, negatives, temperature) -> float:
    total = 0.0
    for anchor, positive in zip(anchors, positives, strict=True):
        pull = math.exp(float(anchor @ positive) / temperature)
        push = sum(math.exp(float(anchor @ negative) / temperature) for negative in negatives)
        total -= math.log(pull / (pull + push))
    return total / len(anchors)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_info_nce_equals_its_formula(temperature):
    anchors, positives, negatives = unit_rows(5, seed=0), unit_rows(5, seed=1), unit_rows(7, seed=2)
    loss = info_nce(anchors, positives, negatives, temperature=temperature)
    assert loss.item() == pytest.approx(
        slow_info_nce(anchors, positives, negatives, temperature), rel=1e-5
    )


def test_info_nce_stays_finite_and_exact_in_half_precision():
    anchors, negatives = unit_rows(5, seed=0), unit_rows(900, seed=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = info_nce(anchors, anchors, negatives, temperature=0.01)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, info_nce(anchors, anchors, negatives, temperature=0.01))


@pytest.mark.parametrize(("num_anchors", "num_negatives"), [(0, 7), (5, 0), (0, 0)])
def test_info_nce_without_rows_is_a_zero_that_keeps_the_graph(num_anchors, num_negatives):
    anchors = unit_rows(num_anchors, seed=0).requires_grad_()
    negatives = unit_rows(num_negatives, seed=1).requires_grad_()
    loss = info_nce(anchors, anchors.detach(), negatives, temperature=0.1)
    loss.backward()
    assert loss == 0
    assert not anchors.grad.any() and not negatives.grad.any()


def test_distillation_is_the_mean_squared_distance():
    first, second = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
    slow = sum((a - b) ** 2 for a, b in pairs) / first.numel()
    assert distillation(first, second).item() == pytest.approx(slow, rel=1e-5)


def test_mask_loss_equals_its_formula():
    logits, targets = torch.randn(3, 5, 6), torch.rand(3, 5, 6) > 0.5
    total = 0.0
    for mask, target in zip(logits.double(), targets, strict=True):
        soft = [1 / (1 + math.exp(-x)) for x in mask.flatten().tolist()]
        wanted = target.flatten().tolist()
        pairs = list(zip(soft, wanted, strict=True))
        cross = -sum(math.log(p if t else 1 - p) for p, t in pairs) / len(pairs)
        shared = sum(p for p, t in pairs if t)
        total += cross + 1 - (2 * shared + 1) / (sum(soft) + sum(wanted) + 1)
    assert mask_loss(logits, targets).item() == pytest.approx(total / 3, rel=1e-4)


def test_a_perfect_mask_costs_nothing():
    targets = torch.rand(2, 8, 8) > 0.5
    logits = torch.where(targets, 50.0, -50.0)
    assert mask_loss(logits, targets).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(logits, targets).max() < 1e-6


def test_iou_loss_compares_with_the_true_iou():
    targets = torch.tensor([[[True, True, False, False]]])
    logits = torch.tensor([[[1.0, -1.0, 1.0, -1.0]]])  # IoU 1/3
    loss = iou_loss(torch.tensor([0.5]), logits, targets)
    assert loss.item() == pytest.approx((0.5 - 1 / 3) ** 2, rel=1e-5)


def test_monitors_are_means_over_objects_however_many_are_judged_at_a_time():
    num = CHUNK + 1
    logits, predicted, targets = torch.randn(num, 1, 4, 4), torch.rand(num), torch.rand(num, 16, 16)
    found = mask_monitors(Decoded(logits, predicted), targets > 0.5)
    drawn = F.interpolate(logits, size=16, mode="bilinear")[:, 0]
    slow = torch.zeros(3)
    for i in range(num):
        one, wanted = drawn[i : i + 1], targets[i : i + 1] > 0.5
        overlap = iou(one > 0, wanted)
        error = (predicted[i] - overlap) ** 2
        slow += torch.stack([mask_loss(one, wanted), error[0], overlap[0]]) / num
    assert [float(found[name]) for name in ("mask_loss", "iou_loss", "miou")] == pytest.approx(
        slow.tolist(), rel=1e-4
    )


def test_entropy_equals_its_formula_in_nats():
    logits = torch.tensor([[[-30.0, -2.0], [0.0, 3.0]]])
    slow = 0.0
    for x in logits.flatten().tolist():
        p = 1 / (1 + math.exp(-x))
        slow -= p * math.log(p) + (1 - p) * math.log(1 - p) if 0 < p < 1 else 0
    assert mask_entropy(logits).item() == pytest.approx(slow / 4, rel=1e-5)


def test_entropy_is_finite_for_any_logit_and_ln_2_at_most():
    logits = torch.tensor([[[-1e4, 1e4]], [[0.0, 0.0]]])
    assert torch.allclose(mask_entropy(logits), torch.tensor([0.0, math.log(2)]))


def test_an_object_is_trusted_at_the_threshold_and_below():
    logits = torch.stack([torch.full((4, 4), value) for value in (9.0, 2.0, 0.1)])
    limit = mask_entropy(logits)[1].item()
    pseudo = PseudoLabels.from_logits(logits[:, None], input_size=4, grid=2, entropy_thresh=limit)
    assert pseudo.trusted.tolist() == [True, True, False]


def test_a_cell_is_labelled_by_more_than_half_of_its_pixels():
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, :2, 0] = True  # half of the first cell
    masks[0, :2, 2:] = True
    masks[0, 2, :2] = True
    masks[0, 3, 0] = True  # three quarters
    assert mask_to_cells(masks, grid=2)[0].tolist() == [[False, True], [True, False]]
