"""Masks refined as they are predicted, in the image's own pixels: what SAM says, moved by each object's own colours.

Where both boxes are given, the place between them and the colours that they seed (GrabCut) vote beside SAM, as in the targets of
training (`method/self_training.py`). No weight changes.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ringsam.batch import Batch
from ringsam.config import Refinement
from ringsam.data.colour_model import colour_readings
from ringsam.data.colours import Pixels
from ringsam.geometry import Boxes, Frame, clip_boxes
from ringsam.method.colours import (
    SoftMasks,
    Windows,
    fine_places,
    make_windows,
    move_odds,
    resample,
    window_boxes,
)
from ringsam.method.self_training import MaskLogits, pool, shape_prior
from ringsam.metrics import Masks
from ringsam.sam.preprocess import normalise

_SIDE = 96  # pixels of an object's window: finer than in training, where the decoder's grid is
_WEIGHT = 0.5  # of what the colours tell, in log odds, as in the recipe `best`
_AT_ONCE = 64  # objects
_BAND_PX = 1 << 22  # of a mask, drawn at once


@torch.inference_mode()
def refine_masks(
    logits: Float[Tensor, "n 1 h w"],
    pixels: Pixels,
    frame: Frame,
    big_boxes: Boxes,
    small_boxes: Boxes,
    *,
    refine: Refinement,
) -> Masks:
    """The masks (n, height, width) of one image's objects from the decoder's logits; none goes beyond its big box.

    Boxes are in image pixels, each small one inside its big one; the small ones count for `both_boxes` only, and are object then.
    """
    masks = torch.zeros((len(big_boxes), *pixels.shape[:2]), dtype=torch.bool)
    for start in range(0, len(big_boxes), _AT_ONCE):
        chunk = slice(start, start + _AT_ONCE)
        small = small_boxes[chunk].cpu() if refine == "both_boxes" else None
        windows = ObjectWindows(pixels, frame, big_boxes[chunk].cpu(), small)
        windows.draw(object_probability(logits[chunk, 0].cpu(), windows), masks[chunk])
    return masks


def object_probability(logits: MaskLogits, windows: "ObjectWindows") -> SoftMasks:
    """How likely each pixel of the windows is object: what the voters believe, by equal shares, moved by the object's own colours."""
    votes = []
    if windows.small is not None:
        place = windows.enlarge(shape_prior(windows.batch, grid=logits.shape[-1]))
        votes = [(place, 1 / 3), (windows.seeded_colours(windows.small), 1 / 3)]
    belief = pool(windows.enlarge(logits.float()), votes).flatten(1)
    moved: Tensor = move_odds(belief, windows.colours(), weight=_WEIGHT)
    return moved.reshape(-1, _SIDE, _SIDE)


class ObjectWindows:
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
        self.columns = (x / scale_x).long().clamp(0, width - 1).numpy()  # (n, 2 * _SIDE)
        self.rows = (y / scale_y).long().clamp(0, height - 1).numpy()

    def colours(self) -> Windows:
        picked = self.pixels[self.rows[:, :, None], self.columns[:, None, :]]
        fine = torch.from_numpy(picked).permute(0, 3, 1, 2).float()
        return make_windows(normalise(fine), self.boxes, self.batch)

    def enlarge(self, maps: SoftMasks) -> SoftMasks:
        """Maps of the input frame, seen in the windows."""
        frame = torch.zeros_like(self.boxes)
        frame[:, 2:] = self.frame.input_size
        return resample(maps, source=frame, onto=self.boxes, side=_SIDE)

    def seeded_colours(self, small: Boxes) -> SoftMasks:
        """What colours alone say, by both boxes, seen in the windows."""
        found = []
        for big, core, rows, columns in zip(
            self.big.numpy(), small.numpy(), self.rows, self.columns, strict=True
        ):
            readings, (left, top, right, bottom) = colour_readings(self.pixels, big, core)
            inside = np.ix_(rows.clip(top, bottom - 1) - top, columns.clip(left, right - 1) - left)
            found.append(readings.mean(axis=0, dtype=np.float32)[inside])
        return F.avg_pool2d(torch.from_numpy(np.stack(found)), 2)

    def draw(self, probability: SoftMasks, masks: Masks) -> None:
        """Set the masks' pixels that are rather object than not, within the big boxes, and those in the small ones."""
        windows = self.frame.boxes_to_image(self.boxes)
        for seen, window, big, mask in zip(probability, windows, self.big, masks, strict=True):
            left, top, right, bottom = torch.cat([big[:2].floor(), big[2:].ceil()]).int().tolist()
            across = (torch.arange(left, right) + 0.5 - window[0]) / (window[2] - window[0])
            for rows in torch.arange(top, bottom).split(max(1, _BAND_PX // (right - left))):
                down = (rows + 0.5 - window[1]) / (window[3] - window[1])
                places = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], dim=-1)
                drawn = F.grid_sample(
                    seen[None, None],
                    2 * places[None] - 1,
                    "bilinear",
                    "border",
                    align_corners=False,
                )
                mask[rows[0] : rows[-1] + 1, left:right] = drawn[0, 0] > 0.5
        if self.small is not None:
            for small, mask in zip((self.small - 0.5).ceil().int().tolist(), masks, strict=True):
                left, top, right, bottom = small  # of the pixels by their centres
                mask[top:bottom, left:right] = True


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
