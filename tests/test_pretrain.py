"""The pretraining of ringsam-nano: images that repeat, prompts that make sense, training that repeats and learns."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SamModel

from pretrain.attention import fold_attention
from pretrain.batches import DrawnBatches, load_batch
from pretrain.cells import whole_cells
from pretrain.drawn import SCENES, draw
from pretrain.losses import mask_loss, near
from pretrain.model import build, decode, encode, load, nano_config
from pretrain.prompts import KINDS, corrected, first_prompts
from pretrain.train import main

TINY = ["--image-size", "64", "--width", "32", "--depth", "2", "--channels", "32", "--num-images", "2",
        "--num-objects", "4", "--workers", "0", "--warmup-steps", "5"]  # fmt: skip


@pytest.fixture
def one_thread():
    """One thread while the test runs: sums in one order. The tests after it have their subnormal numbers back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


def tiny_model() -> SamModel:
    return build(nano_config(image_size=64, width=32, depth=2, channels=32), seed=0)


def test_seed_and_index_name_an_image() -> None:
    for index in range(6):
        first, second = (draw(3, index, size=96, max_objects=5) for _ in range(2))
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.masks, second.masks)
    assert not np.array_equal(
        draw(3, 0, size=96, max_objects=5).pixels[:48, :48],
        draw(4, 0, size=96, max_objects=5).pixels[:48, :48],
    )


def test_drawn_masks_are_valid() -> None:
    for index in range(40):
        pixels, masks = draw(0, index, size=96, max_objects=5)
        assert pixels.dtype == np.uint8
        assert max(pixels.shape[:2]) == 96
        assert masks.dtype == np.bool_
        assert 1 <= len(masks) <= 5
        assert masks.shape[1:] == pixels.shape[:2]
        assert masks.any(axis=(1, 2)).all()


@pytest.mark.parametrize("scene", [scene for _, scene in SCENES])
def test_every_scene_draws_objects_on_long_and_small_canvases(scene) -> None:
    found = 0
    for size in ((40, 80), (80, 40), (48, 48)):
        for seed in range(5):
            canvas = scene(np.random.default_rng(seed), size)
            assert canvas.pixels.shape == (*size, 3)
            assert np.isfinite(canvas.pixels).all()
            found += len(canvas.objects(min_area=4))
    assert found >= 10


def test_a_part_belongs_to_its_parent() -> None:
    canvas = whole_cells(np.random.default_rng(1), (96, 96))
    part = next(name for name in canvas.objects(min_area=1) if canvas.parent(name))
    assert (canvas.mask(part) <= canvas.mask(canvas.parent(part))).all()


def test_batches_do_not_depend_on_where_training_resumed() -> None:
    options = {"size": 64, "num_images": 2, "num_objects": 3}
    from_start = iter(DrawnBatches(0, first_step=0, **options))
    _, _, third = next(from_start), next(from_start), next(from_start)
    resumed = next(iter(DrawnBatches(0, first_step=2, **options)))
    assert all(torch.equal(one, other) for one, other in zip(third, resumed, strict=True))


def test_prompts_point_at_the_object() -> None:
    batch = load_batch(0, 0, size=64, num_images=3, num_objects=4)
    for kind in KINDS:
        boxes, points, labels = first_prompts(batch, kind, torch.Generator().manual_seed(0))
        assert (boxes is not None) == kind.startswith("box")
        if boxes is not None:
            assert (boxes[:, 0, 2:] > boxes[:, 0, :2]).all()
        if points is not None:
            column, row = ((points[:, 0, 0] + 0.5) / 2).long().unbind(-1)
            inside = batch.targets[torch.arange(len(row)), 0, row, column]
            assert (labels[:, 0, 0] == 1).all()
            assert (inside > 0).all()


def test_the_correction_click_lies_where_the_mask_errs() -> None:
    batch = load_batch(0, 1, size=64, num_images=2, num_objects=4)
    generator = torch.Generator().manual_seed(0)
    first = first_prompts(batch, "box", generator)
    everything = torch.ones_like(batch.targets)
    _, points, labels = corrected(first, everything, batch.targets, generator)
    column, row = ((points[:, 0, -1] + 0.5) / 2).long().unbind(-1)
    assert (batch.targets[torch.arange(len(row)), 0, row, column] <= 0.5).all()
    assert (labels[:, 0, -1] == 0).all()


def test_folded_attention_is_the_library_s() -> None:
    plain, folded = tiny_model(), fold_attention(tiny_model())
    pixels, weights = torch.randn(2, 3, 64, 64), torch.randn(2, 32, 8, 8)
    results = []
    for model in (plain, folded):
        for layer in model.vision_encoder.layers:
            torch.manual_seed(1)
            torch.nn.init.normal_(layer.attn.rel_pos_h)
            torch.nn.init.normal_(layer.attn.rel_pos_w)
        features = encode(model, pixels)
        (features * weights).sum().backward()
        results.append((features, model.vision_encoder.layers[0].attn.rel_pos_h.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_decode_gives_the_library_s_masks() -> None:
    model, batch = tiny_model(), load_batch(0, 0, size=64, num_images=1, num_objects=3)
    prompts = first_prompts(batch, "box and points", torch.Generator().manual_seed(0))
    embeddings = encode(model, batch.pixels)
    logits, rated = decode(model, embeddings[batch.image_index], prompts)
    for three, tokens in ((False, slice(0, 1)), (True, slice(1, 4))):
        out = model(
            image_embeddings=embeddings, input_points=prompts.points.transpose(0, 1), multimask_output=three,
            input_labels=prompts.labels.transpose(0, 1).long(), input_boxes=prompts.boxes.transpose(0, 1),
        )  # fmt: skip
        torch.testing.assert_close(out.pred_masks[0], logits[:, tokens], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(out.iou_scores[0], rated[:, tokens], rtol=1e-4, atol=1e-4)


def test_the_mask_loss_is_that_of_a_slow_twin() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 1, 16, 16), (torch.rand(2, 1, 16, 16) > 0.7).float()
    nearby = near(torch.tensor([[4.0, 4.0, 20.0, 20.0], [0.0, 10.0, 12.0, 30.0]]), 16)
    got = mask_loss(logits, targets, nearby, balance=1.0, focus=0.0)
    for index in range(2):
        kinds: dict[str, list[float]] = {"inside": [], "around": [], "far": []}
        both = squares = 0.0
        for row in range(16):
            for column in range(16):
                chance = float(logits[index, 0, row, column].sigmoid())
                truth = float(targets[index, 0, row, column])
                entropy = -np.log(chance if truth else 1 - chance)
                close = bool(nearby[index, 0, row, column])
                kinds[("inside" if truth else "around") if close else "far"].append(entropy)
                both, squares = both + chance * truth, squares + chance**2 + truth
        want = (
            0.5 * np.mean(kinds["inside"])
            + 0.5 * np.mean(kinds["around"])
            + 0.25 * np.mean(kinds["far"])
        )
        want += 1 - (2 * both + 1) / (squares + 1)
        assert float(got[index, 0]) == pytest.approx(want, rel=1e-4)


def test_a_model_goes_on_at_another_image_size(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    larger = load(tmp_path, image_size=96)
    assert encode(larger, torch.zeros(1, 3, 96, 96)).shape == (1, 32, 12, 12)


def weights_after(folder: Path, *options: str) -> dict[str, torch.Tensor]:
    return main(["--out", str(folder), *TINY, *options]).model.state_dict()


def test_twenty_steps_twice_give_the_same_weights(one_thread, tmp_path: Path) -> None:
    first, second = (weights_after(tmp_path / name, "--steps", "20") for name in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resuming_gives_the_weights_of_one_run(one_thread, tmp_path: Path) -> None:
    whole = weights_after(tmp_path / "whole", "--steps", "12", "--save-every", "6")
    weights_after(tmp_path / "halves", "--steps", "6", "--save-every", "6")
    resumed = weights_after(tmp_path / "halves", "--steps", "12", "--save-every", "6")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_miniature_learns(one_thread, tmp_path: Path) -> None:
    weights_after(tmp_path, "--steps", "160", "--learning-rate", "0.002")
    rows = list(csv.DictReader(next(tmp_path.glob("log/*/metrics.csv")).read_text().splitlines()))
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
