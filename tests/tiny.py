"""A SAM small enough for tests, and batches of drawn discs."""

from dataclasses import replace

import torch
from transformers import (
    SamConfig,
    SamMaskDecoderConfig,
    SamModel,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from benchmarks.models import randomize
from ringsam.batch import Batch
from ringsam.sam.model import Sam


def tiny_sam(*, image_size: int = 64, depth: int = 3, seed: int = 0) -> Sam:
    """Three blocks on 64 px with random values that matter (transformers' own start is constant)."""
    vision = SamVisionConfig(
        hidden_size=32, output_channels=32, num_hidden_layers=depth, num_attention_heads=2, image_size=image_size,
        patch_size=8, window_size=4, global_attn_indexes=[depth - 1], mlp_dim=64, num_pos_feats=16,
    )  # fmt: skip
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=32, image_size=image_size, patch_size=8, mask_input_channels=8
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=32,
            mlp_dim=64,
            num_attention_heads=2,
            iou_head_hidden_dim=32,
            layer_norm_eps=1e-5,
        ),
    )
    config._attn_implementation = "sdpa"
    return Sam(randomize(SamModel(config), seed=seed).eval())


def disc_batch(
    *, num_images: int = 2, per_image: int = 2, image_size: int = 64, seed: int = 0
) -> Batch:
    """Noisy images with bright discs, the boxes around and inside them, and their true masks."""
    generator = torch.Generator().manual_seed(seed)
    num = num_images * per_image
    radius = 7 + 5 * torch.rand(num, generator=generator)
    center = 20 + (image_size - 40) * torch.rand(num, 2, generator=generator)
    axis = torch.arange(image_size) + 0.5
    distance = (axis - center[:, :1])[:, None, :] ** 2 + (axis - center[:, 1:])[:, :, None] ** 2
    masks = distance < radius[:, None, None] ** 2
    image_index = torch.arange(num_images).repeat_interleave(per_image)
    bright = torch.zeros(num_images, image_size, image_size).index_add(
        0, image_index, masks.float()
    )
    noise = 0.3 * torch.randn(num_images, 3, image_size, image_size, generator=generator)
    reach, core = 1.25 * radius[:, None], 0.5 * radius[:, None]
    return Batch(
        images=2 * bright.clamp(max=1)[:, None] - 1 + noise,
        extents=torch.full((num_images, 2), image_size),
        big_boxes=torch.cat([center - reach, center + reach], dim=1).clamp(0, image_size),
        small_boxes=torch.cat([center - core, center + core], dim=1),
        image_index=image_index,
        object_ids=torch.arange(num),
        gt_masks=masks,
    )


def without_objects(batch: Batch) -> Batch:
    """The images alone."""
    return replace(
        batch,
        big_boxes=batch.big_boxes[:0],
        small_boxes=batch.small_boxes[:0],
        image_index=batch.image_index[:0],
        object_ids=batch.object_ids[:0],
        gt_masks=None if batch.gt_masks is None else batch.gt_masks[:0],
        colour_masks=None if batch.colour_masks is None else batch.colour_masks[:0],
    )
