"""Which cells are contrasted, against loops that say it cell by cell."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from tiny import disc_batch

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.geometry import cells_inside
from ringsam.method.losses import info_nce
from ringsam.method.pseudo_labels import PseudoLabels, mask_to_cells
from ringsam.method.sampling import (
    Contrast,
    cell_roles,
    certain_background,
    choose_cells,
    hardest_background,
    sample_contrast,
)

GRID, STRIDE = 8, 8
DRAWS = Draws(seed=0, epoch=0)


def pseudo_labels(batch: Batch, *, trusted: bool = True, seed: int = 0) -> PseudoLabels:
    """Blotchy masks that hit and miss cores, and spill over the big boxes."""
    coarse = torch.randn(batch.num_objects, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    masks = F.interpolate(coarse, (64, 64), mode="bilinear")[:, 0] > 0
    num = batch.num_objects
    return PseudoLabels(
        masks, mask_to_cells(masks, grid=GRID), torch.zeros(num), torch.full((num,), trusted)
    )


def projections(batch: Batch, *, seed: int) -> torch.Tensor:
    shape = (len(batch.images), 16, GRID, GRID)
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def sample(batch: Batch, pseudo: PseudoLabels, **changes) -> Contrast:
    settings = {"pos_samples": 256, "neg_samples": 1024, "gather_negatives": True, "draws": DRAWS}
    student = changes.pop("student", projections(batch, seed=1))
    return sample_contrast(
        student, projections(batch, seed=2), pseudo, batch, **{**settings, **changes}
    )


def test_roles_are_what_the_two_boxes_say_cell_by_cell():
    batch = replace(disc_batch(num_images=3), extents=torch.tensor([[64, 64], [40, 64], [64, 30]]))
    pseudo = pseudo_labels(batch)
    pseudo.trusted[1] = False
    roles = cell_roles(pseudo, batch)
    for n in range(batch.num_objects):
        sx1, sy1, sx2, sy2 = batch.small_boxes[n].tolist()
        bx1, by1, bx2, by2 = batch.big_boxes[n].tolist()
        height, width = batch.extents[batch.image_index[n]].tolist()
        for r in range(GRID):
            for c in range(GRID):
                y1, x1, y2, x2 = r * STRIDE, c * STRIDE, (r + 1) * STRIDE, (c + 1) * STRIDE
                holds_center = x1 <= (sx1 + sx2) / 2 < x2 and y1 <= (sy1 + sy2) / 2 < y2
                small = (x1 >= sx1 and x2 <= sx2 and y1 >= sy1 and y2 <= sy2) or holds_center
                outside = x2 <= bx1 or x1 >= bx2 or y2 <= by1 or y1 >= by2
                usable = bool(pseudo.trusted[n]) and y2 <= height and x2 <= width
                label = bool(pseudo.cells[n, r, c])
                assert roles.anchors[n, r, c] == (label and small and usable)
                assert roles.missed[n, r, c] == (not label and small and usable)
                assert roles.spurious[n, r, c] == (label and outside and usable)


def test_rows_are_the_features_at_their_cells():
    batch = disc_batch(num_images=3)
    pseudo = pseudo_labels(batch)
    student, teacher = projections(batch, seed=1), projections(batch, seed=2)
    contrast = sample(batch, pseudo)
    roles = cell_roles(pseudo, batch)
    anchors, positives, negatives = [], [], []
    for n in range(batch.num_objects):
        image = batch.image_index[n]
        for r in range(GRID):
            for c in range(GRID):
                if roles.anchors[n, r, c]:
                    anchors.append(student[image, :, r, c])
                    positives.append(teacher[image, :, r, c])
                if roles.missed[n, r, c] or roles.spurious[n, r, c]:
                    negatives.append(student[image, :, r, c])
    assert len(anchors) >= 3 and len(negatives) >= 3
    assert torch.equal(contrast.anchors, torch.stack(anchors))
    assert torch.equal(contrast.positives, torch.stack(positives))
    assert torch.equal(contrast.negatives, torch.stack(negatives))
    assert contrast.num_missed == roles.missed.sum()
    assert contrast.num_spurious == roles.spurious.sum()
    assert contrast.num_background == 0


def test_no_object_gives_more_cells_than_its_share():
    batch = disc_batch(num_images=2, per_image=3)
    cells = torch.rand(6, GRID, GRID) > 0.3
    chosen = choose_cells(cells, 5, batch, DRAWS, "anchors")
    assert not (chosen & ~cells).any()
    assert chosen.flatten(1).sum(dim=1).tolist() == [5] * 6
    few = choose_cells(cells, 60, batch, DRAWS, "anchors")
    assert torch.equal(few, cells)


def test_cells_are_drawn_evenly():
    batch = disc_batch()
    cells = torch.ones(batch.num_objects, GRID, GRID, dtype=torch.bool)
    hits = torch.zeros(GRID, GRID)
    for epoch in range(300):
        hits += choose_cells(cells, 16, batch, Draws(0, epoch), "anchors").sum(dim=0)
    rate = hits / (300 * batch.num_objects)
    assert (rate - 0.25).abs().max() < 0.06


def test_without_a_hard_negative_the_hardest_certain_background_is_taken():
    batch = disc_batch(num_images=2, per_image=1)
    inside = torch.zeros(2, 64, 64, dtype=torch.bool)
    for n, (x1, y1, x2, y2) in enumerate(batch.big_boxes.int().tolist()):
        inside[n, y1:y2, x1:x2] = True
    cells = torch.ones(2, GRID, GRID, dtype=torch.bool)
    background = certain_background(batch, grid=GRID)
    pseudo = PseudoLabels(
        inside, cells & ~background, torch.zeros(2), torch.ones(2, dtype=torch.bool)
    )
    student = projections(batch, seed=1)
    roles = cell_roles(pseudo, batch)
    assert not (roles.missed | roles.spurious).any()
    contrast = sample(batch, pseudo, neg_samples=6)
    expected = []
    for image in range(2):
        prototype = student[image][:, roles.anchors[image]].sum(dim=1)
        places = background[image].nonzero().tolist()
        likeness = {(r, c): float(student[image, :, r, c] @ prototype) for r, c in places}
        hardest = sorted(sorted(likeness, key=likeness.get, reverse=True)[:6])
        expected += [student[image, :, r, c] for r, c in hardest]
    assert torch.equal(contrast.negatives, torch.stack(expected))
    assert contrast.num_background == 12


def test_an_image_without_anchors_gives_no_background():
    batch = disc_batch(num_images=2, per_image=1)
    anchors = torch.zeros(2, GRID, GRID, dtype=torch.bool)
    anchors[0, 3, 3] = True
    chosen = hardest_background(projections(batch, seed=1), anchors, batch, neg_samples=4)
    assert chosen.flatten(1).sum(dim=1).tolist() == [4, 0]


def test_certain_background_touches_no_big_box_and_no_padding():
    batch = replace(disc_batch(), extents=torch.tensor([[40, 64], [64, 64]]))
    background = certain_background(batch, grid=GRID)
    assert not background[0, 5:].any()
    for image, (x1, y1, x2, y2) in zip(batch.image_index, batch.big_boxes.tolist(), strict=True):
        rows = slice(int(y1 // STRIDE), int(-(-y2 // STRIDE)))
        columns = slice(int(x1 // STRIDE), int(-(-x2 // STRIDE)))
        assert not background[image, rows, columns].any()
    assert background.any()


def test_one_rank_holds_all_anchors():
    batch = disc_batch()
    assert sample(batch, pseudo_labels(batch)).anchor_share == 1
    assert sample(batch, pseudo_labels(batch, trusted=False)).anchor_share == 0


def test_a_surely_empty_mask_is_trusted_but_gives_no_anchor():
    batch = disc_batch()
    empty = torch.full((batch.num_objects, 1, 16, 16), -50.0)
    pseudo = PseudoLabels.from_logits(empty, input_size=64, grid=GRID, entropy_thresh=1e-9)
    assert pseudo.trusted.all()
    torch.testing.assert_close(pseudo.entropy, torch.zeros(batch.num_objects), rtol=0, atol=1e-18)
    roles = cell_roles(pseudo, batch)
    assert not roles.anchors.any() and not roles.spurious.any()
    assert torch.equal(roles.missed, cells_inside(batch.small_boxes, grid=GRID, stride=8.0))
    student = projections(batch, seed=1).requires_grad_()
    contrast = sample(batch, pseudo, student=student)
    assert len(contrast.anchors) == len(contrast.positives) == 0
    assert len(contrast.negatives) == contrast.num_missed == roles.missed.sum() > 0
    assert contrast.num_spurious == contrast.num_background == 0
    assert contrast.anchor_share == 0
    loss = info_nce(contrast.anchors, contrast.positives, contrast.negatives, temperature=0.1)
    loss.backward()
    assert loss == 0 and not student.grad.any()
