"""SAM's windowed attention without the table of biases: exactly the same numbers, several times faster on CPU.

The decomposed relative position adds `q . Rh[y - y'] + q . Rw[x - x']` to each score. Appending `q . Rh` and `q . Rw` (one
number for each row and column of keys) to the query, and one-hot rows and columns to the key, gives the same scores
from a plain product, so that a fused kernel applies and no (tokens x tokens) table is kept for the backward pass.
"""

import types

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import SamModel
from transformers.models.sam.modeling_sam import SamVisionAttention


def _tables(attention: SamVisionAttention, side: int) -> tuple[Tensor, Tensor]:
    """Relative position tables by (query, key) row and column, each (side, side, head_dim)."""
    steps = torch.arange(side, device=attention.rel_pos_h.device)
    offsets = steps[:, None] - steps[None, :] + side - 1
    return attention.rel_pos_h[offsets], attention.rel_pos_w[offsets]


def folded_forward(
    attention: SamVisionAttention, hidden_states: Tensor, **_: object
) -> tuple[Tensor, None]:
    """The block's output (b, side, side, width), as `SamVisionAttention.forward` gives it."""
    count, side = hidden_states.shape[:2]
    heads = attention.num_attention_heads
    qkv = attention.qkv(hidden_states).view(count, side * side, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)  # (count, heads, side * side, head_dim)
    head_dim = query.shape[-1]
    rows, columns = _tables(attention, side)
    grid = query.view(count, heads, side, side, head_dim)
    by_row = torch.einsum("nhyxc,ykc->nhyxk", grid, rows).flatten(2, 3)
    by_column = torch.einsum("nhyxc,xkc->nhyxk", grid, columns).flatten(2, 3)
    one_hot = torch.eye(side, device=query.device, dtype=query.dtype)
    places = torch.cat([one_hot.repeat_interleave(side, 0), one_hot.repeat(side, 1)], dim=1)
    query = torch.cat([query * attention.scale, by_row, by_column], dim=-1)
    key = torch.cat([key, places.expand(count, heads, -1, -1)], dim=-1)
    value = F.pad(value, (0, 2 * side))  # the fused kernel wants equal widths
    mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :head_dim]
    mixed = mixed.transpose(1, 2).reshape(count, side, side, heads * head_dim)
    return attention.proj(mixed), None


def fold_attention(model: SamModel) -> SamModel:
    """The model with every tower attention folded, in place; its weights and configuration are untouched."""
    for layer in model.vision_encoder.layers:
        layer.attn.forward = types.MethodType(folded_forward, layer.attn)
    return model
