"""Row 7: a huge image is refused by its header, before a pixel is decoded, with the numbers and the hint to cut tiles."""

import struct
import time
import zlib

import pytest

from ringsam.cli import main
from ringsam.data.images import read_image
from ringsam.errors import InputError


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def huge_png(side: int = 50_000) -> bytes:
    """A hundred bytes that say they are 50,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_a_small_file_that_says_it_is_huge_is_refused_at_once(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(huge_png())
    began = time.monotonic()
    with pytest.raises(InputError, match=r"2500000000 pixels.*cut the image into tiles"):
        read_image(path)
    assert time.monotonic() - began < 2


def test_check_names_it_with_exit_code_2(make_data, capsys):
    folder = make_data()
    (folder / "images" / "a.png").write_bytes(huge_png())
    assert main(["check", str(folder)]) == 2
    assert "a.png: image 1: " in (said := capsys.readouterr().out) and "tiles" in said
