"""The object's own colours, against a loop over pixels, and where they must say nothing."""

import math
from dataclasses import replace

import pytest
import torch
from tiny import disc_batch, without_objects

from ringsam.method.colours import fit_mixture, follow_colours, move_odds, windows_of
from ringsam.method.self_training import shape_prior

GRID = 32


def vague(num: int = 4) -> torch.Tensor:
    return torch.full((num, GRID, GRID), 0.5)


def two_clouds(num: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours of which a third lie around (1, 0, -1) and the rest around (-1, 0.5, 0), and weights."""
    generator = torch.Generator().manual_seed(3)
    colours = 0.2 * torch.randn(1, num, 3, generator=generator)
    colours += torch.tensor([-1.0, 0.5, 0.0])
    colours[:, : num // 3] += torch.tensor([2.0, -0.5, -1.0])
    return colours, torch.rand(1, num, generator=generator)


def terms_of(colours: torch.Tensor) -> torch.Tensor:
    r, g, b = colours.unbind(-1)
    return torch.stack(
        [torch.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, r * b, g * b], dim=-1
    )


def test_a_mixture_has_the_density_of_its_two_weighted_clouds():
    colours, weights = two_clouds()
    mixture = fit_mixture(terms_of(colours), weights)
    found = (terms_of(colours) @ mixture.mT)[
        0
    ]  # (p, 2), log share + log density but for a constant
    split = len(found) // 3
    for part in (slice(None, split), slice(split, None)):
        rows, mass = colours[0, part].double(), weights[0, part].double()
        mean = (rows * mass[:, None]).sum(0) / mass.sum()
        spread = ((rows - mean) * mass[:, None]).T @ (rows - mean) / mass.sum()
        cloud = torch.distributions.MultivariateNormal(mean, spread + 0.01 * torch.eye(3))
        share = (mass.sum() / weights.sum()).log()
        whole = 1.5 * math.log(2 * math.pi)  # the constant that both mixtures share
        for p in range(part.start or 0, part.stop or len(found), 37):
            expected = float(share + cloud.log_prob(colours[0, p].double()) + whole)
            assert found[p].max().item() == pytest.approx(expected, abs=0.05)


def test_the_surer_of_a_pixel_the_more_it_counts_in_the_fit_by_the_square():
    batch = disc_batch(num_images=1, per_image=1)
    windows = windows_of(batch)
    side = int(windows.terms.shape[1] ** 0.5)
    belief = torch.rand(1, side * side, generator=torch.Generator().manual_seed(0))
    found = move_odds(belief, windows, weight=0.5)
    odds, moved = belief.clamp(0.02, 0.98).logit(), belief
    for _ in range(2):
        moved = torch.where(windows.core, 1.0, torch.where(windows.outside, 0.0, moved))
        told = torch.zeros_like(odds)
        for weights, sign in ((moved * moved, 1), ((1 - moved) * (1 - moved), -1)):
            first, second = (windows.terms @ fit_mixture(windows.terms, weights).mT).unbind(dim=2)
            told += sign * torch.logaddexp(first, second)
        moved = 1 / (1 + torch.exp(-odds - 0.5 * told.clamp(-6, 6)))
    torch.testing.assert_close(found, moved, atol=1e-5, rtol=1e-4)


def test_colours_draw_the_object_out_of_a_belief_that_knows_only_the_place():
    batch = disc_batch(num_images=4, per_image=1)
    batch = replace(batch, big_boxes=batch.big_boxes + torch.tensor([-8.0, 0, 0, 0]))  # off centre
    before = shape_prior(batch, grid=GRID)
    targets = follow_colours(before, batch, weight=1.0)
    truth = torch.nn.functional.avg_pool2d(batch.gt_masks.float(), 2)
    stride = batch.images.shape[-1] / GRID
    x = (torch.arange(GRID) + 0.5) * stride
    for n, box in enumerate(batch.big_boxes):
        inside = ((x > box[0]) & (x < box[2]))[None] & ((x > box[1]) & (x < box[3]))[:, None]
        clear = inside & ((truth[n] == 0) | (truth[n] == 1))
        wrong, wrong_before = (
            ((belief[n] > 0.5) != (truth[n] > 0.5))[clear].float().mean()
            for belief in (targets, before)
        )
        assert wrong < 0.03 < wrong_before


def test_an_image_of_one_colour_leaves_the_belief_as_it_was():
    batch = disc_batch()
    batch = replace(batch, images=torch.full_like(batch.images, 0.3))
    belief = torch.rand(4, 1, 1, generator=torch.Generator().manual_seed(0)).expand(4, GRID, GRID)
    assert torch.allclose(follow_colours(belief, batch, weight=0.5), belief, atol=1e-3)


def test_without_weight_nothing_moves_but_the_surest():
    batch = disc_batch()
    belief = torch.linspace(0, 1, GRID).expand(4, GRID, GRID)
    windows = windows_of(batch)
    assert windows.core.any(dim=1).all() and windows.outside.any(dim=1).all()
    moved = follow_colours(belief, batch, weight=0.0)
    stride = batch.images.shape[-1] / GRID
    for n, box in enumerate(batch.big_boxes / stride):
        rows, columns = (
            slice(int(box[1]) + 1, int(box[3]) - 1),
            slice(int(box[0]) + 1, int(box[2]) - 1),
        )
        assert torch.allclose(
            moved[n, rows, columns], belief[n, rows, columns].clamp(0.02, 0.98), atol=0.01
        )


def test_padding_has_no_colour_of_the_surroundings():
    batch = disc_batch(num_images=1)
    cut = 50
    extents = torch.tensor([[64, cut]])
    targets = []
    for fill in (0.0, 3.0):
        images = batch.images.clone()
        images[..., cut:] = fill
        padded = replace(batch, images=images, extents=extents)
        targets.append(follow_colours(vague(2), padded, weight=0.5)[..., : cut // 2 - 2])
    assert torch.allclose(*targets, atol=1e-5)


def test_half_precision_around_it_changes_nothing():
    batch = disc_batch()
    wanted = follow_colours(vague(), batch, weight=0.5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(follow_colours(vague(), batch, weight=0.5), wanted)


def test_no_objects_give_no_targets():
    empty = without_objects(disc_batch())
    assert follow_colours(torch.zeros(0, GRID, GRID), empty, weight=0.5).shape == (0, GRID, GRID)
