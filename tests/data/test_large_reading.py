"""What makes the first reading of very many rows and images fast gives what the slow way gives."""

import io
import json
from collections import Counter

import pytest
from PIL import Image, PngImagePlugin

from ringsam.data import json_rows, png_header
from ringsam.data.images import MAX_PIXELS, image_size
from ringsam.data.json_rows import read_members
from ringsam.data.png_header import plain_png_size
from ringsam.errors import InputError

RLE = {"size": [4, 4], "counts": "1}, {2"}
ROWS = [
    {"id": i, "box": [0.5 * i, -1e-3, 7], "name": "}, {\n é", **extra}
    for i in range(40)
    for extra in ({}, {"segmentation": RLE}, {"parts": [{"a": 1}, {"a": {"b": []}}]})
]


def everything(path) -> tuple:
    slips: Counter[str] = Counter()
    try:
        lists = [
            (key, value if isinstance(value, str | dict) else list(value))
            for key, value in read_members(path, slips)
        ]
    except InputError as error:
        return str(error), slips
    return repr(lists), slips  # nan is not nan


TEXTS = {
    "rows": json.dumps({"images": ROWS, "info": {"a": 1}, "annotations": ROWS[::-1], "last": []}),
    "on lines": json.dumps({"images": ROWS, "annotations": ROWS}, indent=1),
    "no rows": '{"images": [1, "}, {", [], {}, {"a": 2} ]}',
    "slips": '{"images": [{"id": 1, "id": 2}, {"a": NaN}, {"id": 3}, {"id": 4}]}',
    "broken": json.dumps({"images": ROWS}).replace('"id": 17,', '"id" 17,'),
    "cut": json.dumps({"images": ROWS})[:-40],
    "no comma": '{"images": [{"id": 1}, {"id": 2} {"id": 3}, {"id": 4}]}',
    "closed": '{"images": [{"id": 1}, {"id": 2}]], "annotations": [{"id": 3}, {"id": 4}]}',
}


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
@pytest.mark.parametrize("text", TEXTS)
def test_rows_read_many_at_once_are_those_read_one_by_one(text, block_bytes, tmp_path, monkeypatch):
    path = tmp_path / "two_boxes.json"
    path.write_text(TEXTS[text], encoding="utf-8")
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", block_bytes)
    with monkeypatch.context() as patch:
        patch.setattr(json_rows, "_ROWS_AT_ONCE", 0)
        expected = everything(path)
    for at_once in (100, 700, 1 << 16):
        monkeypatch.setattr(json_rows, "_ROWS_AT_ONCE", at_once)
        assert everything(path) == expected


def png(mode: str = "RGB", **options) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (30, 20)).save(file, "PNG", **options)
    return file.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def note() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "x")
    return text


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("options", [{}, {"dpi": (72, 72)}])
def test_the_size_of_a_plain_png_needs_no_decoder(mode, options, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png(mode, **options))
    assert plain_png_size(path, max_pixels=600) == (20, 30)
    assert plain_png_size(path, max_pixels=599) is None
    monkeypatch.setattr("ringsam.data.images.plain_png_size", lambda *_, **__: None)
    assert image_size(path) == (20, 30)


# Behind the pixels: after the last chunk of a file of 64 KiB, the checksum of its end.
LATE = png()[:-12] + b"\0\0\0\4eXIf" + b"MM\0*" + b"\0\0\0\0" + png()[-12:]
REFERRED = {
    "EXIF before the pixels": png(exif=turned()),
    "EXIF behind the pixels": LATE,
    "a text that may be EXIF": png(pnginfo=note()),
    "a palette": png("P"),
    "another checksum": png()[:29] + b"\0\0\0\0" + png()[33:],
    "a broken chunk": png(dpi=(72, 72)).replace(b"pHYs\0", b"pHYs\1"),
    "another filter": png()[:27] + b"\1" + png()[28:],
    "cut in the header": png()[:30],
    "cut before the pixels": png()[:33],
    "no PNG": b"GIF89a" + png(),
    "nothing": b"",
}


@pytest.mark.parametrize("case", REFERRED)
def test_what_is_no_plain_png_is_left_to_the_decoder(case, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(REFERRED[case])
    assert plain_png_size(path, max_pixels=MAX_PIXELS) is None


def test_exif_far_behind_the_header_is_seen(tmp_path):
    path = tmp_path / "a.png"
    padding = b"\0" * (3 * png_header._HEAD_BYTES)
    path.write_bytes(LATE[:-24] + padding + LATE[-24:])
    assert plain_png_size(path, max_pixels=MAX_PIXELS) is None
    path.write_bytes(LATE[:-24] + padding + png()[-12:])
    assert plain_png_size(path, max_pixels=MAX_PIXELS) == (20, 30)


def test_what_is_no_file_is_left_to_the_decoder(tmp_path):
    for path in (tmp_path, tmp_path / "absent.png", tmp_path / "a\0b"):
        assert plain_png_size(path, max_pixels=MAX_PIXELS) is None
