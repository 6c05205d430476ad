"""Images of a few pixels, whose headers may say anything."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from hypothesis.strategies import SearchStrategy
from PIL import Image

from benchmarks.fuzzing.parser import Parser, function
from benchmarks.fuzzing.slips import altered_bytes
from ringsam.data.images import image_size, read_image

PIXELS = np.arange(12 * 9 * 3, dtype=np.uint8).reshape(9, 12, 3)
PNG_START = 8  # bytes before the first chunk


def saved(
    kind: str, pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]], **options: object
) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def tiff(**options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def whole_png(content: bytes) -> bytes:
    """With every chunk's checksum made right, so that what was altered is read."""
    mended, place = content[:PNG_START], PNG_START
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        named = content[place + 4 : place + 8 + length]
        mended += content[place : place + 4] + named + struct.pack(">I", zlib.crc32(named))
        place += 12 + length
    return mended


JPEG = (
    saved("JPEG", PIXELS, exif=turned()),
    saved("JPEG", PIXELS, progressive=True),
    saved("JPEG", PIXELS[..., 0]),
)
PNG = (
    saved("PNG", PIXELS, exif=turned()),
    saved("PNG", PIXELS[..., 0].astype(np.uint16) * 200),
    saved("PNG", PIXELS[..., :2]),
)
TIFF = (
    tiff(data=PIXELS[..., 0].astype(np.float32)),
    tiff(data=PIXELS.astype(np.uint16), compression="zlib", predictor=True),
    tiff(data=PIXELS, tile=(16, 16)),
    tiff(data=PIXELS[..., 0], bigtiff=True, byteorder=">"),
    saved("TIFF", PIXELS, compression="tiff_lzw"),
    saved("TIFF", PIXELS, compression="jpeg"),
)
OTHERS = (
    saved("BMP", PIXELS),
    saved("GIF", PIXELS[..., 0]),
    saved("JPEG2000", PIXELS),
    saved("PPM", PIXELS),
    saved("WEBP", PIXELS, lossless=True),
    saved("WEBP", PIXELS),
    *([saved("AVIF", PIXELS)] if "AVIF" in Image.SAVE else []),
)


def read(path: Path) -> None:
    image_size(path)
    read_image(path)


def image(name: str, file: str, inputs: SearchStrategy[bytes]) -> Parser:
    return Parser(name, file, inputs, function(read), lambda folder: None)


PARSERS = (
    image("JPEG", "a.jpg", altered_bytes(JPEG)),
    image("PNG", "a.png", altered_bytes(PNG).map(whole_png) | altered_bytes(PNG)),
    image("TIFF", "a.tif", altered_bytes(TIFF)),
    image("other images", "a.image", altered_bytes(OTHERS)),
)
