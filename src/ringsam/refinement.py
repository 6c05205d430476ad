"""Masks refined as they are predicted, in the image's own pixels: what SAM says, moved by each object's own colours.

Where both boxes are given, the place between them and the colours that they seed (GrabCut) vote beside SAM, as in the targets of
training (`method/self_training.py`). No weight changes.
"""

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

_SIDE = 96  # pixels of an object's window: finer than in training, where the decoder's grid is
_WEIGHT = 0.5  # of what the colours tell, in log odds, as in the recipe `best`
_AT_ONCE = 64  # objects

Masks = Bool[Tensor, "n height width"]


@torch.inference_mode()
def refine(
    logits: MaskLogits, pixels: Pixels, frame: Frame, big_boxes: Boxes, small_boxes: Boxes | None
) -> Masks:
    """The masks of one image's objects, from the decoder's logits, within the pixels that their big boxes touch.

    Boxes are in image pixels, each small one inside its big one; where there is none, the big box's own colours tell alone.
    """
    masks = torch.zeros((len(big_boxes), *pixels.shape[:2]), dtype=torch.bool)
    for start in range(0, len(big_boxes), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        small = None if small_boxes is None else small_boxes[some]
        close_ups = CloseUps(pixels, frame, big_boxes[some], small)
        close_ups.draw(believe(logits[some], close_ups), masks[some])
    return masks


def believe(logits: MaskLogits, close_ups: "CloseUps") -> SoftMasks:
    """How likely each pixel of the windows is object: the voters' mean, moved by the colours; certain where the boxes are."""
    votes = [close_ups.enlarge(logits.float().sigmoid())]
    if close_ups.small is not None:
        votes.append(close_ups.enlarge(shape_prior(close_ups.batch, grid=logits.shape[-1])))
        votes.append(close_ups.seeded_colours(close_ups.small))
    windows = close_ups.windows()
    belief = torch.stack(votes).mean(dim=0).flatten(1)
    moved = move_odds(belief, windows, weight=_WEIGHT)
    known, core = windows.core | windows.outside, windows.core.float()
    certain: SoftMasks = torch.where(known, core, moved).unflatten(1, (_SIDE, _SIDE))
    return certain


class CloseUps:
    """Each object's surroundings as the image itself shows them, however coarse the input frame is."""

    def __init__(self, pixels: Pixels, frame: Frame, big: Boxes, small: Boxes | None) -> None:
        height, width = pixels.shape[:2]
        self.pixels, self.frame = pixels, frame
        self.big = clip_boxes(big, torch.tensor([[0.0, 0.0, width, height]]).expand_as(big))
        self.small = None if small is None else clip_boxes(small, self.big)
        self.batch = _as_seen(frame, self.big, self.small)
        self.boxes = window_boxes(self.batch)  # in the input frame
        scale_x, scale_y, *_ = frame.scale().tolist()
        x, y = fine_places(self.boxes, side=_SIDE)
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

    def seeded_colours(self, small: Boxes) -> SoftMasks:
        """What colours alone say, by both boxes, seen in the windows."""
        objects = (each.numpy() for each in (self.big, small, self.rows, self.columns))
        readings = [
            colour_masks(self.pixels, *pair).mean(axis=0, dtype=np.float32)[np.ix_(rows, columns)]
            for *pair, rows, columns in zip(*objects, strict=True)
        ]
        return F.avg_pool2d(torch.from_numpy(np.stack(readings)), 2)

    def draw(self, belief: SoftMasks, masks: Masks) -> None:
        """Set the masks' pixels that are rather object than not."""
        windows = self.frame.boxes_to_image(self.boxes)
        for seen, window, box, mask in zip(belief, windows, self.big, masks, strict=True):
            left, top, right, bottom = torch.cat([box[:2].floor(), box[2:].ceil()]).int().tolist()
            x, y = torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5
            across = (x - window[0]) / (window[2] - window[0]) * 2 - 1
            down = (y - window[1]) / (window[3] - window[1]) * 2 - 1
            places = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], dim=-1)
            drawn = F.grid_sample(
                seen[None, None], places[None], padding_mode="border", align_corners=False
            )
            mask[top:bottom, left:right] = drawn[0, 0] > 0.5


def _as_seen(frame: Frame, big: Boxes, small: Boxes | None) -> Batch:
    """The objects in the input frame, whose pixels nobody looks at; a small box without area makes no pixel certain."""
    side = frame.input_size
    return Batch(
        images=torch.empty((1, 3, side, side), device="meta"),
        extents=torch.tensor([[frame.height, frame.width]]),
        big_boxes=frame.boxes_to_input(big),
        small_boxes=torch.zeros_like(big) if small is None else frame.boxes_to_input(small),
        image_index=torch.zeros(len(big), dtype=torch.long),
        object_ids=torch.arange(len(big)),
        gt_masks=None,
    )
