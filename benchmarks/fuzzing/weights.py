"""Weights and checkpoints, whose headers may declare anything, and whose pickles may ask for anything."""

import hashlib
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from transformers.initialization import no_init_weights

from benchmarks.fuzzing.parser import Parser, function
from benchmarks.fuzzing.slips import altered_bytes, altered_json
from benchmarks.models import tiny_sam
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam, save_folder, save_meta
from ringsam.training.checkpoint import read_checkpoint


@cache
def sound() -> dict[str, bytes]:
    """The files of a tiny SAM, and a checkpoint, by name."""
    sam = Sam(tiny_sam(image_size=16))
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_folder(sam, folder)
        save_meta(sam, folder / "sam.pth")
        state = {
            "sam_image_encoder": {"a": torch.ones(3, 4)},
            "epoch": 1,
            "optimizer_states": [{"state": {0: torch.ones(2)}}],
        }
        torch.save(state, folder / "epoch=0001.ckpt")
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@st.composite
def altered_safetensors(draw: DrawFn) -> bytes:
    """The header says other things of the same bytes; its length is right, or the whole file is altered."""
    content = sound()["model.safetensors"]
    if draw(st.integers(0, 3)) == 0:
        return draw(altered_bytes([content]))
    (length,) = struct.unpack("<Q", content[:8])
    header = draw(altered_json([content[8 : 8 + length]]))
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


@st.composite
def altered_zip(draw: DrawFn, name: str) -> bytes:
    """The pickle, or another member, is altered and the archive's checksums are right; or the archive itself is altered."""
    content = sound()[name]
    if draw(st.integers(0, 3)) == 0:
        return draw(altered_bytes([content]))
    members = unpacked(name)
    victim = pickled(name) if draw(st.integers(0, 9)) else draw(st.sampled_from(sorted(members)))
    return packed(members | {victim: draw(altered_bytes([members[victim]]))})


def unpacked(name: str) -> dict[str, bytes]:
    """The members of a sound archive."""
    with zipfile.ZipFile(io.BytesIO(sound()[name])) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def pickled(name: str) -> str:
    """Which member of it is the pickle."""
    return next(member for member in unpacked(name) if member.endswith("data.pkl"))


def packed(members: Mapping[str, bytes]) -> bytes:
    """An archive whose checksums are right."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return file.getvalue()


def beside(*names: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        for name in names:
            (folder / name).write_bytes(sound()[name])

    return prepare


def read_signed(path: Path) -> None:
    """A checkpoint whose maker wrote a fitting sha256 beside it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
    read_checkpoint(path)


def folder_of(path: Path) -> Sam:
    with no_init_weights():  # values that the file's are written over, a third of the time
        return load_sam(path.parent)


PARSERS = (
    Parser(
        "safetensors",
        "model.safetensors",
        altered_safetensors(),
        function(folder_of),
        beside("config.json"),
    ),
    Parser(
        "config.json",
        "config.json",
        st.deferred(lambda: altered_json([sound()["config.json"]])),
        function(folder_of),
        beside("model.safetensors"),
    ),
    Parser(".pth", "sam.pth", altered_zip("sam.pth"), function(load_sam), beside()),
    Parser(
        ".ckpt", "epoch=0001.ckpt", altered_zip("epoch=0001.ckpt"), function(read_signed), beside()
    ),
)
