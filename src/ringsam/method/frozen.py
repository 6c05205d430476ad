"""What never learns of the encoder: the blocks below the student, and the original SAM. An image's pass may be kept."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ringsam.batch import Batch
from ringsam.feature_cache import FeatureCache
from ringsam.sam.model import Embedding, Sam


class FrozenFeatures(NamedTuple):
    trunk: Tensor  # what student and teacher go on from
    reference: Embedding  # what the original SAM makes of the image


class FrozenEncoder(nn.Module):
    """The trunk that all towers share, and the original tail above it; made before the student learns."""

    def __init__(self, sam: Sam, cache: FeatureCache | None = None) -> None:
        super().__init__()
        self.original = copy.deepcopy(sam.tail())
        self._sam = (sam,)  # a tuple, so that no weight is registered twice
        self.cache = cache
        self._identity = f"{sam.digest()}-{sam.trunk_length}" if cache else ""

    @torch.no_grad()
    def forward(self, batch: Batch) -> FrozenFeatures:
        """Both for the images of a batch; with a cache, image by image, so that what is kept depends on no neighbour."""
        if self.cache is None or batch.image_keys is None:
            return self._encode(batch.images)
        found = [
            self._through_cache(self.cache, image[None], key)
            for image, key in zip(batch.images, batch.image_keys, strict=True)
        ]
        return FrozenFeatures(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _through_cache(self, cache: FeatureCache, image: Tensor, image_key: str) -> FrozenFeatures:
        kind = image.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else image.dtype
        key = f"{self._identity}-{image_key}-{str(dtype).removeprefix('torch.')}"
        kept = cache.get(key)
        if kept is None:
            made = self._encode(image)
            # Without a trunk the image itself is what student and teacher go on from.
            cache.put(key, [made.reference] if made.trunk is image else made)
            return made
        moved = [tensor.to(image.device, non_blocking=True) for tensor in kept]
        return FrozenFeatures(image, *moved) if len(moved) == 1 else FrozenFeatures(*moved)

    def _encode(self, images: Tensor) -> FrozenFeatures:
        trunk = self._sam[0].encode_trunk(images)
        return FrozenFeatures(trunk, self.original(trunk))
