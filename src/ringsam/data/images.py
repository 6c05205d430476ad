"""The one door for pixels: any image file in, RGB as a person sees it out, or an `InputError`.

Images of more than 8 bits are shown through a window from their 0.1st to their 99.9th percentile,
because a plain conversion to 8 bits would crush or clip them. What is transparent becomes white.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from ringsam.data.colours import Pixels, Values, to_rgb
from ringsam.data.png_header import plain_png_size
from ringsam.data.tiff import is_tiff, read_tiff, tiff_size
from ringsam.data.turns import displayed, displayed_size
from ringsam.errors import InputError

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
MAX_PIXELS = 178_956_970  # Pillow's own bound against decompression bombs

# No EPS, which runs code, and nothing that no camera or microscope writes.
Image.init()  # Pillow knows only the commonest formats before
_FORMATS = sorted(
    {"AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "WEBP"} & set(Image.OPEN)
)
_ORIENTATION_TAG = 0x0112
_PNG_TAIL_BYTES = 1 << 16


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The image as displayed (EXIF orientation applied), RGB in 0..255.

    Raises InputError, naming the path, the reason and the mend, for a file that is missing, cut,
    corrupt, not an image, larger than `max_pixels` (at most Pillow's own bound; judged before
    decoding), or that holds several pages or channels.
    """
    with _refusals(path):
        if is_tiff(path):
            _refuse_large(path, tiff_size(path), max_pixels)
            return to_rgb(read_tiff(path, _load))
        with Image.open(path, formats=_FORMATS) as image:
            _refuse_large(path, (image.height, image.width), max_pixels)
            _refuse_frames(path, image)
            return to_rgb(_load(image))


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels as displayed, from the header alone.

    Raises InputError as `read_image` does, but does not see what is wrong with the pixels.
    """
    plain = plain_png_size(path, max_pixels=MAX_PIXELS)
    if plain is not None:
        return plain
    with _refusals(path):
        if is_tiff(path):
            return tiff_size(path)
        with Image.open(path, formats=_FORMATS) as image:
            if _exif_follows_pixels(path, image):
                image.load()
            return displayed_size(image.height, image.width, _orientation(image))


def _load(image: Image.Image) -> Values:
    """The pixels as displayed, as deep as the file has them."""
    mode = image.tile[0].args if isinstance(image, PngImageFile) and image.tile else None
    if isinstance(image, PngImageFile) and mode in _PNG_16_BITS:
        return displayed(_load_png_16_bits(image, mode), _orientation(image))
    image.load()
    return displayed(np.asarray(_plain_mode(image)), _orientation(image))


def _plain_mode(image: Image.Image) -> Image.Image:
    """The image in a mode whose array means gray or RGB, with or without alpha."""
    deep = image.mode == "F" or image.mode.startswith("I")
    if image.mode in ("P", "PA", "RGBa", "La") or ("transparency" in image.info and not deep):
        return image.convert("RGBA")
    if image.mode in ("CMYK", "YCbCr", "RGBX"):
        return image.convert("RGB")
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA", "I", "F") and image.mode[:4] != "I;16":
        raise ValueError(f"its colour mode {image.mode} is not known")
    return image


# Pillow gives the high bytes of 16-bit colour alone. Read as if the bytes lay the other way round,
# the same decoder gives the low ones; gray with alpha fits whole into four channels.
_PNG_16_BITS = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}


def _load_png_16_bits(image: PngImageFile, mode: str) -> npt.NDArray[np.uint16]:
    with Image.open(image.filename, formats=["PNG"]) as again:
        again.tile = [image.tile[0]._replace(args=_PNG_16_BITS[mode])]
        low = np.asarray(again).astype(np.uint16)
    high = np.asarray(image).astype(np.uint16)
    if mode == "LA;16B":
        high, low = low[..., 0::2], low[..., 1::2]
    return (high << 8 | low).astype(np.uint16)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; by the base class, because PNG's own method decodes the pixels."""
    value = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    return value if value in range(1, 9) else 1


def _exif_follows_pixels(path: Path, image: Image.Image) -> bool:
    if image.format != "PNG" or "exif" in image.info:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _PNG_TAIL_BYTES))
        return b"eXIf" in file.read()


def _refuse_large(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    height, width = size
    if height * width > max_pixels:
        raise InputError(
            f"{path}: {width} x {height} = {height * width} pixels are more than the {max_pixels} "
            "allowed; cut the image into tiles"
        )


def _refuse_frames(path: Path, image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO is a camera's JPEG with a preview behind it
        raise InputError(f"{path}: holds {frames} frames; save the one you want as a PNG")


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turns whatever the decoders raise into an InputError; their warnings tell a user nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if not path.is_file():
                raise InputError(f"{path}: no such file; mend the name or put the image there")
            yield
        except InputError:
            raise
        except UnidentifiedImageError as error:
            raise InputError(f"{path}: {_what_else(path)}; save it as PNG or TIFF") from error
        except Image.DecompressionBombError as error:
            raise InputError(f"{path}: {error}; cut the image into tiles") from error
        except Exception as error:  # decoders raise nearly anything on bytes made to hurt
            reason = str(error) or type(error).__name__
            raise InputError(
                f"{path}: the image cannot be read: {reason}; copy it again from its source "
                "or save it anew as PNG or TIFF"
            ) from error


def _what_else(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(132)
    if not head:
        return "the file is empty"
    return "a DICOM file" if head[128:] == b"DICM" else "not an image of a known kind"
