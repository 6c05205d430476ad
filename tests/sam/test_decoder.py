"""The mask decoder that shares an image's work is transformers' own: masks, IoU, what the mask tokens read, and gradients."""

import copy

import pytest
import torch
from tiny import randomize, tiny_sam
from transformers import SamModel

from ringsam.sam.decoder import MaskDecoder

IMAGE_INDEX = torch.tensor([0, 1, 1, 2, 0])


def decoders() -> tuple[MaskDecoder, torch.nn.Module]:
    """Ours and transformers' own, with the same weights in 64 bits, every bias far from zero."""
    config = copy.deepcopy(tiny_sam().model.config)
    config._attn_implementation = "sdpa"
    config.mask_decoder_config._attn_implementation = "sdpa"  # eager's softmax is of 32 bits
    theirs = randomize(SamModel(config), seed=0).mask_decoder.double().requires_grad_(False)
    for name, bias in theirs.named_parameters():
        if name.endswith("bias"):
            bias += torch.linspace(-0.5, 0.5, len(bias))
    return MaskDecoder(copy.deepcopy(theirs)), theirs


def asked(num_points: int, num_images: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "embedding": (num_images, 32, 8, 8),
        "position": (1, 32, 8, 8),
        "sparse": (len(IMAGE_INDEX), num_points, 32),
        "dense": (1, 32, 1, 1),
    }
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for name, shape in shapes.items()
    }


# 2 heads over 16 channels: up to 8 tokens (5 of them SAM's own) are few.
@pytest.mark.parametrize("num_points", [2, 3, 4, 9])
@pytest.mark.parametrize("num_images", [1, 3])
def test_masks_pixels_and_gradients_are_those_of_transformers_decoder(num_points, num_images):
    ours, theirs = decoders()
    image_index = IMAGE_INDEX % num_images
    given, again = asked(num_points, num_images), asked(num_points, num_images)
    embedding = given.pop("embedding")
    found = ours(embedding, image_index, **given, with_pixels=True)

    read: list[torch.Tensor] = []
    theirs.upscale_conv2.register_forward_hook(lambda part, given, output: read.append(output))
    logits, iou = theirs(
        again["embedding"][image_index],
        again["position"].expand(len(image_index), -1, -1, -1),
        again["sparse"][:, None],
        again["dense"].expand(len(image_index), -1, 8, 8),
        multimask_output=False,
    )
    expected = (logits[:, 0], iou[:, 0, 0], theirs.activation(read[0]))
    close = {"rtol": 1e-12, "atol": 1e-12}
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, **close)

    for results in (found, expected):
        sum(result.square().sum() for result in results).backward()
    for name, value in {"embedding": embedding, **given}.items():
        scale = again[name].grad.abs().max()
        torch.testing.assert_close(value.grad / scale, again[name].grad / scale, **close)


def test_pixels_come_only_where_they_are_asked_for():
    ours, _ = decoders()
    given = asked(2, 3)
    assert ours(given.pop("embedding"), IMAGE_INDEX, **given, with_pixels=False)[2] is None
