"""Weights come in and go out to the last bit."""

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_sam
from transformers import SamModel

from ringsam.errors import InputError
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.weights import load_sam, resized, save_folder

BOXES = torch.tensor([[10.0, 12.0, 40.0, 44.0], [5.0, 3.0, 60.0, 30.0]])
INDEX = torch.zeros(2, dtype=torch.long)


def masks_of(sam: Sam) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, sam.input_size, sam.input_size, generator=generator)
    with torch.no_grad():
        return sam.decode(sam.encode(image), INDEX, Prompts(boxes=BOXES)).logits


def weights_of(sam: Sam) -> dict[str, torch.Tensor]:
    return sam.model.state_dict()


def assert_same_weights(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture(scope="module")
def saved_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "sam"
    save_folder(tiny_sam(), folder)
    return folder


def test_a_folder_comes_back_to_the_last_bit(saved_folder):
    sam = load_sam(saved_folder)
    assert_same_weights(weights_of(sam), weights_of(tiny_sam()))
    assert torch.equal(masks_of(sam), masks_of(tiny_sam()))


def test_transformers_alone_gives_the_same_masks(saved_folder):
    model = SamModel.from_pretrained(saved_folder).eval()
    assert_same_weights(model.state_dict(), weights_of(tiny_sam()))
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = model(pixel_values=image, input_boxes=BOXES[None], multimask_output=False)
    torch.testing.assert_close(out.pred_masks[0], masks_of(tiny_sam()), rtol=0, atol=1e-5)


def test_the_folder_says_how_to_prepare_images(saved_folder):
    image_processor = json.loads((saved_folder / "processor_config.json").read_text())
    image_processor = image_processor["image_processor"]
    assert image_processor["size"] == {"longest_edge": 64}
    assert image_processor["image_mean"] == pytest.approx(
        [123.675 / 255, 116.28 / 255, 103.53 / 255]
    )


def test_half_precision_weights_are_read_as_fp32(tmp_path):
    sam = tiny_sam()
    sam.model.half().save_pretrained(tmp_path / "half")
    found = weights_of(load_sam(tmp_path / "half"))
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert_same_weights(found, {k: v.float() for k, v in weights_of(sam).items()})


@pytest.mark.parametrize("input_size", [32, 96, 128])
def test_another_input_size_resizes_the_position_tables_alone(input_size):
    original = tiny_sam().model
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    other = Sam(resized(original, input_size))
    assert (other.input_size, other.grid) == (input_size, input_size // 8)
    assert masks_of(other).shape == (2, 1, input_size // 2, input_size // 2)
    changed = {n for n, t in weights_of(other).items() if t.shape != before[n].shape}
    table = "vision_encoder.layers.2.attn.rel_pos_"
    assert changed == {"vision_encoder.pos_embed", f"{table}h", f"{table}w"}
    assert all(torch.equal(weights_of(other)[n], before[n]) for n in before.keys() - changed)
    assert original.config.vision_config.image_size == 64
    assert_same_weights(original.state_dict(), before)


def test_position_tables_keep_what_they_say_about_a_place():
    model = tiny_sam().model
    with torch.no_grad():
        ramp = torch.linspace(0, 1, 8)
        model.vision_encoder.pos_embed.copy_(ramp[None, :, None, None].expand(1, 8, 8, 32))
        table = model.vision_encoder.layers[2].attn.rel_pos_h
        table.copy_(torch.linspace(-1, 1, len(table))[:, None].expand_as(table))
    other = resized(model, 128).vision_encoder
    down = other.pos_embed[0, :, 0, 0]
    assert (down.diff() > 0).all() and torch.allclose(other.pos_embed[0, :, 5, 3], down)
    torch.testing.assert_close(down.mean(), torch.tensor(0.5))
    relative = other.layers[2].attn.rel_pos_h[:, 0]
    assert len(relative) == 31 and (relative.diff() >= 0).all() and abs(relative[15]) < 1e-6


def test_the_own_input_size_is_left_as_it_is_and_an_odd_one_refused(saved_folder):
    model = tiny_sam().model
    assert resized(model, 64) is model
    assert load_sam(saved_folder, input_size=96).input_size == 96
    with pytest.raises(InputError, match="input_size 100: must be a multiple of the patch size, 8"):
        resized(model, 100)
