"""Pictures of a few fixed objects, before training and after each epoch: how their masks change."""

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from torch import Tensor

from ringsam.data.colours import Pixels
from ringsam.data.dataset import Preprocess
from ringsam.data.masks import Mask
from ringsam.data.records import ImageRecord, ImageRecords, read_pixels
from ringsam.files import replaced
from ringsam.geometry import Frame, crop_window
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.sam.model import Prompts

NUM_OBJECTS = 6
TILE_PX, GAP_PX = 168, 4
BOX, MASK, CASING = (255, 224, 102), (65, 182, 255), (0, 0, 0)
_TINT = 0.25  # how much of a mask's colour is in its inside; its edge has all


class Overlays(L.Callback):
    """A sheet an epoch with a tile an object: its two boxes, and the mask for the big one by the weights that are kept.

    The first rank alone draws. It draws no random number and changes no module, so that the run is the same without it.
    """

    def __init__(
        self,
        folder: RunFolder,
        records: Sequence[ImageRecord],
        adaptation: Adaptation,
        preprocess: Preprocess,
    ) -> None:
        self.folder = folder
        self.records = records
        self.adaptation = adaptation
        self.preprocess = preprocess

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for epoch, path in self.folder.sheets().items():
            if epoch > trainer.current_epoch:  # of a run that went further than its checkpoint
                path.unlink()
        if trainer.global_step == 0:
            self._draw(trainer, epoch=0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self._draw(trainer, epoch=trainer.current_epoch + 1)

    def _draw(self, trainer: L.Trainer, *, epoch: int) -> None:
        context = trainer.precision_plugin.forward_context()
        with torch.no_grad(), context:
            sheet = joined([tile for record in self.records for tile in self._tiles(record)])
        path = self.folder.sheet(epoch)
        try:
            write_picture(sheet, path)
        except OSError as error:  # a picture is not worth the run
            print(f"NOT DRAWN: {path}: {error.strerror or error}; training goes on", flush=True)

    def _tiles(self, record: ImageRecord) -> list[Image.Image]:
        sam, pixels = self.adaptation.sam, read_pixels(record)
        device = sam.device
        image, frame = self.preprocess.image(pixels)
        boxes = frame.boxes_to_input(torch.from_numpy(record.big_boxes)).to(device)
        index = torch.zeros(len(boxes), dtype=torch.long, device=device)
        embedding = self.adaptation.encode_kept(image[None].to(device))
        logits = sam.decode(embedding, index, Prompts(boxes=boxes)).logits.float().cpu()
        return [
            draw_tile(pixels, frame, logits[place, 0], record, place)
            for place in range(record.num_objects)
        ]


def few_objects(images: ImageRecords, *, num: int = NUM_OBJECTS) -> list[ImageRecord]:
    """Images spread over the data with `num` objects together: each image's first before any image's second."""
    images = images.choose(images.num_objects > 0)
    spread = np.linspace(0, len(images) - 1, min(num, len(images))).round().astype(np.int64)
    records = list(images.choose(spread))
    order = sorted(
        (place, which)
        for which, record in enumerate(records)
        for place in range(min(record.num_objects, num))
    )[:num]
    return [
        record.choose([place for place, of in order if of == which])
        for which, record in enumerate(records)
    ]


def draw_tile(
    pixels: Pixels, frame: Frame, logits: Float[Tensor, "h w"], record: ImageRecord, place: int
) -> Image.Image:
    """The crop around an object's big box, as large as a tile allows."""
    big, small = record.big_boxes[place], record.small_boxes[place]
    window = crop_window(big, height=record.height, width=record.width)
    left, top, right, bottom = window
    scale = TILE_PX / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    crop = Image.fromarray(pixels[top:bottom, left:right])
    tile = crop.resize(size, Image.Resampling.BILINEAR)
    mask = Image.fromarray(mask_in_window(logits, frame, window, size)).convert("L")
    inner = mask.filter(ImageFilter.MinFilter(3)).point(lambda value: value * (1 - _TINT))
    tile.paste(MASK, mask=ImageChops.subtract(mask, inner))
    pen = ImageDraw.Draw(tile)
    for box, width in ((big, 2), (small, 1)):
        corners = (box.reshape(2, 2) - (left, top)) * scale
        sides = [*corners[0], *(corners[1] - 1).clip(corners[0])]
        pen.rectangle(sides, outline=CASING, width=width + 1)
        pen.rectangle(sides, outline=BOX, width=width)
    return tile


def mask_in_window(
    logits: Float[Tensor, "h w"],
    frame: Frame,
    window: tuple[int, int, int, int],
    size: tuple[int, int],
) -> Mask:
    """The mask in a window of the image, `size` (width, height) pixels large; nothing larger is made on the way."""
    corners = torch.tensor([window], dtype=torch.float32)
    left, top, right, bottom = (2 * frame.boxes_to_input(corners) / frame.input_size - 1)[0]
    x, y = (
        low + (torch.arange(num) + 0.5) / num * (high - low)
        for low, high, num in ((left, right, size[0]), (top, bottom, size[1]))
    )
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (height, width, 2)
    found = F.grid_sample(
        logits[None, None], places[None], padding_mode="border", align_corners=False
    )
    return (found[0, 0] > 0).numpy()


def joined(tiles: Sequence[Image.Image]) -> Image.Image:
    """The tiles in a row."""
    width = len(tiles) * (TILE_PX + GAP_PX) - GAP_PX
    sheet = Image.new("RGB", (width, TILE_PX), CASING)
    for index, tile in enumerate(tiles):
        left, top = index * (TILE_PX + GAP_PX), 0
        margin = ((TILE_PX - tile.width) // 2, (TILE_PX - tile.height) // 2)
        sheet.paste(tile, (left + margin[0], top + margin[1]))
    return sheet


def write_picture(picture: Image.Image, path: Path) -> None:
    """Whole or not at all; raises OSError where the disk takes it not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as unfinished:
        picture.save(unfinished, "PNG")
