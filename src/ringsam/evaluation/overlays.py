"""Crops around single objects: the picture, its two boxes, and the outlines of three masks as vectors."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image
from ringsam.data.records import ImageRecord, decode_masks
from ringsam.evaluation.evaluate import ask_models, load_models, scorable
from ringsam.evaluation.result import Evaluation, ObjectRow
from ringsam.geometry import crop_window
from ringsam.predict import Prediction, joined
from ringsam.runs import RunFolder

Mask = npt.NDArray[np.bool_]
Key = tuple[int, int]  # image id, object id

_MAX_SIDE_PX = 420  # of the picture in the page
_MAX_OUTLINE_CELLS = 210  # finer outlines would not be seen


@dataclass(frozen=True)
class Overlay:
    """What is drawn of one object; coordinates are pixels of the crop, `outlines` and `fills` are SVG paths by mask."""

    width: int
    height: int
    picture: str  # a data: address
    big_box: tuple[float, float, float, float]
    small_box: tuple[float, float, float, float]
    outlines: dict[str, str]
    fills: dict[str, str]


def make_overlays(
    run: RunFolder, evaluation: Evaluation, rows: Sequence[ObjectRow]
) -> dict[Key, Overlay]:
    """An overlay for each row, its masks asked for anew; only these images are read.

    Raises InputError where the data or the weights cannot be read any more.
    """
    wanted = {(row.image_id, row.object_id) for row in rows}
    if not wanted:
        return {}
    records = scorable(read_two_boxes(Path(evaluation.data)))
    models = load_models(run.path)
    overlays: dict[Key, Overlay] = {}
    for record in records:
        ids = record.object_ids.tolist()
        places = [i for i, object_id in enumerate(ids) if (record.image_id, object_id) in wanted]
        if places:
            chosen = record.choose(places)
            asked = ask_models(chosen, models, prompts=evaluation.prompts, refine=evaluation.refine)
            predictions = {name: joined(parts) for name, parts in asked.items()}
            overlays |= image_overlays(chosen, predictions)
    return overlays


def image_overlays(
    record: ImageRecord, predictions: Mapping[str, Prediction]
) -> dict[Key, Overlay]:
    """An overlay for each object of one image."""
    pixels = read_image(record.path)
    targets = decode_masks(record)
    assert targets is not None
    masks = {"truth": targets} | {name: found.masks for name, found in predictions.items()}
    return {
        (record.image_id, int(object_id)): draw_overlay(
            pixels,
            record.big_boxes[place],
            record.small_boxes[place],
            {name: found[place].numpy() for name, found in masks.items()},
        )
        for place, object_id in enumerate(record.object_ids)
    }


def draw_overlay(
    pixels: npt.NDArray[np.uint8],
    big_box: npt.NDArray[np.float32],
    small_box: npt.NDArray[np.float32],
    masks: Mapping[str, Mask],
) -> Overlay:
    """The crop around the big box with everything that lies on it."""
    left, top, right, bottom = crop_window(big_box, height=pixels.shape[0], width=pixels.shape[1])
    window = (slice(top, bottom), slice(left, right))
    return Overlay(
        width=right - left,
        height=bottom - top,
        picture=data_address(pixels[window]),
        big_box=_rectangle(big_box, left, top),
        small_box=_rectangle(small_box, left, top),
        outlines={name: outline_path(mask[window]) for name, mask in masks.items()},
        fills={name: fill_path(mask[window]) for name, mask in masks.items()},
    )


def fill_path(mask: Mask) -> str:
    """The mask as strips of pixels, an SVG path as coarse as the outline's."""
    stride = _stride(mask)
    strips = _runs(mask[::stride, ::stride])
    return "".join(
        f"M{start * stride} {row * stride}h{(end - start) * stride}v{stride}H{start * stride}z"
        for row, start, end in strips
    )


def outline_path(mask: Mask) -> str:
    """The mask's border along pixel edges, as an SVG path; large masks are thinned to what can be seen."""
    stride = _stride(mask)
    padded = np.pad(mask[::stride, ::stride], 1).astype(np.int8)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0  # (h + 1, w): edges above each pixel
    along = np.diff(padded, axis=1)[1:-1] != 0  # (h, w + 1): edges left of each pixel
    path = [f"M{x * stride} {y * stride}H{end * stride}" for y, x, end in _runs(across)]
    path += [f"M{x * stride} {y * stride}V{end * stride}" for x, y, end in _runs(along.T)]
    return "".join(path)


def _stride(mask: Mask) -> int:
    longest: int = max(mask.shape)
    return max(1, -(-longest // _MAX_OUTLINE_CELLS))


def data_address(pixels: npt.NDArray[np.uint8], *, max_side_px: int = _MAX_SIDE_PX) -> str:
    """The picture as a data: address, no larger than the page shows it."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _runs(edges: Mask) -> list[tuple[int, int, int]]:
    """Each unbroken run of edges: its row, start and end."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return [
        (int(row), int(start), int(end))
        for (row, start), (_, end) in zip(starts, ends, strict=True)
    ]


def _rectangle(
    box: npt.NDArray[np.float32], left: int, top: int
) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return x1 - left, y1 - top, x2 - x1, y2 - y1
