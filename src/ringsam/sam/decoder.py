"""SAM's mask decoder, the same numbers with less work.

- Until the cells of an image have read an object's tokens they are the same for all its objects: the first block projects
  them once an image.
- After it, a few tokens meet many cells: the projections of the cells are moved to the tokens' side, (W x).k = x.(W'k), where
  that is less work.
- Both upscaling convolutions touch no neighbour (2 px, stride 2): they are products of each cell's channels, which stay
  last in memory. Of the four masks a prompt can have, only the one that is asked for is drawn.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import SamModel

Tokens = Float[Tensor, "n t c"]
Cells = Float[Tensor, "_ hw c"]  # of b images, of n objects, or the same for all
Upscaled = Float[
    Tensor, "n h w 2 2 2 2 p"
]  # row and column, then twice the half of it: lower, right


class MaskDecoder(nn.Module):
    """Takes over the weights of a `SamMaskDecoder`, under the same names; one mask an object, no mask in the prompt."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.iou_token, self.mask_tokens = decoder.iou_token, decoder.mask_tokens
        self.transformer = decoder.transformer
        self.upscale_conv1, self.upscale_conv2 = decoder.upscale_conv1, decoder.upscale_conv2
        self.upscale_layer_norm = decoder.upscale_layer_norm
        self.output_hypernetworks_mlps = decoder.output_hypernetworks_mlps
        self.iou_prediction_head = decoder.iou_prediction_head

    def forward(
        self,
        embedding: Float[Tensor, "b c h w"],
        image_index: Int[Tensor, " n"],
        *,
        position: Float[Tensor, "1 c h w"],
        sparse: Tokens,
        dense: Float[Tensor, "1 c 1 1"],
        with_pixels: bool,
    ) -> tuple[Float[Tensor, "n 1 y x"], Float[Tensor, " n"], Float[Tensor, "n p y x"] | None]:
        """Logits and predicted IoU of each prompt, and the pixels that its mask token reads where asked for."""
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
        images, places = ((embedding + dense).flatten(2).mT, position.flatten(2).mT)
        read, cells = self._read(tokens, images, places, image_index)
        upscaled = self._upscale(cells.unflatten(1, embedding.shape[-2:]))
        wanted = self.output_hypernetworks_mlps[0](read[:, 1])  # (n, p)
        logits = upscaled.flatten(1, 6) @ wanted[:, :, None]
        pixels = _as_maps(upscaled) if with_pixels else None
        drawn = _as_maps(logits.view(*upscaled.shape[:-1], 1))
        return drawn, self.iou_prediction_head(read[:, 0])[:, 0], pixels

    def _read(
        self, tokens: Tokens, images: Cells, places: Cells, image_index: Int[Tensor, " n"]
    ) -> tuple[Tokens, Cells]:
        """Tokens that have read the image, and cells that have read the tokens, both of each object."""
        first, *others = self.transformer.layers
        read, cells = _meet_images(first, tokens, images, places, image_index)
        for block in others:
            read, cells = _meet_cells(block, read, tokens, cells, places)
        last = self.transformer.final_attn_token_to_image
        read = read + _ask_cells(last, read + tokens, cells + places, cells)
        return self.transformer.layer_norm_final_attn(read), cells

    def _upscale(self, cells: Float[Tensor, "n h w c"]) -> Upscaled:
        norm = self.upscale_layer_norm
        halves = _double(self.upscale_conv1, cells)
        halves = F.layer_norm(halves, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        return F.gelu(_double(self.upscale_conv2, F.gelu(halves)))


def share_image_side(model: SamModel) -> SamModel:
    """Put this decoder in the place of transformers' own; weights and their names stay."""
    model.mask_decoder = MaskDecoder(model.mask_decoder)
    return model


def _meet_images(
    block: Any, tokens: Tokens, images: Cells, places: Cells, image_index: Int[Tensor, " n"]
) -> tuple[Tokens, Cells]:
    """The first two-way block: tokens read each other and the image's cells, then the cells read the tokens."""
    own, to_cells = block.self_attn, block.cross_attn_token_to_image
    read = _attend(own, own.q_proj(tokens), own.k_proj(tokens), own.v_proj(tokens))
    read = block.layer_norm1(read)

    placed = images + places
    made = images, placed, to_cells.k_proj(placed), to_cells.v_proj(images)
    cells, placed, keys, values = (_of_each_object(part, image_index) for part in made)
    read = block.layer_norm2(read + _attend(to_cells, to_cells.q_proj(read + tokens), keys, values))
    read = block.layer_norm3(read + block.mlp(read))

    told = _tell_cells(block.cross_attn_image_to_token, placed, read + tokens, read)
    return read, block.layer_norm4(cells + told)


def _meet_cells(
    block: Any, read: Tokens, tokens: Tokens, cells: Cells, places: Cells
) -> tuple[Tokens, Cells]:
    """A later two-way block: the same, with cells of each object."""
    own, asking = block.self_attn, read + tokens
    read = read + _attend(own, own.q_proj(asking), own.k_proj(asking), own.v_proj(read))
    read = block.layer_norm1(read)

    placed = cells + places
    read = read + _ask_cells(block.cross_attn_token_to_image, read + tokens, placed, cells)
    read = block.layer_norm2(read)
    read = block.layer_norm3(read + block.mlp(read))

    told = _tell_cells(block.cross_attn_image_to_token, placed, read + tokens, read)
    return read, block.layer_norm4(cells + told)


def _of_each_object(cells: Cells, image_index: Int[Tensor, " n"]) -> Cells:
    """Without a copy where there is one image."""
    return cells.expand(len(image_index), -1, -1) if len(cells) == 1 else cells[image_index]


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention over heads, of what was projected already."""
    query, key, value = (_heads(attention, part).transpose(1, 2) for part in (query, key, value))
    attended = F.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
    out: Tensor = attention.out_proj(attended.transpose(1, 2).flatten(2))
    return out


def _ask_cells(attention: Any, asking: Tokens, placed: Cells, cells: Cells) -> Tokens:
    """Tokens attend to cells. (The keys' bias is the same for all cells that a token sees: softmax drops it.)"""
    query = attention.q_proj(asking)
    if not _few(attention, asking):
        return _attend(attention, query, attention.k_proj(placed), attention.v_proj(cells))
    keys, values = (
        _by_head(attention, part.weight) for part in (attention.k_proj, attention.v_proj)
    )
    folded = torch.einsum("nthd,hdc->nhtc", _heads(attention, query), keys).flatten(1, 2)
    seen = F.scaled_dot_product_attention(
        folded[:, None], placed[:, None], cells[:, None], scale=attention.scaling
    )
    seen = seen[:, 0].unflatten(1, (attention.num_attention_heads, -1))  # (n, heads, t, c)
    value = torch.einsum("nhtc,hdc->nthd", seen, values).flatten(2) + attention.v_proj.bias
    out: Tokens = attention.out_proj(value)
    return out


def _tell_cells(attention: Any, placed: Cells, asked: Tokens, told: Tokens) -> Cells:
    """Cells attend to tokens; the logits are of 32 bits, as in an attention kernel."""
    key, value = attention.k_proj(asked), attention.v_proj(told)
    if not _few(attention, asked):
        return _attend(attention, attention.q_proj(placed), key, value)
    key, value = _heads(attention, key), _heads(attention, value)
    queries, bias = attention.q_proj.weight, attention.q_proj.bias
    outward = attention.out_proj.weight.unflatten(1, (attention.num_attention_heads, -1))
    folded = torch.einsum("nthd,hdc->nhtc", key, _by_head(attention, queries)).flatten(1, 2)
    constant = torch.einsum("nthd,hd->nht", key, bias.unflatten(0, key.shape[2:])).flatten(1)
    values = torch.einsum("nthd,chd->nhtc", value, outward).flatten(1, 2)
    # A cell's shares are 1 in each head: so the bias can come with the values.
    values = values + attention.out_proj.bias / attention.num_attention_heads
    wide = torch.promote_types(placed.dtype, torch.float)
    with torch.autocast(placed.device.type, enabled=False):
        logits = torch.baddbmm(constant.to(wide)[..., None], folded.to(wide), placed.to(wide).mT)
        logits = logits.unflatten(1, (attention.num_attention_heads, -1))  # (n, heads, t, hw)
        share = (attention.scaling * logits).softmax(dim=2).flatten(1, 2)
    out: Cells = share.to(values.dtype).mT @ values
    return out


def _few(attention: Any, tokens: Tokens) -> bool:
    """Whether a row for each token and head is no more work than the channels of a projection."""
    num_heads: int = attention.num_attention_heads
    width: int = attention.q_proj.out_features
    return tokens.shape[1] * num_heads <= width


def _heads(attention: Any, tokens: Tokens) -> Float[Tensor, "n t heads d"]:
    parts: Tensor = tokens.unflatten(-1, (attention.num_attention_heads, -1))
    return parts


def _by_head(attention: Any, weight: Float[Tensor, "width c"]) -> Float[Tensor, "heads d c"]:
    parts: Tensor = weight.unflatten(0, (attention.num_attention_heads, -1))
    return parts


def _double(convolution: Any, cells: Float[Tensor, "*places c"]) -> Float[Tensor, "*places 2 2 p"]:
    """A transposed convolution of 2 px, stride 2: each cell's four quarters (lower, right), channels last."""
    weight = convolution.weight  # (c, p, 2, 2)
    flat = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (4 * p, c)
    quarters: Tensor = F.linear(cells, flat, convolution.bias.repeat(4)).unflatten(-1, (2, 2, -1))
    return quarters


def _as_maps(upscaled: Upscaled) -> Float[Tensor, "n p y x"]:
    num, height, width = upscaled.shape[:3]
    return upscaled.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(num, -1, 4 * height, 4 * width)
