"""The contrast inside the frozen decoder, against a loop over objects and pixels."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny import disc_batch, tiny_sam

from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.method.pixel_contrast import pixel_contrast_loss
from ringsam.method.sampling import certain_background
from ringsam.method.self_training import box_regions

GRID, CHANNELS = 8, 5
DRAWS = Draws(0, 0)


def maps(seed: int) -> torch.Tensor:
    return torch.randn(4, CHANNELS, GRID, GRID, generator=torch.Generator().manual_seed(seed))


def case():
    batch = disc_batch()
    regions = box_regions(batch, grid=GRID)
    chance = torch.rand(4, GRID, GRID, generator=torch.Generator().manual_seed(3))
    targets = chance.masked_fill(regions.core, 1.0).masked_fill(regions.outside, 0.0)
    return batch, targets, regions.outside


def loss(student, teacher, targets, outside, batch):
    return pixel_contrast_loss(
        student, teacher, targets, outside, batch, temperature=0.1, draws=DRAWS
    )


def slow_loss(student, teacher, targets, outside, batch) -> list[float]:
    """As many pixels as there are: few enough that all are taken."""
    free = certain_background(batch, grid=GRID)
    losses = []
    for n in range(len(targets)):
        cells = [(r, c) for r in range(GRID) for c in range(GRID)]
        sure = [(r, c) for r, c in cells if targets[n, r, c] >= 0.8]
        background = [
            (r, c)
            for r, c in cells
            if targets[n, r, c] <= 0.2
            and (not outside[n, r, c] or free[batch.image_index[n], r, c])
        ]
        prototype = sum(F.normalize(teacher[n, :, r, c], dim=0) for r, c in sure)
        prototype = F.normalize(prototype, dim=0)
        found = []
        for r, c in sure:
            anchor = F.normalize(student[n, :, r, c], dim=0)
            near = math.exp(float(anchor @ prototype) / 0.1)
            far = [
                math.exp(float(anchor @ F.normalize(student[n, :, y, x], dim=0)) / 0.1)
                for y, x in background
            ]
            found.append(-math.log(near / (near + sum(far))))
        losses.append(sum(found) / len(found))
    return losses


def test_it_is_info_nce_of_sure_pixels_against_the_background_around_them():
    batch, targets, outside = case()
    given = (maps(1), maps(2), targets, outside, batch)
    assert loss(*given).tolist() == pytest.approx(slow_loss(*given), rel=1e-4)


def test_another_object_of_the_image_is_never_background():
    batch, targets, outside = case()
    other = box_regions(batch, grid=GRID)
    student = maps(1)
    moved = student.clone()
    for n, neighbour in ((0, 1), (1, 0)):
        theirs = ~other.outside[neighbour] & outside[n]  # in the neighbour's box alone
        assert theirs.any()
        moved[n][:, theirs] = 100 * torch.randn(CHANNELS, int(theirs.sum()))
    before, after = (loss(maps_, maps(2), targets, outside, batch) for maps_ in (student, moved))
    assert torch.equal(before, after)


def test_without_sure_pixels_it_is_zero_and_keeps_the_graph():
    batch, targets, outside = case()
    student = maps(1).requires_grad_()
    found = loss(student, maps(2), torch.full_like(targets, 0.5), outside, batch)
    found.sum().backward()
    assert not found.any() and student.grad is not None and not student.grad.any()


def test_the_teacher_is_given_no_gradient_and_the_student_is():
    adaptation = Adaptation(tiny_sam(), MethodConfig(alpha=0.0, gamma=0.0, pixel_contrast=1.0))
    output = adaptation.step(disc_batch(), DRAWS)
    output.loss.backward()
    assert output.signal
    gradients = [p.grad for p in adaptation.trained_parts().encoder.values()]
    assert any(g is not None and bool(g.any()) for g in gradients)
    assert all(p.grad is None for p in adaptation.teacher.parameters())
    assert all(p.grad is None for p in adaptation.sam.model.mask_decoder.parameters())


def test_the_ground_truth_changes_nothing():
    batch = disc_batch()
    config = MethodConfig(pixel_contrast=1.0, self_training=1.0)
    losses = [
        Adaptation(tiny_sam(), config).step(b, DRAWS).loss
        for b in (batch, replace(batch, gt_masks=~batch.gt_masks))
    ]
    assert torch.equal(*losses)
