"""SAM's own preprocessing, for images, boxes and masks together (segment-anything, `ResizeLongestSide`)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from ringsam.geometry import Frame

PIXEL_MEAN = (123.675, 116.28, 103.53)  # of RGB in 0..255, the statistics SAM was trained with
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Preprocess:
    """Brings images, and what lies on them, to the model's input frame."""

    input_size: int
    resize: Literal["longest_side", "squash"] = "longest_side"

    def frame(self, height: int, width: int) -> Frame:
        """Where an image of this size comes to lie."""
        if self.resize == "squash":
            return Frame(height, width, self.input_size, self.input_size, self.input_size)
        scale = self.input_size / max(height, width)
        resized_height, resized_width = (
            max(1, int(side * scale + 0.5)) for side in (height, width)
        )
        return Frame(height, width, resized_height, resized_width, self.input_size)

    def image(self, pixels: UInt8[np.ndarray, "h w 3"]) -> tuple[Float[Tensor, "3 s s"], Frame]:
        """The normalised image in the input frame, zeros where it is padded."""
        frame = self.frame(*pixels.shape[:2])
        resized = Image.fromarray(pixels).resize(
            (frame.width, frame.height), Image.Resampling.BILINEAR
        )
        tensor = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float()
        return _pad(normalise(tensor), frame), frame

    def masks(self, masks: Bool[Tensor, "n h w"], frame: Frame) -> Bool[Tensor, "n s s"]:
        """Masks of the image frame in the input frame, a pixel set where at least half of it is covered."""
        if len(masks) == 0:
            return masks.new_zeros((0, frame.input_size, frame.input_size))
        size = (frame.height, frame.width)
        resized = F.interpolate(masks[:, None].float(), size, mode="bilinear", antialias=True)
        return _pad(resized[:, 0] >= 0.5, frame)


def normalise(pixels: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n 3 h w"]:
    """RGB in 0..255 in the statistics that SAM was trained with."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (PIXEL_MEAN, PIXEL_STD))
    return (pixels - mean) / std


def upsample(logits: Float[Tensor, "n 1 h w"], input_size: int) -> Float[Tensor, "n s s"]:
    """The decoder's logits in the input frame."""
    size = (input_size, input_size)
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0]


def logits_to_image(
    logits: Float[Tensor, "n 1 h w"], frame: Frame
) -> Float[Tensor, "n height width"]:
    """The decoder's logits in the image frame: up to the input frame, cut the padding, down or up to the image."""
    on_image = upsample(logits, frame.input_size)[:, None, : frame.height, : frame.width]
    size = (frame.image_height, frame.image_width)
    return F.interpolate(on_image, size, mode="bilinear", align_corners=False)[:, 0]


def _pad(tensor: Tensor, frame: Frame) -> Tensor:
    return F.pad(tensor, (0, frame.input_size - frame.width, 0, frame.input_size - frame.height))
