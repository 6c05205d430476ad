"""SAM's attention with its relative positions folded into queries and keys: the same numbers, any plain kernel.

The logits q.k/sqrt(d) + q.Rh[row] + q.Rw[column] are one inner product of q' = [q/sqrt(d), q.Rh, q.Rw]
and k' = [k, one-hot row, one-hot column]. So no N x N bias is ever stored, and forward passes with
and without gradients run the same kernel and agree to the last bit.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers import SamModel

_KERNEL_MULTIPLE = 8  # head sizes that attention kernels like


class FoldedAttention(nn.Module):
    """Takes over the weights of a `SamVisionAttention`, under the same names."""

    qkv: nn.Linear
    proj: nn.Linear
    rel_pos_h: nn.Parameter
    rel_pos_w: nn.Parameter
    relative: Tensor  # (side, side) row of the table for each pair of places
    one_hot: Tensor  # (side * side, 2 * side) row and column of each token

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.num_heads = attention.num_attention_heads
        self.scale = attention.scale
        self.qkv, self.proj = attention.qkv, attention.proj
        self.rel_pos_h, self.rel_pos_w = attention.rel_pos_h, attention.rel_pos_w
        side = (len(self.rel_pos_h) + 1) // 2
        place = torch.arange(side)
        rows, columns = torch.meshgrid(place, place, indexing="ij")
        one_hot = F.one_hot(torch.stack([rows, side + columns]).flatten(1), 2 * side).sum(dim=0)
        self.register_buffer("relative", place[:, None] - place + side - 1, persistent=False)
        self.register_buffer("one_hot", one_hot.float(), persistent=False)

    def forward(self, hidden_states: Float[Tensor, "b h w c"]) -> tuple[Tensor, None]:
        """What attention makes of a square grid of tokens; the second value stands for weights nobody kept."""
        batch, height, width, _ = hidden_states.shape
        qkv = self.qkv(hidden_states).view(batch, height, width, 3, self.num_heads, -1)
        query, key, value = qkv.permute(3, 0, 4, 1, 2, 5)  # (b, heads, h, w, d) each
        row_bias = torch.einsum("bnhwd,hkd->bnhwk", query, self.rel_pos_h[self.relative])
        column_bias = torch.einsum("bnhwd,wkd->bnhwk", query, self.rel_pos_w[self.relative])
        one_hot = self.one_hot.to(key.dtype).view(height, width, -1).expand(*key.shape[:4], -1)
        folded_query = _tokens(torch.cat([query * self.scale, row_bias, column_bias], dim=-1))
        folded_key = _tokens(torch.cat([key, one_hot], dim=-1))
        padding = folded_key.shape[-1] - value.shape[-1]
        attended = F.scaled_dot_product_attention(
            folded_query, folded_key, F.pad(value.flatten(2, 3), (0, padding)), scale=1.0
        )[..., : value.shape[-1]]  # (b, heads, h * w, d)
        merged = attended.transpose(1, 2).reshape(batch, height, width, -1)
        return self.proj(merged), None


def fold_attention(model: SamModel) -> SamModel:
    """Put folded attention into every block of the encoder; weights and their names stay."""
    for layer in model.vision_encoder.layers:
        layer.attn = FoldedAttention(layer.attn)
    return model


def _tokens(features: Tensor) -> Tensor:
    """Rows of the grid one after another, channels padded with zeros to what kernels like."""
    flat = features.flatten(2, 3)
    return F.pad(flat, (0, -flat.shape[-1] % _KERNEL_MULTIPLE))
