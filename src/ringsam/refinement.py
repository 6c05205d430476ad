"""Masks refined as they are predicted, in the image's own pixels: what SAM says, moved by each object's own colours.

Where both boxes are given, the place between them and the colours that they seed (GrabCut) vote beside SAM, as in the targets of
training (`method/self_training.py`). No weight changes.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from ringsam.batch import Batch
from ringsam.data.colour_model import colour_masks
from ringsam.data.colours import Pixels
from ringsam.geometry import Boxes, Frame, clip_boxes
from ringsam.method.colours import (
    SoftMasks,
    Windows,
    fine_places,
    look,
    move_odds,
    resample,
    window_boxes,
)
from ringsam.method.self_training import MaskLogits, shape_prior
from ringsam.sam.preprocess import normalise

_SIDE = (
    96  # pixels of an object's window; in training the decoder's grid is the limit, here it is not
)
_WEIGHT = 0.5  # of what the colours tell, in log odds, as in the recipe `best`
_AT_ONCE = 64  # objects
_ROUNDING_PX = 1e-3  # what a box's way into the input frame and back may change

Masks = Bool[Tensor, "n height width"]


@torch.inference_mode()
def refine(
    logits: MaskLogits, pixels: Pixels, frame: Frame, batch: Batch, *, both_boxes: bool
) -> Masks:
    """The masks of one image's objects, from the decoder's logits, within the pixels that their big boxes touch.

    `batch` is the image in its input frame with the objects' boxes, of which the small ones count for `both_boxes` only.
    """
    if not both_boxes:  # what has no area makes no pixel certain
        batch = replace(batch, small_boxes=torch.zeros_like(batch.small_boxes))
    masks = torch.zeros((batch.num_objects, *pixels.shape[:2]), dtype=torch.bool)
    for start in range(0, batch.num_objects, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        close_ups = CloseUps(pixels, frame, batch.choose(some))
        close_ups.draw(believe(logits[some], close_ups, both_boxes=both_boxes), masks[some])
    return masks


def believe(logits: MaskLogits, close_ups: "CloseUps", *, both_boxes: bool) -> SoftMasks:
    """How likely each pixel of the windows is object: the voters' mean, moved by the colours; certain where the boxes are."""
    votes = [close_ups.enlarge(logits.float().sigmoid())]
    if both_boxes:
        votes.append(close_ups.enlarge(shape_prior(close_ups.batch, grid=logits.shape[-1])))
        votes.append(close_ups.seeded_colours())
    windows = close_ups.windows()
    belief = torch.stack(votes).mean(dim=0).flatten(1)
    moved = move_odds(belief, windows, weight=_WEIGHT)
    known, core = windows.core | windows.outside, windows.core.float()
    certain: SoftMasks = torch.where(known, core, moved).unflatten(1, (_SIDE, _SIDE))
    return certain


class CloseUps:
    """Each object's surroundings as the image itself shows them, however coarse the input frame is."""

    def __init__(self, pixels: Pixels, frame: Frame, batch: Batch) -> None:
        self.pixels, self.frame, self.batch = pixels, frame, batch
        self.boxes = window_boxes(batch)  # in the input frame
        scale_x, scale_y, *_ = frame.scale().tolist()
        x, y = fine_places(self.boxes, side=_SIDE)
        height, width = pixels.shape[:2]
        self.columns = (x / scale_x).long().clamp(0, width - 1)  # (n, 2 * _SIDE)
        self.rows = (y / scale_y).long().clamp(0, height - 1)

    def windows(self) -> Windows:
        picked = torch.from_numpy(self.pixels)[self.rows[:, :, None], self.columns[:, None, :]]
        return look(normalise(picked.permute(0, 3, 1, 2).float()), self.boxes, self.batch)

    def enlarge(self, maps: SoftMasks) -> SoftMasks:
        """Maps of the input frame, seen in the windows."""
        frame = torch.zeros_like(self.boxes)
        frame[:, 2:] = self.frame.input_size
        return resample(maps, source=frame, onto=self.boxes, side=_SIDE)

    def seeded_colours(self) -> SoftMasks:
        """What colours alone say, by both boxes, seen in the windows."""
        big, small = self.image_boxes()
        readings = [
            colour_masks(self.pixels, *pair).mean(axis=0, dtype=np.float32)[np.ix_(rows, columns)]
            for *pair, rows, columns in zip(
                big.numpy(), small.numpy(), self.rows.numpy(), self.columns.numpy(), strict=True
            )
        ]
        return F.avg_pool2d(torch.from_numpy(np.stack(readings)), 2)

    def image_boxes(self) -> tuple[Boxes, Boxes]:
        """Both boxes in the image's own pixels, the big one cut at the image's border, the small one at the big one's."""
        height, width = self.pixels.shape[:2]
        big = self.frame.boxes_to_image(self.batch.big_boxes)
        small = self.frame.boxes_to_image(self.batch.small_boxes)
        image = torch.tensor([[0.0, 0.0, width, height]]).expand_as(big)
        big = clip_boxes(big, image)
        return big, clip_boxes(small, big)

    def draw(self, belief: SoftMasks, masks: Masks) -> None:
        """Set the masks' pixels that are rather object than not."""
        big, _ = self.image_boxes()
        windows = self.frame.boxes_to_image(self.boxes)
        for seen, window, box, mask in zip(belief, windows, big, masks, strict=True):
            touched = torch.cat([(box[:2] + _ROUNDING_PX).floor(), (box[2:] - _ROUNDING_PX).ceil()])
            left, top, right, bottom = touched.int().tolist()
            x, y = torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5
            across = (x - window[0]) / (window[2] - window[0]) * 2 - 1
            down = (y - window[1]) / (window[3] - window[1]) * 2 - 1
            places = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], dim=-1)
            drawn = F.grid_sample(
                seen[None, None], places[None], padding_mode="border", align_corners=False
            )
            mask[top:bottom, left:right] = drawn[0, 0] > 0.5
