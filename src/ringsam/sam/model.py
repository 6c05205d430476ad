"""SAM with a seam: an encoder that can be cut in a frozen trunk and a tail, a decoder over objects of many images."""

import hashlib
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import SamModel

from ringsam.geometry import Boxes, Points
from ringsam.sam.attention import fold_attention
from ringsam.sam.decoder import share_image_side
from ringsam.sam.stages import Patches, Stages

Embedding = Float[Tensor, "b c h w"]
DecoderPixels = Float[
    Tensor, "n p h w"
]  # the decoder's upscaled embedding, which its mask tokens read

# Floats the decoder keeps for one object and one cell of the grid, per channel (measured: two layers, upscaling).
_DECODER_FLOATS = 24
# Without a GPU, what the decoder works on at once: more is slower, it leaves the processor's cache.
_CACHE_BYTES = 1 << 27


class Prompts(NamedTuple):
    """What SAM is asked, one row an object, in pixels of the input frame; labels 1 is object, 0 is background."""

    points: Points | None = None
    labels: Int[Tensor, "n p"] | None = None
    boxes: Boxes | None = None

    def rows(self, start: int, end: int) -> "Prompts":
        return Prompts(*(None if part is None else part[start:end] for part in self))


class Decoded(NamedTuple):
    """One mask an object."""

    logits: Float[Tensor, "n 1 h w"]  # at a quarter of the input frame
    iou: Float[Tensor, " n"]  # as SAM predicts it
    pixels: DecoderPixels | None = None  # where asked for, at the logits' resolution


class Sam(nn.Module):
    """SAM; `split` says where the trunk ends, everything else is the original model."""

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        self.model = share_image_side(fold_attention(model))
        encoder = model.vision_encoder
        # A tuple, so that no weight is registered twice.
        self._stages = (Patches(encoder), *encoder.layers, encoder.neck)
        self.trunk_length = 0

    @property
    def input_size(self) -> int:
        return int(self.model.config.vision_config.image_size)

    @property
    def grid(self) -> int:
        """Cells on one side of the encoder's output."""
        return self.input_size // int(self.model.config.vision_config.patch_size)

    @property
    def embedding_dim(self) -> int:
        return int(self.model.config.vision_config.output_channels)

    @property
    def width(self) -> int:
        """Channels inside the encoder's blocks."""
        return int(self.model.config.vision_config.hidden_size)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    def digest(self) -> str:
        """Tells these weights from all others."""
        digest = hashlib.blake2b(digest_size=16)
        for name, weight in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(
                weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
            )
        return digest.hexdigest()

    def split(self, unfreeze_last_k: int) -> None:
        """Cut before the last K blocks; with K = 0 the trunk is empty. Raises ValueError for K beyond the depth."""
        depth = len(self._stages) - 2
        if unfreeze_last_k > depth:
            raise ValueError(
                f"unfreeze_last_k={unfreeze_last_k}, but this encoder has {depth} blocks"
            )
        self.trunk_length = 1 + depth - unfreeze_last_k if unfreeze_last_k else 0

    def tail(self, *, checkpointing: bool = False) -> Stages:
        """The stages after the cut, sharing this model's weights; copy it for a second tower."""
        return Stages(self._stages[self.trunk_length :], checkpointing=checkpointing)

    def encode_trunk(self, images: Float[Tensor, "b 3 s s"]) -> Tensor:
        """What the stages before the cut make of the images; the images themselves where there is no trunk."""
        hidden: Tensor = images
        for stage in self._stages[: self.trunk_length]:
            hidden = stage(hidden)
        return hidden

    def encode_tail(self, hidden: Tensor) -> Embedding:
        for stage in self._stages[self.trunk_length :]:
            hidden = stage(hidden)
        return hidden

    def encode(self, images: Float[Tensor, "b 3 s s"]) -> Embedding:
        return self.encode_tail(self.encode_trunk(images))

    def decode(
        self,
        embedding: Embedding,
        image_index: Int[Tensor, " n"],
        prompts: Prompts,
        *,
        with_pixels: bool = False,
        memory_bytes: int = 1 << 30,
    ) -> Decoded:
        """One mask for each prompt, whichever image it is on; works in chunks that fit the memory given."""
        num = len(image_index)
        if num == 0:
            return self._decode_nothing(embedding, with_pixels=with_pixels)
        an_object = embedding[0].numel() * _DECODER_FLOATS * 4
        most = max(1, memory_bytes // an_object)
        chunk = most if embedding.is_cuda else min(most, max(2, _CACHE_BYTES // an_object))
        # With gradients, a chunk's inner values are made again in the backward pass: memory stays a chunk's.
        decode = partial(self._decode, with_pixels=with_pixels)
        if torch.is_grad_enabled() and num > most:
            decode = partial(checkpoint, decode, use_reentrant=False)
        chunks = [
            decode(*_images_of(embedding, rows), prompts.rows(start, start + len(rows)))
            for start, rows in zip(range(0, num, chunk), image_index.split(chunk), strict=True)
        ]
        kept = [chunk if with_pixels else chunk[:2] for chunk in chunks]
        return Decoded(*(torch.cat(parts) for parts in zip(*kept, strict=True)))

    def _decode(
        self,
        embedding: Embedding,
        image_index: Int[Tensor, " n"],
        prompts: Prompts,
        *,
        with_pixels: bool,
    ) -> Decoded:
        encoder = self.model.prompt_encoder
        sparse, _ = encoder(
            input_points=None if prompts.points is None else prompts.points[:, None],
            input_labels=None if prompts.labels is None else prompts.labels[:, None],
            input_boxes=None if prompts.boxes is None else prompts.boxes[:, None],
            input_masks=None,
        )
        return Decoded(
            *self.model.mask_decoder(
                embedding,
                image_index,
                position=self.model.get_image_wide_positional_embeddings(),
                sparse=sparse[:, 0],
                dense=encoder.no_mask_embed.weight[:, :, None, None],
                with_pixels=with_pixels,
            )
        )

    def _decode_nothing(self, embedding: Embedding, *, with_pixels: bool) -> Decoded:
        side = 4 * self.grid
        connected = embedding.sum() * 0.0  # keeps the graph, so that every rank runs backward
        logits = embedding.new_zeros((0, 1, side, side)) + connected
        width = self.model.mask_decoder.upscale_conv2.out_channels
        pixels = logits.expand(-1, width, -1, -1) if with_pixels else None
        return Decoded(logits, connected.expand(0), pixels)


def _images_of(
    embedding: Embedding, image_index: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "some c h w"], Int[Tensor, " n"]]:
    """Those that a chunk's objects are on, where it costs no wait for a GPU to know them; and where each then stands."""
    if embedding.is_cuda:
        return embedding, image_index
    first, last = (int(image) for image in image_index.aminmax())
    images = embedding[first : last + 1]
    # Without gradients, a view would still say that it wants them.
    return images if torch.is_grad_enabled() else images.detach(), image_index - first
