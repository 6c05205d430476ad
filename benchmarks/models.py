"""SAM at every size with random weights, as transformers builds it and as Meta's own code does."""

import importlib.util
import sys
import types
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import (
    SamConfig,
    SamMaskDecoderConfig,
    SamModel,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from ringsam.sam.meta_layout import to_meta

SIZES = {  # width, depth, heads, blocks that see the whole image
    "vit_b": (768, 12, 12, [2, 5, 8, 11]),
    "vit_l": (1024, 24, 16, [5, 11, 17, 23]),
    "vit_h": (1280, 32, 16, [7, 15, 23, 31]),
    "vit_ti": (192, 12, 3, [2, 5, 8, 11]),
    "small": (192, 4, 3, [1, 3]),
}


def transformers_sam(size: str, *, image_size: int = 1024, attention: str = "sdpa") -> SamModel:
    """Not yet random: transformers' own start makes all features equal."""
    width, depth, heads, whole = SIZES[size]
    vision = SamVisionConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        global_attn_indexes=whole,
        image_size=image_size,
    )
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config=SamPromptEncoderConfig(
            image_size=image_size, image_embedding_size=image_size // 16
        ),
        mask_decoder_config=SamMaskDecoderConfig(layer_norm_eps=1e-5),
    )
    config._attn_implementation = attention
    return SamModel(config).eval()


def tiny_sam(*, image_size: int = 64) -> SamModel:
    """Two blocks of random values: a SAM for what is about files and processes, not about masks."""
    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=16, output_channels=16, num_hidden_layers=2, num_attention_heads=2, image_size=image_size,
            patch_size=8, window_size=4, global_attn_indexes=[1], mlp_dim=32, num_pos_feats=8,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=16, image_size=image_size, patch_size=8, mask_input_channels=4
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16, layer_norm_eps=1e-5
        ),
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    return randomize(SamModel(config).eval(), seed=0)


@torch.no_grad()
def randomize(model: SamModel, *, seed: int) -> SamModel:
    """Random values of a trained model's size in every weight."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.copy_(1 + 0.1 * values)
        elif "positional" in name:
            parameter.copy_(values)
        elif parameter.dim() > 1:
            parameter.copy_(values * parameter[0].numel() ** -0.5)
        else:
            parameter.copy_(0.02 * values)
    return model


def metas_sam(size: str, *, image_size: int = 1024) -> nn.Module:
    """SAM as `segment_anything` builds it. Raises ModuleNotFoundError where that is not installed."""
    modeling = _metas("modeling")
    width, depth, heads, whole = SIZES[size]
    sam: nn.Module = modeling.Sam(
        modeling.ImageEncoderViT(
            img_size=image_size,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            global_attn_indexes=whole,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
        ),
        modeling.PromptEncoder(
            embed_dim=256,
            image_embedding_size=(image_size // 16, image_size // 16),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        modeling.MaskDecoder(
            transformer_dim=256,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8
            ),
        ),
    )
    return sam.eval()


def metas_twin(model: SamModel, size: str) -> Any:
    """Meta's SAM with the weights of ours."""
    twin = metas_sam(size, image_size=model.config.vision_config.image_size)
    twin.load_state_dict(to_meta(model.state_dict(), model.config))
    return twin


def metas_masks(
    sam: Any,
    embedding: Tensor,
    *,
    boxes: Tensor | None = None,
    points: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """What Meta's prompt encoder and decoder make of the prompts (n) on one image: logits (n, 1, h, w) and IoU (n, 1)."""
    sparse, dense = sam.prompt_encoder(points=points, boxes=boxes, masks=None)
    logits, iou = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return logits, iou


def metas_predictor(sam: nn.Module) -> Any:
    """Meta's `SamPredictor` around its SAM."""
    return _metas("predictor").SamPredictor(sam)


def _metas(module: str) -> Any:
    """A module of `segment_anything`, whose `__init__` needs torchvision: it is gone around.

    The predictor takes two functions from torchvision; where that is missing, they are lent for the import.
    """
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("segment-anything is not installed: pip install ringsam[dev]")
    if "segment_anything" not in sys.modules:
        package = types.ModuleType("segment_anything")
        package.__path__, package.__spec__ = list(spec.submodule_search_locations), spec
        sys.modules["segment_anything"] = package
    lent = {} if importlib.util.find_spec("torchvision") else _torchvision()
    sys.modules.update(lent)
    try:
        return importlib.import_module(f"segment_anything.{module}")
    finally:
        for name in lent:
            del sys.modules[name]


def _torchvision() -> dict[str, types.ModuleType]:
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    modules = {name: types.ModuleType(name) for name in names}
    functional: Any = modules[names[-1]]
    functional.resize, functional.to_pil_image = _resize, Image.fromarray
    return modules


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """(height, width) in pixels, bilinear."""
    return image.resize(size[::-1], Image.Resampling.BILINEAR)


def images_of(*, num_images: int, image_size: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Random RGB images, uint8 (n, s, s, 3)."""
    shape = (num_images, image_size, image_size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
