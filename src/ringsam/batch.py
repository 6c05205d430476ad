"""What one step sees: images, and the objects of all of them in one list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ringsam.geometry import Boxes, Frame


@dataclass(frozen=True)
class Sample:
    """One image in the input frame with its objects; `gt_masks` serve monitors and evaluation only."""

    image: Float[Tensor, "3 s s"]
    frame: Frame
    big_boxes: Boxes
    small_boxes: Boxes
    object_ids: Int[Tensor, " n"]
    gt_masks: Bool[Tensor, "n s s"] | None
    colour_masks: Bool[Tensor, "n k s s"] | None = None
    image_key: str | None = None  # tells its pixels, as they stand in `image`, from all others

    def without_objects(self) -> "Sample":
        """The image alone."""
        return replace(
            self,
            big_boxes=self.big_boxes[:0],
            small_boxes=self.small_boxes[:0],
            object_ids=self.object_ids[:0],
            gt_masks=None if self.gt_masks is None else self.gt_masks[:0],
            colour_masks=None if self.colour_masks is None else self.colour_masks[:0],
        )


@dataclass(frozen=True)
class Batch:
    """Objects carry `image_index`, as in roi_align, so that no step needs a loop over images."""

    images: Float[Tensor, "b 3 s s"]
    extents: Int[
        Tensor, "b 2"
    ]  # (height, width) of each image in the input frame; the rest is padding
    big_boxes: Boxes
    small_boxes: Boxes
    image_index: Int[Tensor, " n"]
    object_ids: Int[Tensor, " n"]
    gt_masks: Bool[Tensor, "n s s"] | None
    colour_masks: Bool[Tensor, "n k s s"] | None = (
        None  # k readings of the colours by the two boxes
    )
    image_keys: tuple[str, ...] | None = None

    @property
    def num_objects(self) -> int:
        return len(self.image_index)

    def to(self, device: torch.device | str) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in tensors.items()}
        return replace(self, **changed)


def collate(samples: Sequence[Sample]) -> Batch:
    """One batch of all samples; it has masks only where every sample with objects has them, or, if there is none, every sample."""
    counts = torch.tensor([len(sample.object_ids) for sample in samples])
    with_objects = [sample for sample in samples if len(sample.object_ids)] or samples
    keys = [sample.image_key for sample in samples if sample.image_key is not None]
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        extents=torch.tensor([[sample.frame.height, sample.frame.width] for sample in samples]),
        big_boxes=torch.cat([sample.big_boxes for sample in samples]),
        small_boxes=torch.cat([sample.small_boxes for sample in samples]),
        image_index=torch.repeat_interleave(torch.arange(len(samples)), counts),
        object_ids=torch.cat([sample.object_ids for sample in samples]),
        gt_masks=_join([sample.gt_masks for sample in with_objects]),
        colour_masks=_join([sample.colour_masks for sample in with_objects]),
        image_keys=tuple(keys) if len(keys) == len(samples) else None,
    )


def _join(masks: Sequence[Bool[Tensor, "_ ..."] | None]) -> Bool[Tensor, "all ..."] | None:
    known = [mask for mask in masks if mask is not None]
    return torch.cat(known) if known and len(known) == len(masks) else None
