"""Boxes, rings, cells and frames: the one place that knows units.

Boxes are xyxy pixels, right and bottom exclusive. The *image frame* is the image as displayed; the
*input frame* is the square that the encoder sees; a *cell* is one position of the encoder's grid.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Boxes = Float[Tensor, "n 4"]
Points = Float[Tensor, "n p 2"]
Cells = Bool[Tensor, "n h w"]

_MARGIN = 0.35  # of a big box's longer side, around it, where an object is shown alone
_MIN_MARGIN_PX = 6


class Frame(NamedTuple):
    """How an image lies in the input frame: scaled by (scale_x, scale_y) into its top-left corner."""

    image_height: int
    image_width: int
    height: int  # of the resized image, input pixels; below and right of it is padding
    width: int
    input_size: int

    def scale(self) -> Float[Tensor, " 4"]:
        x, y = self.width / self.image_width, self.height / self.image_height
        return torch.tensor([x, y, x, y])

    def boxes_to_input(self, boxes: Boxes) -> Boxes:
        return boxes * self.scale().to(boxes)

    def boxes_to_image(self, boxes: Boxes) -> Boxes:
        return boxes / self.scale().to(boxes)


def sample_ring_points(
    small_boxes: Boxes, big_boxes: Boxes, uniform: Float[Tensor, "n p 3"]
) -> Points:
    """Points uniform in the big box minus the small box, exactly: one of four rectangles by area, then a place in it.

    `uniform` holds three numbers in [0, 1) for each point. A ring without area gives points on the
    lower side of the big box.
    """
    rectangles = ring_rectangles(small_boxes, big_boxes)  # (n, 4, 4)
    areas = (rectangles[..., 2] - rectangles[..., 0]) * (rectangles[..., 3] - rectangles[..., 1])
    bounds = areas.cumsum(dim=1)  # (n, 4)
    target = uniform[..., 0] * bounds[:, -1:]
    choice = (target[..., None] >= bounds[:, None, :-1]).sum(dim=-1)  # (n, p) in 0..3
    chosen = rectangles.gather(1, choice[..., None].expand(-1, -1, 4))  # (n, p, 4)
    return chosen[..., :2] + uniform[..., 1:] * (chosen[..., 2:] - chosen[..., :2])


def ring_rectangles(small_boxes: Boxes, big_boxes: Boxes) -> Float[Tensor, "n 4 4"]:
    """The ring as four rectangles that do not overlap: above, left, right, below."""
    x1, y1, x2, y2 = big_boxes.unbind(dim=1)
    small_x1, small_y1, small_x2, small_y2 = clip_boxes(small_boxes, big_boxes).unbind(dim=1)
    return torch.stack(
        [
            torch.stack([x1, y1, x2, small_y1], dim=1),
            torch.stack([x1, small_y1, small_x1, small_y2], dim=1),
            torch.stack([small_x2, small_y1, x2, small_y2], dim=1),
            torch.stack([x1, small_y2, x2, y2], dim=1),
        ],
        dim=1,
    )


def sample_box_points(boxes: Boxes, uniform: Float[Tensor, "n p 2"]) -> Points:
    """Points uniform in each box."""
    corner, size = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    return corner + uniform * size


def box_centers(boxes: Boxes) -> Float[Tensor, "n 2"]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def grow_boxes(boxes: Boxes, share: float) -> Boxes:
    """The boxes with every side moved out by a share of the box's own width or height."""
    more = share * (boxes[:, 2:] - boxes[:, :2])
    return torch.cat([boxes[:, :2] - more, boxes[:, 2:] + more], dim=1)


def cells_inside(boxes: Boxes, *, grid: int, stride: float) -> Cells:
    """Cells that lie wholly in the box, and always the one that holds its centre."""
    start, end = _cell_edges(grid, stride, boxes)
    inside_x = (start >= boxes[:, 0:1]) & (end <= boxes[:, 2:3])  # (n, w)
    inside_y = (start >= boxes[:, 1:2]) & (end <= boxes[:, 3:4])  # (n, h)
    center = (box_centers(boxes) / stride).long().clamp(0, grid - 1)
    index = torch.arange(grid, device=boxes.device)
    center_x, center_y = index == center[:, 0:1], index == center[:, 1:2]
    return inside_y[:, :, None] & inside_x[:, None] | center_y[:, :, None] & center_x[:, None]


def cells_touched(boxes: Boxes, *, grid: int, stride: float) -> Cells:
    """Cells that share any area with the box."""
    start, end = _cell_edges(grid, stride, boxes)
    touched_x = (end > boxes[:, 0:1]) & (start < boxes[:, 2:3])
    touched_y = (end > boxes[:, 1:2]) & (start < boxes[:, 3:4])
    return touched_y[:, :, None] & touched_x[:, None]


def cells_on_image(
    extents: Int[Tensor, "b 2"], *, grid: int, stride: float
) -> Bool[Tensor, "b h w"]:
    """Cells wholly on the image, none on padding; `extents` is (height, width) of the image in the input frame."""
    start = torch.arange(grid, device=extents.device) * stride
    on_y, on_x = (
        (start + stride <= extents[:, axis : axis + 1].clamp(min=stride)) for axis in (0, 1)
    )
    return on_y[:, :, None] & on_x[:, None]


def crop_window(
    box: Float[np.ndarray, " 4"], *, height: int, width: int
) -> tuple[int, int, int, int]:
    """A square around the box with a margin, cut at the image's border: left, top, right, bottom."""
    x1, y1, x2, y2 = (float(value) for value in box)
    side = max(x2 - x1, y2 - y1)
    reach = side / 2 + max(_MARGIN * side, _MIN_MARGIN_PX)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    return left, top, min(width, int(x + reach) + 1), min(height, int(y + reach) + 1)


def _cell_edges(
    grid: int, stride: float, boxes: Boxes
) -> tuple[Float[Tensor, " g"], Float[Tensor, " g"]]:
    start = torch.arange(grid, device=boxes.device, dtype=boxes.dtype) * stride
    return start, start + stride


def clip_boxes(boxes: Boxes, limits: Boxes) -> Boxes:
    return boxes.clamp(min=limits[:, :2].repeat(1, 2), max=limits[:, 2:].repeat(1, 2))


def ellipse_radius(
    boxes: Boxes, *, height: int, width: int, stride: float = 1.0
) -> Float[Tensor, "n h w"]:
    """Of each pixel's centre, the squared distance from the box's centre in half sides: 1 on the ellipse that fills the box.

    `stride` is the pixels' side; a box side below 1 counts as 1.
    """
    left, top, right, bottom = boxes[:, :, None].unbind(dim=1)
    x, y = ((torch.arange(n, device=boxes.device) + 0.5) * stride for n in (width, height))
    across = (2 * x - left - right) / (right - left).clamp(min=1.0)
    down = (2 * y - top - bottom) / (bottom - top).clamp(min=1.0)
    return across.square()[:, None, :] + down.square()[:, :, None]
