import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ringsam.data.images import image_size, read_image
from ringsam.errors import InputError

ORIENTATION = 0x0112
NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
RAMP_16 = np.linspace(0, 65535, 100 * 100).astype(np.uint16).reshape(100, 100)


def png_16_bits(pixels: np.ndarray, *, colour_type: int, before: bytes = b"") -> bytes:
    """A PNG with 16 bits a channel, which Pillow cannot write in colour; `before` goes ahead of the end."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + before + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


GRAY, ALPHA = NOISE[..., :1], NOISE[..., 1:2]
OVER_WHITE = np.rint(255 - (255 - GRAY.astype(float)) * ALPHA / 255).astype(np.uint8)
MODES = {
    "L": (GRAY[..., 0], GRAY),
    "RGB": (NOISE, NOISE),
    "LA": (np.concatenate([GRAY, ALPHA], axis=2), OVER_WHITE),
    "RGBA": (np.concatenate([NOISE, np.full_like(GRAY, 255)], axis=2), NOISE),
}


@pytest.mark.parametrize("mode", MODES)
def test_gray_colour_and_alpha_become_rgb_over_white(tmp_path, mode):
    stored, shown = MODES[mode]
    path = saved(Image.fromarray(stored), tmp_path / "image.png")
    with Image.open(path) as image:
        assert image.mode == mode
    pixels = read_image(path)
    assert pixels.dtype == np.uint8 and pixels.shape == (40, 60, 3)
    np.testing.assert_array_equal(pixels, np.broadcast_to(shown, pixels.shape))


def test_what_is_transparent_becomes_white(tmp_path):
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    assert (read_image(saved(Image.fromarray(clear), tmp_path / "clear.png")) == 255).all()


def test_one_bit_images_are_black_and_white(tmp_path):
    image = Image.fromarray(GRAY[..., 0]).convert("1")
    pixels = read_image(saved(image, tmp_path / "one_bit.png"))
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(image) * np.uint8(255))


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif"])
def test_palette_images_show_their_colours(tmp_path, suffix):
    image = Image.fromarray(NOISE).quantize(16)
    pixels = read_image(saved(image, tmp_path / f"palette{suffix}"))
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).convert("P")
    path = saved(image, tmp_path / "clear.png", transparency=5)
    assert (read_image(path)[1, 1] == 255).all()
    assert (read_image(path)[0, 0] == 0).all()


def test_palette_with_alpha_goes_over_white(tmp_path):
    image = Image.fromarray(NOISE).quantize(16).convert("PA")
    image.putalpha(0)
    assert (read_image(saved(image, tmp_path / "clear.webp", lossless=True)) == 255).all()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    smooth = np.full((16, 16, 3), (200, 30, 40), dtype=np.uint8)
    path = saved(Image.fromarray(smooth).convert("CMYK"), tmp_path / f"print{suffix}")
    assert np.abs(read_image(path).astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("top", [65535, 4095, 1000])
def test_a_16_bit_ramp_keeps_its_levels(tmp_path, suffix, top):
    ramp = (RAMP_16.astype(float) / 65535 * top).astype(np.uint16)
    pixels = read_image(saved(Image.fromarray(ramp), tmp_path / f"ramp{suffix}"))
    assert len(np.unique(pixels)) >= 250
    assert (np.diff(pixels[..., 0].ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_a_16_bit_colour_png_keeps_its_levels(tmp_path, colour_type, channels):
    values = np.repeat((RAMP_16 // 16)[..., None], channels, axis=2)  # 12 bits in 16
    if channels in (2, 4):
        values[..., -1] = 65535
    path = tmp_path / "deep.png"
    path.write_bytes(png_16_bits(values, colour_type=colour_type))
    assert len(np.unique(read_image(path))) >= 250


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "float16", "float32", "float64"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiffs_of_every_depth_keep_their_levels(tmp_path, kind, compression):
    for shape in ((100, 100), (100, 100, 3)):
        values = (RAMP_16 // 16).astype(kind)
        values = np.broadcast_to(values.reshape(100, 100, *[1] * (len(shape) - 2)), shape)
        photometric = "rgb" if len(shape) == 3 else "minisblack"
        path = tmp_path / "deep.tif"
        tifffile.imwrite(path, values, photometric=photometric, compression=compression)
        assert len(np.unique(read_image(path))) >= 250
        assert image_size(path) == (100, 100)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", None])
@pytest.mark.parametrize("values", [RAMP_16, RAMP_16.astype(np.float32)], ids=["16 bit", "float"])
def test_compressed_gray_tiffs_are_read_without_another_package(tmp_path, compression, values):
    path = saved(Image.fromarray(values), tmp_path / "deep.tif", compression=compression)
    assert len(np.unique(read_image(path))) >= 250


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_a_tiff_that_counts_from_white_is_inverted(tmp_path, kind):
    path = tmp_path / "white.tif"
    tifffile.imwrite(path, (RAMP_16 // 257).astype(kind), photometric="miniswhite")
    pixels = read_image(path)
    assert (pixels[0, 0] == 255).all() and (pixels[-1, -1] == 0).all()


def test_a_tiff_with_planes_one_after_the_other_is_read(tmp_path):
    path = tmp_path / "planes.tif"
    planes = np.ascontiguousarray(np.moveaxis(NOISE, -1, 0))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path), NOISE)


def test_pixels_that_are_not_finite_do_not_darken_the_others(tmp_path):
    values = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
    values[0, :3] = np.nan, np.inf, -np.inf
    tifffile.imwrite(tmp_path / "float.tif", values)
    pixels = read_image(tmp_path / "float.tif")
    assert len(np.unique(pixels)) >= 250
    assert pixels[0, :3, 0].tolist() == [0, 255, 0]


def test_a_float_image_without_a_finite_pixel_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "nan.tif", np.full((8, 8), np.nan, dtype=np.float32))
    assert "finite" in refusal(tmp_path / "nan.tif")


def test_an_image_of_one_value_is_black(tmp_path):
    path = saved(Image.fromarray(np.full((8, 8), 700, dtype=np.uint16)), tmp_path / "flat.png")
    assert (read_image(path) == 0).all()


def test_few_bright_pixels_on_black_stay_visible(tmp_path):
    values = np.zeros((200, 200), dtype=np.uint16)
    values[5, 5] = 900
    assert read_image(saved(Image.fromarray(values), tmp_path / "few.png"))[5, 5, 0] == 255


TURNED = {  # where the stored left upper corner and right upper corner are seen: (row, column)
    1: ((0, 0), (0, -1)),
    2: ((0, -1), (0, 0)),
    3: ((-1, -1), (-1, 0)),
    4: ((-1, 0), (-1, -1)),
    5: ((0, 0), (-1, 0)),
    6: ((0, -1), (-1, -1)),
    7: ((-1, -1), (0, -1)),
    8: ((-1, 0), (0, 0)),
}


def write_turned(path: Path, orientation: int, pixels: np.ndarray) -> None:
    if path.suffix == ".tif" and pixels.ndim == 3:
        tag = (ORIENTATION, "H", 1, orientation, True)
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[tag])
    else:
        options = {"quality": 95} if path.suffix == ".jpg" else {}
        saved(Image.fromarray(pixels), path, exif=exif(orientation), **options)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "deep.tif", "gray.tif"])
@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_is_applied(tmp_path, orientation, name):
    first, second = TURNED[orientation]
    pixels = np.full((32, 48, 3), 128, dtype=np.uint8)
    pixels[:16, :16], pixels[:16, -16:] = 255, 0
    if name == "deep.tif":
        pixels = pixels.astype(np.uint16) * 257
    if name == "gray.tif":
        pixels = pixels[..., 0]
    write_turned(tmp_path / name, orientation, pixels)
    shown = read_image(tmp_path / name)
    assert shown.shape[:2] == ((48, 32) if orientation >= 5 else (32, 48))
    assert image_size(tmp_path / name) == shown.shape[:2]
    assert shown[first].min() > 240 and shown[second].max() < 15


def test_exif_behind_the_pixels_of_a_png_counts_too(tmp_path):
    late = chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    path = tmp_path / "late.png"
    path.write_bytes(png_16_bits(np.zeros((4, 9), np.uint16), colour_type=0, before=late))
    assert image_size(path) == read_image(path).shape[:2] == (9, 4)


def test_an_orientation_that_is_none_is_passed_over(tmp_path):
    path = saved(Image.fromarray(NOISE), tmp_path / "odd.png", exif=exif(99))
    assert image_size(path) == read_image(path).shape[:2] == (40, 60)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_images_one_pixel_thin_are_read(tmp_path, size):
    path = saved(Image.new("L", size), tmp_path / "thin.png")
    assert read_image(path).shape == (*size[::-1], 3)
    assert image_size(path) == size[::-1]


STACKS = {
    "pages": ((5, 40, 60), {}, "5 pages"),
    "planes": ((5, 40, 60), {"planarconfig": "separate", "photometric": "minisblack"}, "5"),
    "channels": (
        (40, 60, 5),
        {"planarconfig": "contig", "photometric": "minisblack"},
        "5 channels",
    ),
    "two gray": (
        (40, 60, 2),
        {"planarconfig": "contig", "photometric": "minisblack"},
        "2 channels",
    ),
    "imagej": ((3, 2, 40, 60), {"imagej": True}, "3 x 2 x 40 x 60"),
}


@pytest.mark.parametrize("kind", STACKS)
def test_a_stack_is_refused_with_what_it_holds(tmp_path, kind):
    shape, options, found = STACKS[kind]
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros(shape, dtype=np.uint16), **options)
    message = refusal(tmp_path / "stack.tif")
    assert found in message and "save" in message


def test_an_animation_is_refused(tmp_path):
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    path = saved(frames[0], tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert "2 frames" in refusal(path)


def test_a_huge_image_is_refused_by_its_header_with_the_numbers(tmp_path):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    path = tmp_path / "huge.png"
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))
    path.write_bytes(start + chunk(b"IEND", b""))
    assert "2500000000" in refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_the_pixel_limit_can_be_set(tmp_path, suffix):
    path = saved(Image.fromarray(NOISE), tmp_path / f"image{suffix}")
    assert "60 x 40 = 2400 pixels" in refusal(path, max_pixels=2399)
    assert read_image(path, max_pixels=2400).shape == (40, 60, 3)


OTHERS = {
    "nothing": (b"", "empty"),
    "text": (b"These are not pixels.", "not an image"),
    "dicom": (b"\0" * 128 + b"DICM" + b"\0" * 64, "DICOM"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_files_that_are_no_image_are_refused_with_their_kind(tmp_path, kind):
    content, reason = OTHERS[kind]
    (tmp_path / "image.png").write_bytes(content)
    assert reason in refusal(tmp_path / "image.png")


def test_a_file_or_folder_that_is_not_there_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.png")
    assert "no such file" in refusal(tmp_path)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "deep tiff":
        tifffile.imwrite(buffer, RAMP_16[:40, :60], photometric="minisblack")
    else:
        Image.fromarray(NOISE).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "deep tiff", "bmp", "webp", "gif"])
@pytest.mark.parametrize("tenths", range(10))
def test_a_truncated_image_is_refused_with_its_path(tmp_path, kind, tenths):
    content = encoded(kind)
    path = tmp_path / "cut.image"
    path.write_bytes(content[: len(content) * tenths // 10])
    assert ";" in refusal(path)  # the mend


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    kind=st.sampled_from(["jpeg", "png", "tiff", "deep tiff", "bmp", "webp", "gif"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
def test_altered_bytes_give_an_image_or_a_refusal(tmp_path, kind, changes):
    content = bytearray(encoded(kind))
    for place, value in changes:
        content[int(place * len(content))] = value
    path = tmp_path / "altered.image"
    path.write_bytes(content)
    for read in (read_image, image_size):
        try:
            read(path)
        except InputError as error:
            assert str(path) in str(error)
