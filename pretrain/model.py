"""ringsam-nano: SAM's architecture at a thousandth of the size, and an initialisation from which it learns."""

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SamConfig, SamModel

from pretrain.prompts import Prompts

PATCH = 8


def nano_config(
    *, image_size: int, width: int = 128, depth: int = 5, channels: int = 96, heads: int = 2
) -> SamConfig:
    """The configuration: windows of 8 x 8 patches, global attention in the middle and the last block."""
    vision = {
        "image_size": image_size,
        "patch_size": PATCH,
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "mlp_dim": 4 * width,
        "window_size": 8,
        "output_channels": channels,
        "global_attn_indexes": [depth // 2, depth - 1],
        "num_pos_feats": channels // 2,
        "layer_norm_eps": 1e-6,
    }
    prompt = {
        "hidden_size": channels,
        "image_size": image_size,
        "patch_size": PATCH,
        "mask_input_channels": 16,
    }
    decoder = {
        "hidden_size": channels,
        "mlp_dim": 4 * channels,
        "num_attention_heads": 4,
        "iou_head_hidden_dim": 128,
        "layer_norm_eps": 1e-5,
    }
    return SamConfig(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )


def build(config: SamConfig, *, seed: int) -> SamModel:
    """A model with fresh weights.

    The library's own init (spread 1e-10) gives constant features; ours is 0.02 for the tower and PyTorch's for the decoder.
    """
    torch.manual_seed(seed)
    config._attn_implementation = "sdpa"
    model = SamModel(config)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
    for layer in model.vision_encoder.layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    nn.init.trunc_normal_(model.vision_encoder.pos_embed, std=0.02)
    _aim_attention(model)
    _draw_frequencies(model)
    return model


def _aim_attention(model: SamModel) -> None:
    """Start the decoder's cross-attention with equal query and key matrices.

    A prompt then looks at the image near its own place from the first step: 0.27 against 0.18 IoU by a box after 160 steps
    at 64 px (one run each).
    """
    for name, attention in model.mask_decoder.named_modules():
        if name.endswith(("attn_token_to_image", "attn_image_to_token")):
            nn.init.xavier_uniform_(attention.q_proj.weight)
            attention.k_proj.weight.data.copy_(attention.q_proj.weight)
            nn.init.zeros_(attention.q_proj.bias)
            nn.init.zeros_(attention.k_proj.bias)


def _draw_frequencies(model: SamModel) -> None:
    """The random Fourier matrix, fixed from here on: 0.2 to 2 turns per half image, not SAM's 1.

    The slow ones tell left from right of a box's edge, the fast ones small boxes apart: 0.18 against
    0.11 IoU by a box after 160 steps at 64 px (one run each).
    """
    count = model.config.vision_config.num_pos_feats
    matrix = torch.randn(2, count) * torch.empty(count).uniform_(-1.6, 0.7).exp()
    for holder in (model.shared_image_embedding, model.prompt_encoder.shared_embedding):
        holder.positional_embedding.data.copy_(matrix)
        holder.positional_embedding.requires_grad_(False)


def encode(model: SamModel, pixels: Tensor) -> Tensor:
    """Image embeddings (b, channels, grid, grid), with gradients."""
    return model.vision_encoder(pixels).last_hidden_state


def decode(
    model: SamModel, embeddings: Tensor, prompts: Prompts, masks: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Logits (n, 4, 4 grid, 4 grid) and predicted IoU (n, 4) of all mask tokens; number 0 is the single-mask token.

    `embeddings` (n, channels, grid, grid) holds each object's image; `masks` (n, 1, 4 grid, 4 grid) feeds logits back.
    The lines are `SamMaskDecoder.forward`'s, which gives token 0 or tokens 1-3 but not both from one pass.
    """
    sparse, dense = model.prompt_encoder(prompts.points, prompts.labels, prompts.boxes, masks)
    decoder, count = model.mask_decoder, len(embeddings)
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(
        count, 1, -1, -1
    )
    places = (
        model.get_image_wide_positional_embeddings().to(embeddings.device).expand(count, -1, -1, -1)
    )
    tokens, image = decoder.transformer(
        point_embeddings=torch.cat([tokens, sparse], dim=2),
        image_embeddings=embeddings + dense,
        image_positional_embeddings=places,
        attention_similarity=None,
    )
    image = image.transpose(2, 3).reshape(embeddings.shape)
    image = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(image)))
    image = decoder.activation(decoder.upscale_conv2(image))
    kernels = [
        mlp(tokens[:, 0, 1 + number])
        for number, mlp in enumerate(decoder.output_hypernetworks_mlps)
    ]
    logits = (torch.stack(kernels, dim=1) @ image.flatten(2)).unflatten(2, image.shape[2:])
    return logits, decoder.iou_prediction_head(tokens[:, 0, 0])


def load(folder: Path, *, image_size: int) -> SamModel:
    """The model of the folder, its position tables stretched to another image size if need be."""
    model = SamModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    if model.config.vision_config.image_size != image_size:
        model = _stretched(model, image_size)
    for holder in (model.shared_image_embedding, model.prompt_encoder.shared_embedding):
        holder.positional_embedding.requires_grad_(False)
    return model


def _stretched(model: SamModel, image_size: int) -> SamModel:
    """A copy for another image size: absolute and global relative positions are interpolated, the rest is kept."""
    config = copy.deepcopy(model.config)
    config.vision_config.image_size = config.prompt_encoder_config.image_size = image_size
    config.prompt_encoder_config.image_embedding_size = image_size // PATCH
    config._attn_implementation = "sdpa"
    larger = SamModel(config)
    weights = model.state_dict()
    for name, there in larger.state_dict().items():
        if weights[name].shape != there.shape:
            weights[name] = _resized(weights[name], there.shape)
    larger.load_state_dict(weights)
    return larger


def _resized(table: Tensor, shape: torch.Size) -> Tensor:
    """A position table, (1, grid, grid, width) or (2 grid - 1, width), at another grid."""
    if table.ndim == 4:
        return F.interpolate(table.permute(0, 3, 1, 2), size=shape[1:3], mode="bicubic").permute(
            0, 2, 3, 1
        )
    return F.interpolate(table.T[None], size=shape[0], mode="linear")[0].T
