"""Meta's layout, against Meta's own implementation where it is installed."""

import pytest
import torch
from test_weights import assert_same_weights, masks_of, weights_of
from tiny import tiny_sam
from torch import nn

from benchmarks.models import metas_masks, metas_sam, metas_twin, randomize, transformers_sam
from ringsam.sam.meta_layout import config_from_meta, from_meta, meta_name, to_meta
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.weights import load_sam, resized, save_meta


@pytest.fixture(scope="module")
def small_pair() -> tuple[Sam, nn.Module]:
    """The same random weights in ours and in Meta's implementation, at 256 px."""
    sam = Sam(randomize(transformers_sam("small", image_size=256), seed=0))
    return sam, metas_twin(sam.model, "small")


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_names_and_shapes_are_metas_own(size):
    with torch.device("meta"):
        theirs = metas_sam(size).state_dict()
        ours = transformers_sam(size)
    state = to_meta(ours.state_dict(), ours.config)
    assert {n: t.shape for n, t in state.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_the_architecture_is_read_from_the_shapes(size):
    with torch.device("meta"):
        model = transformers_sam(size)
    state = dict(to_meta(model.state_dict(), model.config))  # a dict has no metadata
    found = config_from_meta(state).to_dict()
    expected = model.config.to_dict()
    for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config"):
        assert {**found[part], "layer_norm_eps": 0} == {**expected[part], "layer_norm_eps": 0}


def test_known_names_are_translated():
    known = {
        "shared_image_embedding.positional_embedding": "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "vision_encoder.layers.3.layer_norm1.weight": "image_encoder.blocks.3.norm1.weight",
        "vision_encoder.neck.layer_norm2.bias": "image_encoder.neck.3.bias",
        "prompt_encoder.no_mask_embed.weight": "prompt_encoder.no_mask_embed.weight",
        "prompt_encoder.mask_embed.conv3.weight": "prompt_encoder.mask_downscaling.6.weight",
        "mask_decoder.iou_prediction_head.proj_out.bias": "mask_decoder.iou_prediction_head.layers.2.bias",
        "mask_decoder.transformer.layer_norm_final_attn.bias": "mask_decoder.transformer.norm_final_attn.bias",
    }
    assert {name: meta_name(name) for name in known} == known


def test_there_and_back_every_tensor_is_the_same():
    sam = tiny_sam()
    state = to_meta(weights_of(sam), sam.model.config)
    assert_same_weights(from_meta(state, list(weights_of(sam))), weights_of(sam))


def test_a_pth_comes_back_to_the_last_bit(tmp_path):
    sam = tiny_sam()
    save_meta(sam, tmp_path / "sam.pth")
    found = load_sam(tmp_path / "sam.pth")
    assert_same_weights(weights_of(found), weights_of(sam))
    assert torch.equal(masks_of(found), masks_of(sam))
    save_meta(found, tmp_path / "again.pth")
    first, again = (torch.load(tmp_path / f"{n}.pth", weights_only=True) for n in ("sam", "again"))
    assert_same_weights(again, first)


@pytest.mark.parametrize("input_size", [24, 32, 128])
def test_a_pth_of_another_input_size_comes_back(tmp_path, input_size):
    sam = Sam(resized(tiny_sam().model, input_size))
    save_meta(sam, tmp_path / "sam.pth")
    assert torch.equal(masks_of(load_sam(tmp_path / "sam.pth")), masks_of(sam))


def test_the_encoder_agrees_with_metas(small_pair):
    sam, theirs = small_pair
    image = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs.image_encoder(image)
        torch.testing.assert_close(sam.encode(image), expected, rtol=0, atol=2e-5)
    assert expected.std() > 0.1


@pytest.mark.parametrize("policy", ["points", "boxes", "boxes and points"])
def test_masks_agree_with_metas(small_pair, policy):
    sam, theirs = small_pair
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 256, 16, 16, generator=generator)
    corner, size = (100 * torch.rand(3, 2, generator=generator) + 20 for _ in range(2))
    boxes = torch.cat([corner, corner + size], dim=1) if "boxes" in policy else None
    points = corner[:, None] + size[:, None] * torch.rand(3, 4, 2, generator=generator)
    labels = torch.tensor([1, 1, 0, 1]).expand(3, -1)
    points, labels = (points, labels) if "points" in policy else (None, None)
    with torch.no_grad():
        asked = {"points": None if points is None else (points, labels), "boxes": boxes}
        if policy == "boxes and points":  # Meta puts points first, as transformers does
            assert theirs.prompt_encoder(**asked, masks=None)[0].shape[1] == 6
        masks, iou = metas_masks(theirs, embedding, **asked)
        prompts = Prompts(points, labels, boxes)
        ours = sam.decode(embedding, torch.zeros(3, dtype=torch.long), prompts)
    torch.testing.assert_close(ours.logits, masks, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.iou, iou[:, 0], rtol=0, atol=1e-5)


def test_masks_agree_with_metas_from_the_image_on(small_pair, tmp_path):
    """Their encoder, prompt encoder and decoder, from the .pth that we write."""
    sam, theirs = small_pair
    save_meta(sam, tmp_path / "sam.pth")
    theirs.load_state_dict(torch.load(tmp_path / "sam.pth", weights_only=True))
    image = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[20.0, 30, 120, 200], [100, 40, 250, 90]])
    with torch.no_grad():
        sparse, dense = theirs.prompt_encoder(points=None, boxes=boxes, masks=None)
        expected, _ = theirs.mask_decoder(
            image_embeddings=theirs.image_encoder(image),
            image_pe=theirs.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        index = torch.zeros(2, dtype=torch.long)
        ours = sam.decode(sam.encode(image), index, Prompts(boxes=boxes)).logits
    error = (ours - expected).abs().max() / expected.abs().max()
    assert error <= 1e-5, float(error)
