"""Row 33: weights and checkpoints of which a byte was flipped or the end was cut are refused with words that tell of it, whichever command reads them."""

import random
import shutil

import pytest
from processes import train_flags

from ringsam.cli import main

CODES_OF_READERS = ("Errno", "codec", "Traceback", "Error(", "UnicodeDecodeError")


@pytest.fixture(scope="module")
def run(disc_data, sam_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("sound") / "run"
    assert main(["train", str(disc_data), *map(str, train_flags(sam_folder, out, num_epochs=1))]) == 0  # fmt: skip
    return out


def damages(content: bytes):
    """Cut at each tenth; a bit flipped in the header, the middle, the end and at random places."""
    draw, size = random.Random(0), len(content)
    yield from (content[: size * tenth // 10] for tenth in range(10))
    for place in (0, 8, 20, size // 2, size - 1, *(draw.randrange(size) for _ in range(10))):
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        yield bytes(flipped)


def refused(command, said, capsys) -> None:
    assert main([str(part) for part in command]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert not any(code in err for code in CODES_OF_READERS), err


def test_damaged_weights_of_a_run_are_refused_by_their_digest(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    weights = copy / "adapted" / "model.safetensors"
    for content in damages(weights.read_bytes()):
        weights.write_bytes(content)
        command = ("export", copy, "--to", "hf", "--out", tmp_path / "out")
        refused(command, "sha256 differs", capsys)
    assert not (tmp_path / "out").exists()


def test_damaged_originals_are_refused_by_resume(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    weights = copy / "original" / "model.safetensors"
    for content in list(damages(weights.read_bytes()))[5:14]:
        weights.write_bytes(content)
        refused(("resume", copy), "sha256 differs", capsys)


def test_damaged_checkpoints_are_skipped_with_the_reason(run, tmp_path, capsys):
    """There is no other: the run begins anew and says why."""
    copy = shutil.copytree(run, tmp_path / "run")
    newest = copy / "checkpoints" / "epoch=0000.ckpt"
    content = newest.read_bytes()
    for damaged in (content[:-1], content[:100], b"", content[:50] + b"\x00" + content[51:]):
        newest.write_bytes(damaged)
        assert main(["resume", str(copy)]) == 0
        said = capsys.readouterr().out
        assert "skipped: " in said and "(sha256 differs)" in said
        assert "from the start: no checkpoint was finished" in said
