"""Row 38: an --out that cannot be written is exit code 2 before the model is loaded: read-only, a file, too long."""

import os
import tempfile
from pathlib import Path

import pytest

import ringsam.training.run
from ringsam.cli import main


@pytest.fixture
def no_model(monkeypatch):
    """Loading weights fails the test."""

    def loaded(*_, **__):
        raise AssertionError("the model was loaded first")

    monkeypatch.setattr(ringsam.training.run, "load_sam", loaded)


@pytest.fixture
def read_only(monkeypatch):
    """A folder in which this process may not write: root becomes nobody for as long."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)
            Path(name).chmod(0o755)


def refused(data: Path, out: Path, capsys) -> str:
    assert main(["train", str(data), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ringsam train: {out}: ") and "give another --out" in said
    return said


def test_a_read_only_folder_is_told(disc_data, read_only, capsys, no_model):
    assert "Permission denied" in refused(disc_data, read_only / "run", capsys)
    assert list(read_only.iterdir()) == []


def test_a_file_in_the_way_is_told(disc_data, tmp_path, capsys, no_model):
    (tmp_path / "mine").write_text("keep me")
    assert "is a file" in refused(disc_data, tmp_path / "mine", capsys)
    assert "Not a directory" in refused(disc_data, tmp_path / "mine" / "run", capsys)
    assert (tmp_path / "mine").read_text() == "keep me"


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["folder"] * 700)])
def test_a_path_that_is_too_long_is_told(disc_data, tmp_path, capsys, no_model, name):
    assert "File name too long" in refused(disc_data, tmp_path / name, capsys)
    assert list(tmp_path.iterdir()) == []
