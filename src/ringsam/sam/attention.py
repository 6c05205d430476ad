"""SAM's attention, the same numbers on any plain kernel: positions folded into queries and keys, windows without padded work.

The logits q.k/sqrt(d) + q.Rh[row] + q.Rw[column] are one inner product of q' = [q/sqrt(d), q.Rh, q.Rw]
and k' = [k, one-hot row, one-hot column]. So no N x N bias is ever stored, and forward passes with
and without gradients run the same kernel and agree to the last bit. SAM pads a grid that its windows do not
divide with zeros, which as keys and values are the bias alone: it is put there, so that no projection sees padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers import SamModel

_KERNEL_MULTIPLE = 8  # head sizes that attention kernels like


class FoldedAttention(nn.Module):
    """Takes over the weights of a `SamVisionAttention`, under the same names, and its block's windows; 0 sees the whole grid."""

    qkv: nn.Linear
    proj: nn.Linear
    rel_pos_h: nn.Parameter
    rel_pos_w: nn.Parameter
    relative: Tensor  # (side, side) row of the table for each pair of places
    one_hot: Tensor  # (side, side, 2 * side + padding) row and column of each token, then zeros

    def __init__(self, attention: Any, *, window_size: int = 0) -> None:
        super().__init__()
        self.window_size = window_size
        self.num_heads = attention.num_attention_heads
        self.scale = attention.scale
        self.qkv, self.proj = attention.qkv, attention.proj
        self.rel_pos_h, self.rel_pos_w = attention.rel_pos_h, attention.rel_pos_w
        side = (len(self.rel_pos_h) + 1) // 2
        place = torch.arange(side)
        rows, columns = torch.meshgrid(place, place, indexing="ij")
        self.padding = (
            -(self.qkv.out_features // (3 * self.num_heads) + 2 * side) % _KERNEL_MULTIPLE
        )
        one_hot = F.one_hot(torch.stack([rows, side + columns]), 2 * side + self.padding).sum(dim=0)
        self.register_buffer("relative", place[:, None] - place + side - 1, persistent=False)
        self.register_buffer("one_hot", one_hot.float(), persistent=False)

    def forward(
        self, hidden_states: Float[Tensor, "b h w c"]
    ) -> tuple[Float[Tensor, "b h w c"], None]:
        """What attention makes of a grid of tokens; the second value stands for weights nobody kept."""
        height, width = hidden_states.shape[1:3]
        attended = self._attend(self._cut(self.qkv(hidden_states)))
        return self.proj(_join(attended, height, width)), None

    def _cut(self, qkv: Float[Tensor, "b h w qkv"]) -> Float[Tensor, "n side side qkv"]:
        """The grid as windows, those at the border filled up with the bias."""
        batch, height, width, channels = qkv.shape
        side = self.window_size or height
        down, across = -(-height // side), -(-width // side)
        if (height, width) != (down * side, across * side):
            filled = self.qkv.bias.to(qkv.dtype).expand(batch, down * side, across * side, channels)
            filled = filled.clone()
            filled[:, :height, :width] = qkv
            qkv = filled
        return qkv.view(batch, down, side, across, side, channels).transpose(2, 3).flatten(0, 2)

    def _attend(self, qkv: Float[Tensor, "n side side qkv"]) -> Float[Tensor, "n side side c"]:
        """Attention within each window."""
        parts = qkv.unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 4, 1, 2, 5)
        query, key, value = parts  # (n, heads, h, w, d) each
        row_bias = torch.einsum("bnhwd,hkd->bnhwk", query, self.rel_pos_h[self.relative])
        column_bias = torch.einsum("bnhwd,wkd->bnhwk", query, self.rel_pos_w[self.relative])
        nothing = query.new_zeros(()).expand(*query.shape[:-1], self.padding)
        one_hot = self.one_hot.to(key.dtype).expand(*key.shape[:-1], -1)
        folded_query = torch.cat([query * self.scale, row_bias, column_bias, nothing], dim=-1)
        folded_key = torch.cat([key, one_hot], dim=-1)
        folded_value = F.pad(value, (0, one_hot.shape[-1]))
        attended = F.scaled_dot_product_attention(
            folded_query.flatten(2, 3),
            folded_key.flatten(2, 3),
            folded_value.flatten(2, 3),
            scale=1.0,
        )[..., : value.shape[-1]]  # (n, heads, h * w, d)
        merged: Tensor = attended.transpose(1, 2).flatten(2).unflatten(1, qkv.shape[1:3])
        return merged


def fold_attention(model: SamModel) -> SamModel:
    """Put folded attention into every block of the encoder; weights and their names stay."""
    for layer in model.vision_encoder.layers:
        layer.attn = FoldedAttention(layer.attn, window_size=layer.window_size)
        layer.window_size = 0  # the attention cuts and joins its windows by itself
    return model


def _join(
    windows: Float[Tensor, "n side side c"], height: int, width: int
) -> Float[Tensor, "b h w c"]:
    """The grid that was cut, without what filled its border."""
    side, channels = windows.shape[1], windows.shape[3]
    down, across = -(-height // side), -(-width // side)
    whole = windows.view(-1, down, across, side, side, channels).transpose(2, 3)
    return whole.reshape(-1, down * side, across * side, channels)[:, :height, :width]
