"""The size of a PNG from its first bytes, where nothing in it needs a decoder's judgement: of a million files it is most of the time."""

import os
import zlib
from pathlib import Path

_BEGINNING = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_HEADER_END = 33  # signature, and the header's length, name, 13 bytes and checksum
_PLAIN = {b"\x08\0", b"\x08\2", b"\x08\4", b"\x08\6", b"\x10\0"}  # bits and kind of colour
_HARMLESS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}  # bytes of chunks that turn nothing
_HEAD_BYTES, _TAIL_BYTES = 1 << 12, 1 << 16


def plain_png_size(path: Path, *, max_pixels: int) -> tuple[int, int] | None:
    """(height, width); None for what is no PNG, or one to be judged by a decoder: damaged, large, rare, or with EXIF."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        head = os.read(file, _HEAD_BYTES)
        if not head.startswith(_BEGINNING):
            return None
        size = os.fstat(file).st_size
        os.lseek(file, max(0, size - _TAIL_BYTES), os.SEEK_SET)
        tail = head if size <= len(head) else os.read(file, _TAIL_BYTES)
    except OSError:
        return None
    finally:
        os.close(file)
    if b"eXIf" in tail or not _whole(head) or not _pixels_follow(head):
        return None
    width, height = (int.from_bytes(head[start : start + 4], "big") for start in (16, 20))
    return (height, width) if 0 < height * width <= max_pixels else None


def _whole(head: bytes) -> bool:
    """Whether the header is one of the common kinds, its checksum right."""
    checksum = int.from_bytes(head[29:_HEADER_END], "big")
    return head[24:26] in _PLAIN and head[26:28] == b"\0\0" and zlib.crc32(head[12:29]) == checksum


def _pixels_follow(head: bytes) -> bool:
    """Whether nothing but harmless chunks lies between header and pixels."""
    at = _HEADER_END
    while (name := head[at + 4 : at + 8]) != b"IDAT":
        length = int.from_bytes(head[at : at + 4], "big")
        checksum = head[at + 8 + length : at + 12 + length]
        if _HARMLESS.get(name) != length or len(checksum) < 4:
            return False
        if zlib.crc32(head[at + 4 : at + 8 + length]) != int.from_bytes(checksum, "big"):
            return False
        at += 12 + length
    return True
