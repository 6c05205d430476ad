"""Inputs made to hurt: two hundred for each parser, and every one that ever hurt. `benchmarks.fuzz` throws ten thousand."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from unittest import mock

import pytest
import torch

from benchmarks.fuzz import PARSERS, Tally, attempt, fuzz
from benchmarks.fuzzing.labels import TWO_BOXES
from benchmarks.fuzzing.weights import sound

pytestmark = pytest.mark.filterwarnings("default")  # what a decoder warns of is no traceback

YAML_BOMB = "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\n"
NINES = "9" * 4300
HUGE_RUNS = TWO_BOXES.decode().replace("[410,", f"[{NINES}, {NINES},")
FOUND = {
    "a number of a recipe in more digits than Python reads": ("recipe", "seed: " + "9" * 5000),
    "a number of a recipe in more digits than Python writes": ("recipe", "seed: 0x" + "f" * 9000),
    "a date of a recipe that no calendar has": ("recipe", "seed: 2001-99-99"),
    "a recipe of many levels": ("recipe", "- " * 20_000),
    "aliases that fill the memory": ("recipe", YAML_BOMB),
    "a row of many levels": ("two boxes", '{"images": [' + "[" * 20_000),
    "a number of more digits than Python reads": ("two boxes", f'{{"images": [{NINES}9'),
    "run lengths of more digits than Python writes": ("two boxes", HUGE_RUNS),
    "class names of many levels": ("YOLO names", "names: " + "[" * 20_000),
    "class names behind the tag of a date": ("YOLO names", "!!timestamp 2001-99-99names: [a]"),
    "a setting behind the tag of a truth": ("recipe", "seed: !!bool maybe"),
    "a class name of many hyphens": ("YOLO names", f"names: [a{'- ' * 20_000}b]"),
}


def test_a_config_that_declares_gigantic_weights_is_refused_before_they_are_made(tmp_path):
    for place, value in (("mlp_dim", 10**7), ("num_hidden_layers", 3000), ("image_size", 1 << 16)):
        values = json.loads(sound()["config.json"])
        values["vision_config"][place] = value
        folder = tmp_path / place
        folder.mkdir()
        tally = tried("config.json", json.dumps(values).encode(), folder)
        assert tally.refused == 1 and tally.slowest < 3, place


@pytest.mark.parametrize("shape", [(1, 2, 2, 10**5), (0, 2, 2, 10**5)])
def test_a_pth_whose_weights_declare_more_than_they_hold_is_refused(tmp_path, shape):
    state = torch.load(io.BytesIO(sound()["sam.pth"]))
    state["image_encoder.pos_embed"] = (
        torch.zeros(1).expand(shape) if shape[0] else torch.zeros(shape)
    )
    file = io.BytesIO()
    torch.save(state, file)
    tally = tried(".pth", file.getvalue(), tmp_path)
    assert tally.refused == 1 and tally.slowest < 3


def test_a_tiff_whose_second_page_follows_itself_is_refused(tmp_path):
    header, last_of_page_one = b"II*\0" + struct.pack("<I", 8), struct.pack("<HI", 0, 14)
    tally = tried("TIFF", header + last_of_page_one + struct.pack("<HI", 0, 14), tmp_path)
    assert tally.refused == 1, tally.found.keys()


@pytest.mark.parametrize("parser", [".pth", ".ckpt"])
def test_an_archive_that_unpacks_to_gigabytes_is_refused_unread(tmp_path, parser):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 24))
    with mock.patch.object(zipfile.ZipFile, "open", side_effect=AssertionError("was unpacked")):
        tally = tried(parser, file.getvalue(), tmp_path)
    assert tally.refused == 1, tally.found.keys()


@pytest.mark.parametrize("opcode", [b"0", b"\x8c\x02\xff\xfe", b"s", b"h\x09"])
def test_a_checkpoint_whose_pickle_is_broken_is_refused(tmp_path, opcode):
    """Signed by its maker, so that only the reader stands in the way."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {"data.pkl": b"\x80\x02" + opcode, "version": b"3\n"}.items():
            archive.writestr(f"archive/{name}", content)
    tally = tried(".ckpt", file.getvalue(), tmp_path)
    assert tally.refused == 1, tally.found.keys()


@pytest.mark.parametrize("old_format", [False, True])
def test_a_pth_that_names_a_function_in_a_hundred_thousand_letters_is_refused_at_once(
    tmp_path, old_format
):
    pickled, file = b"\x80\x02c" + b"a" * 100_000 + b"\nb\n.", io.BytesIO()
    if old_format:
        for before in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            file.write(pickle.dumps(before, protocol=2))
        file.write(pickled)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in {"data.pkl": pickled, "version": b"3\n"}.items():
                archive.writestr(f"archive/{name}", content)
    tally = tried(".pth", file.getvalue(), tmp_path)
    assert tally.refused == 1 and tally.slowest < 1, tally.found.keys()


def tried(parser: str, content: bytes, folder: Path) -> Tally:
    tally = Tally()
    PARSERS[parser].prepare(folder)
    attempt(PARSERS[parser], content, folder, tally)
    return tally


@pytest.mark.parametrize("what", FOUND)
def test_what_once_hurt_is_refused_in_words(tmp_path, what):
    parser, text = FOUND[what]
    tally = tried(parser, text if isinstance(text, bytes) else text.encode(), tmp_path)
    assert tally.refused == 1, tally.found.keys()


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS)
def test_two_hundred_altered_files_give_no_traceback_and_no_hang(parser):
    tally = fuzz(parser, 200)
    assert (tally.tracebacks, tally.hangs, tally.blow_ups) == (0, 0, 0), tally.found.keys()
    assert tally.refused + tally.accepted >= 200 and tally.refused
