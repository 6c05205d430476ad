"""The mask that SAM would give for a box, small enough to be drawn while a person waits."""

import base64
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor

from ringsam.arrays import as_boxes, refuse_apart
from ringsam.config import Refinement
from ringsam.data.boxes import Box
from ringsam.data.masks import Mask
from ringsam.geometry import Frame
from ringsam.pages.pictures import Picture, Pictures
from ringsam.predict import Predictor
from ringsam.refinement import refine_masks
from ringsam.sam.model import Prompts
from ringsam.sam.preprocess import logits_to_image

_LARGEST_SIDE_PX = 1024  # of a mask as drawn; SAM's own logits are coarser
_INSIDE, _EDGE = 96, 255  # how much of its colour the page gives to a pixel
_KEPT = 4  # embeddings


@dataclass(frozen=True)
class PreviewMask:
    """A picture of the mask as a data URL, and its place on the image."""

    box: Box
    image: str


class Preview:
    """SAM asked for one object at a time, its mask refined or not; an image is encoded once."""

    def __init__(
        self, predictor: Predictor, pictures: Pictures, *, refine: Refinement = "none"
    ) -> None:
        self.predictor = predictor
        self.pictures = pictures
        self.refine = refine
        # Whoever asks SAM takes a turn
        self.turn, self._waiting = threading.Lock(), threading.Lock()
        self._newest: Picture | None = None
        self._encoded = lru_cache(maxsize=_KEPT)(self._encode)

    def prepare(self, picture: Picture) -> None:
        """Encode the image before the first box is drawn on it; of those asked for meanwhile, the newest alone."""
        self._newest = picture
        if self._waiting.acquire(blocking=False):  # else the call that waits takes this picture
            with self.turn:
                self._waiting.release()
                self._encoded(self._newest)

    def mask(
        self, picture: Picture, big_box: Sequence[float], small_box: Sequence[float] | None = None
    ) -> PreviewMask | None:
        """None where SAM finds nothing. Raises InputError for a box that has no part of the image."""
        if self.refine != "none":
            exact = self.exact_mask(picture, big_box, small_box)
            return preview_of(exact, *exact.shape)
        with self.turn:
            logits, frame = self._logits(picture, big_box)
        return preview_of(_drawn(logits, _as_shown(frame)), frame.image_height, frame.image_width)

    def exact_mask(
        self, picture: Picture, big_box: Sequence[float], small_box: Sequence[float] | None = None
    ) -> Mask:
        """The mask in the image's own pixels; raises InputError as `mask` does.

        Before the small box is drawn, what would be refined by both boxes is refined by the big one.
        """
        with self.turn:
            logits, frame = self._logits(picture, big_box)
            if self.refine == "none":
                return _drawn(logits, frame)
            big = as_boxes([big_box], "big_box", frame)
            small = as_boxes([big_box if small_box is None else small_box], "small_box", frame)
            refuse_apart(big, small)
            refine = "big_box" if small_box is None else self.refine
            pixels = self.pictures.pixels(picture.path)
            return refine_masks(logits, pixels, frame, big, small, refine=refine)[0].numpy()

    @torch.inference_mode()
    def _logits(self, picture: Picture, big_box: Sequence[float]) -> tuple[Tensor, Frame]:
        embedding, frame = self._encoded(picture)
        box = frame.boxes_to_input(as_boxes([big_box], "big_box", frame)).to(embedding.device)
        index = torch.zeros(1, dtype=torch.long, device=embedding.device)
        return self.predictor.sam.decode(embedding, index, Prompts(boxes=box)).logits, frame

    @torch.inference_mode()
    def _encode(self, picture: Picture) -> tuple[Tensor, Frame]:
        pixels, frame = self.predictor.preprocess.image(self.pictures.pixels(picture.path))
        return self.predictor.sam.encode(pixels[None].to(self.predictor.sam.device)), frame


def preview_of(mask: Mask, height: int, width: int) -> PreviewMask | None:
    """The mask of an image of this size, itself of any, as the page draws it; None where it is empty."""
    found = Image.fromarray(mask).getbbox()
    if found is None:
        return None
    x, y = width / mask.shape[1], height / mask.shape[0]
    left, top, right, bottom = found
    part = Image.fromarray(mask).crop(found)
    part.thumbnail((_LARGEST_SIDE_PX, _LARGEST_SIDE_PX), Image.Resampling.NEAREST)
    picture = _edged(ImageOps.expand(part, 1)).crop((1, 1, part.width + 1, part.height + 1))
    return PreviewMask((left * x, top * y, right * x, bottom * y), _data_url(picture))


def _drawn(logits: Tensor, frame: Frame) -> Mask:
    return (logits_to_image(logits, frame)[0] > 0).cpu().numpy()


def _as_shown(frame: Frame) -> Frame:
    """The frame with its image made as small as the mask is drawn."""
    scale = min(1.0, _LARGEST_SIDE_PX / max(frame.image_height, frame.image_width))
    height, width = (max(1, round(side * scale)) for side in frame[:2])
    return frame._replace(image_height=height, image_width=width)


def _edged(mask: Image.Image) -> Image.Image:
    """Gray: bright at the mask's edge, dimmer inside, black elsewhere."""
    inner = mask.convert("L").filter(ImageFilter.MinFilter(3))
    gray = np.where(np.asarray(inner) > 0, _INSIDE, np.where(np.asarray(mask), _EDGE, 0))
    return Image.fromarray(gray.astype(np.uint8))


def _data_url(image: Image.Image) -> str:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()
