"""Draws two_boxes.png from a finished `make demo`: python docs/images/make_two_boxes.py."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import ringsam
from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "src/ringsam/assets/sample/test"
SCALE = 3  # screen pixels for each image pixel
BIG, SMALL, FILL = (255, 196, 60), (255, 240, 190), np.array([30, 130, 230])


def main() -> None:
    """The image with two boxes an object, an arrow's gap, the image with the adapted masks."""
    record = next(r for r in read_two_boxes(SAMPLE).images if r.file_name.startswith("b6d50fa2"))
    pixels = read_image(record.path)
    size = (record.width * SCALE, record.height * SCALE)
    left = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(left)
    for boxes, colour in ((record.big_boxes, BIG), (record.small_boxes, SMALL)):
        for box in boxes * SCALE:
            draw.rectangle(box.tolist(), outline=colour, width=2)
    masks = ringsam.load(ROOT / "demo_run").predict(pixels, record.big_boxes).masks.any(dim=0)
    mask = np.asarray(Image.fromarray(masks.numpy()).resize(size))
    right = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)).copy()
    right[mask] = (0.45 * right[mask] + 0.55 * FILL).astype(np.uint8)
    page = Image.new("RGB", (2 * size[0] + 24, size[1]), "white")
    page.paste(left, (0, 0))
    page.paste(Image.fromarray(right), (size[0] + 24, 0))
    page.quantize(128).save(Path(__file__).parent / "two_boxes.png", optimize=True)


if __name__ == "__main__":
    main()
