"""A turned image takes its boxes, masks and key along, stays in its corner, and lies as its own objects' draw says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import disc_batch, tiny_sam, without_objects

from ringsam.batch import Batch
from ringsam.config import MethodConfig
from ringsam.data.turns import displayed
from ringsam.draws import Draws
from ringsam.method import orientation
from ringsam.method.adaptation import Adaptation
from ringsam.method.orientation import draw_ways, orient

EXIF = {0: 1, 1: 5, 2: 2, 3: 6, 4: 4, 5: 8, 6: 3, 7: 7}  # our number to EXIF's name of it
HEIGHT, WIDTH, SIZE = 5, 7, 8
DRAWS = Draws(seed=3, epoch=0)


def wide_batch() -> Batch:
    """One image of 5 x 7 in a frame of 8, with two objects that fill their big boxes."""
    random = torch.Generator().manual_seed(0)
    image = torch.zeros(1, 3, SIZE, SIZE)
    image[..., :HEIGHT, :WIDTH] = torch.rand(1, 3, HEIGHT, WIDTH, generator=random)
    boxes = torch.tensor([[1.0, 0, 4, 2], [3, 1, 7, 5]])
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return Batch(
        images=image,
        extents=torch.tensor([[HEIGHT, WIDTH]]),
        big_boxes=boxes,
        small_boxes=boxes + torch.tensor([1.0, 0.5, -0.5, -0.25]),
        image_index=torch.zeros(2, dtype=torch.long),
        object_ids=torch.tensor([4, 9]),
        gt_masks=masks,
        colour_masks=torch.stack([masks, ~masks], dim=1),
        image_keys=("some",),
    )


def lying(batch: Batch, way: int, monkeypatch) -> Batch:
    monkeypatch.setattr(orientation, "draw_ways", lambda *_: torch.tensor([way]))
    return orient(batch, DRAWS)


@pytest.mark.parametrize("way", range(8))
def test_pictures_are_turned_as_exif_would_turn_them_and_padding_stays(way, monkeypatch):
    batch = wide_batch()
    turned = lying(batch, way, monkeypatch)
    height, width = turned.extents[0].tolist()
    expected = displayed(batch.images[0, :, :HEIGHT, :WIDTH].permute(1, 2, 0).numpy(), EXIF[way])
    assert (height, width) == expected.shape[:2]
    np.testing.assert_array_equal(turned.images[0, :, :height, :width].permute(1, 2, 0), expected)
    assert not turned.images[..., height:, :].any()
    assert not turned.images[..., width:].any()


@pytest.mark.parametrize("way", range(8))
def test_boxes_and_masks_go_along(way, monkeypatch):
    batch = wide_batch()
    turned = lying(batch, way, monkeypatch)
    for mask, seen, box in zip(turned.gt_masks, turned.colour_masks, turned.big_boxes, strict=True):
        rows, columns = mask.nonzero().unbind(dim=1)
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == torch.stack(around).tolist()
        assert torch.equal(seen[0], mask)
        assert not (seen[1] & mask).any()
    sides = turned.small_boxes[:, 2:] - turned.small_boxes[:, :2]
    before = batch.small_boxes[:, 2:] - batch.small_boxes[:, :2]
    assert torch.equal(sides, before.flip(1) if way % 2 else before)
    assert (turned.small_boxes[:, :2] >= turned.big_boxes[:, :2]).all()
    assert (turned.small_boxes[:, 2:] <= turned.big_boxes[:, 2:]).all()


def test_the_key_tells_the_orientations_apart(monkeypatch):
    keys = [lying(wide_batch(), way, monkeypatch).image_keys for way in range(8)]
    assert len(set(keys)) == 8
    assert keys[0] == wide_batch().image_keys  # as it lies, for recipes that turn nothing


def objects_alone(ids: torch.Tensor) -> Batch:
    """An image for each of these objects, of a single pixel."""
    num = len(ids)
    boxes = torch.tensor([[0.0, 0, 1, 1]]).repeat(num, 1)
    ones = torch.ones(num, 2, dtype=torch.long)
    return Batch(torch.zeros(num, 3, 1, 1), ones, boxes, boxes, torch.arange(num), ids, None)


def test_every_orientation_is_drawn_as_often_and_anew_in_each_epoch():
    many = objects_alone(torch.arange(4000))
    first, second = (draw_ways(many, Draws(seed=0, epoch=epoch)) for epoch in (0, 1))
    assert (first.bincount(minlength=8) - 500).abs().max() < 100
    assert abs((first == second).float().mean().item() - 1 / 8) < 0.03


def test_an_image_lies_as_its_first_object_says_whatever_its_neighbours():
    batch = disc_batch(num_images=6, per_image=2)
    alone = [draw_ways(objects_alone(torch.tensor([i])), DRAWS).item() for i in range(0, 12, 2)]
    assert draw_ways(batch, DRAWS).tolist() == alone


def test_images_without_objects_are_turned_too():
    batch = without_objects(wide_batch())
    for masks in (batch.gt_masks, None):
        turned = orient(replace(batch, gt_masks=masks), DRAWS)
        assert not torch.equal(turned.images, batch.images)
        assert turned.gt_masks is None if masks is None else turned.gt_masks.shape == masks.shape


def test_a_step_sees_the_turned_batch_and_its_monitors_compare_with_turned_masks():
    batch = disc_batch(num_images=4)
    assert draw_ways(batch, DRAWS).any()
    settings = {"prompts": "box", "self_training": 1.0, "entropy_thresh": 0.7}
    plain = Adaptation(tiny_sam(), MethodConfig(**settings), seed=1)
    turning = Adaptation(tiny_sam(), MethodConfig(**settings, random_orientation=True), seed=1)
    expected, output = plain.step(orient(batch, DRAWS), DRAWS), turning.step(batch, DRAWS)
    assert torch.equal(output.loss, expected.loss)
    assert not torch.equal(output.loss, plain.step(batch, DRAWS).loss)
    assert turning.monitor(output) == plain.monitor(expected)
