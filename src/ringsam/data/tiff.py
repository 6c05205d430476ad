"""TIFF: judged by its header, then read by the decoder that keeps all of its bits."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from ringsam.data.turns import displayed, displayed_size
from ringsam.errors import InputError

Values = npt.NDArray[np.generic]
Load = Callable[[Image.Image], Values]

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong, we say ourselves

_MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _CMYK = 0, 1, 2, 5
_ALPHA = {1, 2}  # ExtraSamples: associated or not
_REDUCED = 1  # NewSubfileType: a preview of another page
_PLANES = 2  # PlanarConfiguration: one plane after the other


def is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def tiff_size(path: Path) -> tuple[int, int]:
    """(height, width) as displayed, from the header alone."""
    with _only_page(path) as page:
        return displayed_size(page.imagelength, page.imagewidth, _orientation(page))


def read_tiff(path: Path, load: Load) -> Values:
    """The pixels as displayed, 1 to 4 channels, with all their bits; `load` reads Pillow's image.

    Raises InputError for several pages or channels, and for a compression that needs imagecodecs.
    """
    with _only_page(path) as page:
        _refuse_cut(path, page)
        _refuse_channels(path, page)
        deep = page.bitspersample > 8
        if deep or page.planarconfig == _PLANES:
            values = _by_tifffile(path, page)
            if values is not None:
                return _white_to_zero(page, displayed(values, _orientation(page)))
        # By its name Pillow maps the file into memory, and maps a turned one wrongly (13.0).
        with path.open("rb") as file, Image.open(file, formats=["TIFF"]) as image:
            values = load(image)
        return _white_to_zero(page, values) if deep else values


@contextmanager
def _only_page(path: Path) -> Iterator[tifffile.TiffPage]:
    with tifffile.TiffFile(path) as tiff:
        pages = [page for page in _pages(tiff) if not _is_preview(page)]
        shape = tiff.series[0].shape
        if len(pages) != 1 or np.prod(shape) != np.prod(pages[0].shape):
            raise InputError(
                f"{path}: a TIFF of {len(pages)} pages, shape {' x '.join(map(str, shape))}; "
                "save the page you want as an image of its own"
            )
        page = pages[0]
        assert isinstance(page, tifffile.TiffPage)
        yield page


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage | tifffile.TiffFrame]:
    """Raises ValueError where a page's successor is one before it: tifffile would follow them for ever."""
    seen = set()
    for page in tiff.pages:
        if page.offset in seen:
            raise ValueError("its pages lead back to one another")
        seen.add(page.offset)
        yield page


def _by_tifffile(path: Path, page: tifffile.TiffPage) -> Values | None:
    """None where tifffile lacks the codec and Pillow can read the same without loss."""
    try:
        values = np.asarray(page.asarray())
    except (KeyError, ValueError) as error:
        if "imagecodecs" not in str(error):
            raise
        if page.samplesperpixel == 1:
            return None
        raise InputError(
            f"{path}: a TIFF of {page.bitspersample} bits, compressed by "
            f"{_name(page.compression)}; save it without compression, or `pip install imagecodecs`"
        ) from error
    if values.dtype.kind not in "buif":
        raise ValueError(f"its pixels are of the kind {values.dtype}")
    return (
        np.moveaxis(values, 0, -1) if values.ndim == 3 and page.planarconfig == _PLANES else values
    )


def _white_to_zero(page: tifffile.TiffPage, values: Values) -> Values:
    """Turns values that count from white into values that count from black."""
    if page.photometric != _MIN_IS_WHITE:
        return values
    return np.invert(values) if values.dtype.kind in "bui" else np.negative(values)


def _refuse_cut(path: Path, page: tifffile.TiffPage) -> None:
    length = path.stat().st_size
    end = max(o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=True))
    if end > length:
        raise InputError(
            f"{path}: the file is cut: its pixels end at byte {end}, the file at {length}; "
            "copy it again from its source"
        )


def _refuse_channels(path: Path, page: tifffile.TiffPage) -> None:
    samples, extra = page.samplesperpixel, page.extrasamples
    colours = samples - len(extra)
    if page.photometric == _RGB and (samples, len(extra)) == (4, 0):
        colours, extra = 3, (2,)  # written without the tag: RGBA
    four_inks = page.photometric == _CMYK and colours == 4 and page.bitspersample == 8
    known = colours in (1, 3) or four_inks
    if not known or len(extra) > 1 or not set(extra) <= _ALPHA:
        raise InputError(
            f"{path}: a TIFF of {samples} channels; save the one to three channels you want "
            "as gray or RGB"
        )
    if page.bitspersample > 8 and page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB):
        raise InputError(
            f"{path}: a TIFF with {_name(page.photometric)} colours of {page.bitspersample} bits; "
            "save it as gray or RGB"
        )


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(274)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def _is_preview(page: tifffile.TiffPage | tifffile.TiffFrame) -> bool:
    return isinstance(page, tifffile.TiffPage) and bool(page.subfiletype & _REDUCED)


def _name(value: int) -> str:
    return getattr(value, "name", str(value))
