"""What the encoder is a row of: patches, then blocks, then the neck; cut anywhere, each part runs by itself."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Patches(nn.Module):
    """The encoder's first stage: patches and their positions."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.patch_embed = encoder.patch_embed
        self.pos_embed = encoder.pos_embed

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b h w c"]:
        patches: Tensor = self.patch_embed(images)
        return patches if self.pos_embed is None else patches + self.pos_embed


class Stages(nn.Module):
    """A run of consecutive encoder stages; without any it hands its input on."""

    def __init__(self, stages: Iterable[nn.Module], *, checkpointing: bool = False) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.checkpointing = checkpointing

    def forward(self, hidden: Tensor) -> Tensor:
        for stage in self.stages:
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(stage, hidden, use_reentrant=False)
            else:
                hidden = stage(hidden)
        return hidden
