"""Masks judged without masks."""

import pytest
import torch
from tiny import disc_batch, tiny_sam

from ringsam.draws import Draws
from ringsam.method.quality import judge, mask_free_quality
from ringsam.method.self_training import box_regions

GRID = 32


def test_quality_equals_its_formula():
    batch = disc_batch()
    regions = box_regions(batch, grid=GRID)
    generator = torch.Generator().manual_seed(0)
    by_box, by_core = (torch.rand(2, 4, GRID, GRID, generator=generator) > 0.6).unbind()
    found = mask_free_quality(by_box, by_core, regions)
    for n in range(4):
        both = either = core = covered = area = inside = 0
        for r in range(GRID):
            for c in range(GRID):
                one, other = bool(by_box[n, r, c]), bool(by_core[n, r, c])
                both, either = both + (one and other), either + (one or other)
                core += bool(regions.core[n, r, c])
                covered += one and bool(regions.core[n, r, c])
                area += one
                inside += one and not bool(regions.outside[n, r, c])
        assert found[n].item() == pytest.approx(both / either * covered / core * inside / area)


def test_a_perfect_mask_has_one_and_an_empty_one_none():
    batch = disc_batch()
    regions = box_regions(batch, grid=GRID)
    perfect = ~regions.outside
    assert mask_free_quality(perfect, perfect, regions).tolist() == [1.0] * 4
    empty = torch.zeros_like(perfect)
    assert mask_free_quality(empty, empty, regions).tolist() == [0.0] * 4


def test_judging_asks_with_both_prompts_and_repeats_itself():
    batch, sam = disc_batch(), tiny_sam()
    embedding = sam.encode(batch.images)
    found = judge(sam, embedding, batch, Draws(0, 0))
    assert found.shape == (4,) and ((found >= 0) & (found <= 1)).all()
    assert torch.equal(found, judge(sam, embedding, batch, Draws(0, 0)))
