"""Row 23: without anchors, without negatives, or with fewer cells than asked for, the contrast is a finite zero or takes what is there, and every weight still gets its gradient."""

from dataclasses import replace

import pytest
import torch
from tiny import disc_batch, tiny_sam, without_objects

from ringsam.batch import Batch
from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation, StepOutput
from ringsam.method.losses import info_nce


def step(batch: Batch, **settings) -> tuple[StepOutput, list[torch.Tensor]]:
    adaptation = Adaptation(tiny_sam(), MethodConfig(**{"entropy_thresh": 0.7} | settings))
    output = adaptation.step(batch, Draws(0, 0))
    output.loss.backward()
    gradients = [p.grad for p in adaptation.parameters() if p.requires_grad]
    assert all(gradient is not None for gradient in gradients)  # or DDP waits for ever
    assert output.loss.isfinite() and all(gradient.isfinite().all() for gradient in gradients)
    return output, gradients


@pytest.mark.parametrize("num_anchors", [0, 1, 5])
@pytest.mark.parametrize("num_negatives", [0, 1, 5])
def test_any_number_of_rows_gives_a_finite_loss_with_its_graph(num_anchors, num_negatives):
    def rows(number: int) -> torch.Tensor:
        made = torch.randn(number, 4, generator=torch.Generator().manual_seed(number))
        return torch.nn.functional.normalize(made, dim=1).requires_grad_()

    anchors, negatives = rows(num_anchors), rows(num_negatives)
    loss = info_nce(anchors, anchors.detach(), negatives, temperature=0.1)
    loss.backward()
    assert loss.isfinite() and (loss == 0) == (0 in (num_anchors, num_negatives))
    assert anchors.grad.isfinite().all() and negatives.grad.isfinite().all()


@pytest.mark.parametrize("without", ["anchors", "objects", "both"])
def test_a_step_without_them_moves_nothing(without):
    batch = disc_batch()
    if without in ("anchors", "both"):
        batch = replace(batch, extents=torch.zeros_like(batch.extents))
    if without in ("objects", "both"):
        batch = without_objects(batch)
    output, gradients = step(batch)
    assert len(output.contrast.anchors) == 0 and output.terms["contrast"] == 0
    assert not output.signal and not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("number", [1, 100_000])
def test_fewer_cells_than_asked_for_are_taken_once_each(number):
    """None is drawn twice: a small object gives what it has."""
    output, _ = step(disc_batch(), pos_samples=number, neg_samples=number)
    anchors, cells = output.contrast.anchors, 8 * 8
    assert 0 < len(anchors) <= min(number, cells) * 4
    assert output.terms["contrast"] > 0
