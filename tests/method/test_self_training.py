"""Losses through the frozen decoder, against loops over pixels."""

import math
from dataclasses import replace

import pytest
import torch
from tiny import disc_batch, tiny_sam

from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.method.self_training import (
    box_constraint_loss,
    box_regions,
    expected_overlap,
    make_targets,
    pool,
    self_training_loss,
    shape_prior,
    temper,
)

GRID = 32


def logits(num: int, *, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(num, GRID, GRID, generator=torch.Generator().manual_seed(seed))


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def log_odds_of(belief: float) -> float:
    belief = min(max(belief, 0.02), 0.98)
    return math.log(belief / (1 - belief))


def test_targets_are_certain_where_the_boxes_are_and_pooled_in_the_ring():
    batch = disc_batch()
    regions = box_regions(batch, grid=GRID)
    colour = batch.gt_masks.flip(1)
    voted = replace(batch, colour_masks=colour[:, None])
    config = MethodConfig(colour_vote=0.25, shape_vote=0.5)
    targets = make_targets(logits(4), voted, config)
    place = shape_prior(batch, grid=GRID)
    assert (targets[regions.core] == 1).all() and (targets[regions.outside] == 0).all()
    ring = (~regions.core & ~regions.outside).nonzero().tolist()
    assert len(ring) > 20
    pooled = {}
    for n, r, c in ring:
        share = colour[n, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].float().mean().item()
        pooled[n, r, c] = 0.25 * logits(4)[n, r, c].clamp(-6, 6).item()
        pooled[n, r, c] += 0.25 * log_odds_of(share) + 0.5 * log_odds_of(place[n, r, c].item())
    for n in range(4):
        believed = [sigmoid(odds) for (of, _, _), odds in pooled.items() if of == n]
        sure = int(regions.core[n].sum())
        shared = sure + sum(p for p in believed if p > 0.5)
        overlap = shared / (sure + sum(1 if p > 0.5 else p for p in believed))
        assert 0.3 < overlap < 0.95
        for (_, r, c), odds in [(at, odds) for at, odds in pooled.items() if at[0] == n][::7]:
            assert targets[n, r, c].item() == pytest.approx(sigmoid(overlap * odds), rel=1e-4)


def test_a_belief_that_doubts_nothing_expects_all_the_overlap_and_is_taught_as_it_is():
    sure = disc_batch().gt_masks.float()
    doubtful = torch.where(sure > 0, 0.6, 0.4)
    assert torch.equal(expected_overlap(sure), torch.ones(4))
    torch.testing.assert_close(temper(sure), sure, atol=2e-4, rtol=0)
    assert (expected_overlap(doubtful) < 0.6).all()
    assert torch.equal(temper(doubtful) > 0.5, sure > 0)
    assert ((temper(doubtful) - 0.5).abs() < 0.6 * 0.1).all()
    assert torch.equal(expected_overlap(torch.zeros(1, 4, 4)), torch.zeros(1))


def test_the_shape_prior_is_an_ellipse_half_way_between_the_boxes():
    batch = disc_batch()
    prior = shape_prior(batch, grid=GRID)
    stride = batch.images.shape[-1] / GRID
    for n, r, c in [(0, 10, 10), (1, 12, 9), (2, 8, 20), (3, 16, 16), (0, 0, 31)]:
        x1, y1, x2, y2 = ((batch.big_boxes[n] + batch.small_boxes[n]) / 2).tolist()
        x, y = (c + 0.5) * stride, (r + 0.5) * stride
        radius = ((x - (x1 + x2) / 2) * 2 / (x2 - x1)) ** 2
        radius += ((y - (y1 + y2) / 2) * 2 / (y2 - y1)) ** 2
        expected = math.exp(-softplus(4 * (radius - 1)))
        assert prior[n, r, c].item() == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_shape_prior_goes_on_past_a_border_that_cuts_the_object():
    batch = disc_batch()
    side = float(batch.images.shape[-1])
    touching, near = batch.big_boxes.clone(), batch.big_boxes.clone()
    touching[0, 0], near[0, 0] = 0.0, 0.1 * side  # the left side
    touching[1, 3], near[1, 3] = float(batch.extents[batch.image_index[1], 0]), 0.9 * side
    cut, free = (
        shape_prior(replace(batch, big_boxes=boxes), grid=GRID) for boxes in (touching, near)
    )
    row = int(batch.small_boxes[0, [1, 3]].mean() / side * GRID)
    column = int(batch.small_boxes[1, [0, 2]].mean() / side * GRID)
    assert cut[0, row, 0] > 0.5 > free[0, row, 0]
    assert cut[1, -1, column] > 0.5 > free[1, -1, column]
    x1, y1, x2, y2 = ((touching[0] + batch.small_boxes[0]) / 2).tolist()
    x1 = -0.1 * touching[0, 2].item()  # a tenth of the big box's width beyond
    for r, c in [(row, 0), (3, 5), (20, 9)]:
        x, y = ((place + 0.5) * side / GRID for place in (c, r))
        radius = ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2
        expected = math.exp(-softplus(4 * (radius - 1)))
        assert cut[0, r, c].item() == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_with_no_other_voter_the_teacher_has_the_whole_vote():
    batch = disc_batch()
    regions = box_regions(batch, grid=GRID)
    targets = make_targets(logits(4), batch, MethodConfig())
    ring = ~regions.core & ~regions.outside
    torch.testing.assert_close(targets[ring], logits(4).clamp(-6, 6).sigmoid()[ring])


def test_a_sam_that_is_sure_is_not_outvoted_and_one_that_is_not_is():
    against = [(torch.zeros(1, 1, 1), 0.25), (torch.full((1, 1, 1), 0.1), 0.25)]
    found = {said: pool(torch.full((1, 1, 1), said), against).item() for said in (1.0, 6.0, 30.0)}
    assert found[1.0] < 0.5 < found[6.0] == found[30.0]
    log_odds = 0.5 * 6 + 0.25 * log_odds_of(0.0) + 0.25 * log_odds_of(0.1)
    assert found[30.0] == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-5)


def test_self_training_equals_its_formula():
    batch = disc_batch()
    regions = box_regions(batch, grid=GRID)
    targets = make_targets(logits(4, seed=1), batch, MethodConfig())
    losses = self_training_loss(logits(4), targets, regions)
    for n in range(4):
        entropy = inside = shared = squares = 0.0
        for r in range(GRID):
            for c in range(GRID):
                x, t = logits(4)[n, r, c].item(), targets[n, r, c].item()
                p = 1 / (1 + math.exp(-x))
                shared, squares = shared + p * t, squares + p * p + t * t
                if not regions.outside[n, r, c]:
                    inside += 1
                    entropy += t * softplus(-x) + (1 - t) * softplus(x)
        expected = entropy / inside + 1 - (2 * shared + 1) / (squares + 1)
        assert losses[n].item() == pytest.approx(expected, rel=1e-4)


def test_the_box_constraint_equals_its_formula():
    regions = box_regions(disc_batch(), grid=GRID)
    losses = box_constraint_loss(logits(4), regions)
    for n in range(4):
        missed = spilled = core = box = 0.0
        for r in range(GRID):
            for c in range(GRID):
                x = logits(4)[n, r, c].item()
                core += float(regions.core[n, r, c])
                box += float(not regions.outside[n, r, c])
                missed += softplus(-x) * float(regions.core[n, r, c])
                spilled += softplus(x) * float(regions.outside[n, r, c])
        assert losses[n].item() == pytest.approx(missed / core + spilled / box, rel=1e-4)


def test_the_terms_are_off_by_default_and_the_step_has_them_when_on():
    assert not MethodConfig().trains_masks
    batch = replace(disc_batch(), colour_masks=disc_batch().gt_masks[:, None])
    settings = {"prompts": "box", "self_training": 1.0, "colour_vote": 1.0, "alpha": 0.0}
    adaptation = Adaptation(tiny_sam(), MethodConfig(**settings))
    learning = [p for p in adaptation.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=3e-3)
    losses = []
    for _ in range(9):
        output = adaptation.step(batch, Draws(0, 0))
        losses.append(output.terms["self_training"].item())
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        adaptation.update_teacher()
    assert losses[-1] < 0.98 * losses[0]  # the frozen decoder is a random one
    decoder = tiny_sam().model.mask_decoder.state_dict()
    trained = adaptation.sam.model.mask_decoder.state_dict()
    assert all(torch.equal(decoder[name], trained[name]) for name in decoder)


def test_an_object_without_trust_still_trains_through_the_boxes():
    settings = MethodConfig(entropy_thresh=0.0, prompts="box", box_constraint=1.0)
    output = Adaptation(tiny_sam(), settings).step(disc_batch(), Draws(0, 0))
    assert output.signal and not output.pseudo.trusted.any()
    assert output.terms["contrast"] == 0 and output.terms["box_constraint"] > 0
