"""What student and teacher are made of: the encoder's tail and the projection head."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ringsam.method.ranks import GlobalBatchNorm
from ringsam.sam.model import Embedding

Projection = Float[Tensor, "b p h w"]


class Features(NamedTuple):
    embedding: Embedding  # what SAM's decoder reads
    projection: Projection  # unit length along the channels; where pixels are contrasted


class PixelProjectionHead(nn.Module):
    """Conv -> BatchNorm -> GELU -> Conv -> unit length, for every cell by itself."""

    def __init__(self, embedding_dim: int, proj_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(embedding_dim, embedding_dim, kernel_size=1),
            GlobalBatchNorm(embedding_dim),
            nn.GELU(),
            nn.Conv2d(embedding_dim, proj_dim, kernel_size=1),
        )

    def forward(self, embedding: Embedding) -> Projection:
        return F.normalize(self.layers(embedding).float(), dim=1)


class Tower(nn.Module):
    """Trunk output in, features out."""

    def __init__(self, tail: nn.Module, head: PixelProjectionHead) -> None:
        super().__init__()
        self.tail = tail
        self.head = head

    def forward(self, trunk: Tensor) -> Features:
        embedding = self.tail(trunk)
        return Features(embedding, self.head(embedding))
