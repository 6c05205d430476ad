"""Images and boxes that come from anybody's code or page, judged before a model sees them."""

import numpy as np
import torch

from ringsam.data.colours import Pixels
from ringsam.errors import InputError
from ringsam.geometry import Boxes, Frame, clip_boxes


def as_image(image: object) -> Pixels:
    """The image as the array it has to be; raises InputError for any other."""
    try:
        pixels = np.asarray(image)
        found = f"{pixels.dtype} of shape {list(pixels.shape)}"
    except (TypeError, ValueError):  # rows of unequal length, a tensor on the GPU
        found = f"{type(image).__name__} that is no array"
    else:
        right = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        if right and pixels.size:
            return pixels
    mend = "read it with `ringsam.data.read_image`, or convert it to RGB uint8"
    raise InputError(f"image: expected uint8 of shape [height, width, 3], found {found}; {mend}")


def as_boxes(boxes: object, name: str, frame: Frame) -> Boxes:
    """The boxes as float rows; raises InputError for what is no box or has no part of the image."""
    expected = f"{name}: expected finite rows [x1, y1, x2, y2]"
    try:
        tensor = torch.as_tensor(boxes, dtype=torch.float32)
    except (TypeError, ValueError) as error:  # rows of unequal length, words
        raise InputError(f"{expected}, found no array: {error}") from error
    if tensor.numel() == 0:
        return tensor.new_zeros((0, 4))
    if tensor.dim() != 2 or tensor.shape[1] != 4 or not tensor.isfinite().all():
        raise InputError(f"{expected}, found shape {list(tensor.shape)}")
    if (tensor[:, 2:] <= tensor[:, :2]).any():
        raise InputError(f"{name}: every box needs x1 < x2 and y1 < y2")
    width, height = frame.image_width, frame.image_height
    outside = (tensor[:, 2:] <= 0).any(dim=1) | (
        tensor[:, :2] >= tensor.new_tensor([width, height])
    ).any(dim=1)
    if outside.any():
        rows = [f"{name}: row {i} {tensor[i].tolist()}" for i in outside.nonzero()[:, 0].tolist()]
        place = f"wholly outside the image, {width} pixels wide and {height} high"
        raise InputError(
            f"{rows[0]} lies {place}; give pixels of this image, rows from 0", rows[1:]
        )
    return tensor


def refuse_apart(big: Boxes, small: Boxes) -> None:
    """Raises InputError where a small box has no part of its big one."""
    common = clip_boxes(small, big)
    apart = (common[:, 2:] <= common[:, :2]).any(dim=1).nonzero()[:, 0].tolist()
    if apart:
        rows = [f"small_boxes: row {i} {small[i].tolist()}" for i in apart]
        place = f"wholly outside its big box, {big[apart[0]].tolist()}"
        raise InputError(
            f"{rows[0]} lies {place}; give each object's two boxes as a pair", rows[1:]
        )
