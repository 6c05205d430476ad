"""Row 1: a cut or corrupt image is listed with path and reason; training stops with exit code 2, or skips it, told and counted; no other label shifts."""

import io
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ringsam.cli import main
from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image
from ringsam.data.usable import read_usable
from ringsam.errors import InputError


def encoded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_image_cut_at_every_tenth_is_refused_by_its_path(tmp_path, kind):
    whole, path = encoded(kind), tmp_path / "image"
    for tenths in range(10):
        path.write_bytes(whole[: len(whole) * tenths // 10])
        with pytest.raises(InputError, match=str(path)):
            read_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_altered_bytes_give_pixels_or_a_refusal(tmp_path_factory, kind, place, value):
    content = bytearray(encoded(kind))
    content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "altered"
    path.write_bytes(content)
    try:
        assert read_image(path).shape[2] == 3
    except InputError as error:
        assert str(path) in str(error)


@pytest.fixture
def data(disc_data, tmp_path):
    """Six images, of which the third is cut and the fifth is no image."""
    shutil.copytree(disc_data, tmp_path / "data")
    cut, other = (tmp_path / "data" / "images" / f"{i}.png" for i in (2, 4))
    cut.write_bytes(cut.read_bytes()[:900])
    other.write_text("not an image")
    return tmp_path / "data"


def test_check_doctor_and_train_list_them_and_stop(data, sam_folder, tmp_path, capsys):
    weights = ("--weights", str(sam_folder))
    for command in (
        ["check", str(data)],
        ["doctor", str(data), *weights],
        ["train", str(data), *weights, "--out", str(tmp_path / "run")],
    ):
        assert main(command) == 2
        said = "".join(capsys.readouterr())
        assert "2.png: image 3: the image cannot be read" in said
        assert "4.png: image 5: not an image of a known kind" in said
    assert not (tmp_path / "run").exists()


def test_skipped_they_are_told_and_counted_and_every_other_label_stays(data, disc_data, capsys):
    usable = read_usable(data, "skip")
    said = capsys.readouterr().out
    assert said.startswith("2 images cannot be read and are left out with their objects:")
    assert "2.png" in said and "4.png" in said
    whole = {record.file_name: record for record in read_two_boxes(disc_data).images}
    assert [record.file_name for record in usable.images] == ["0.png", "1.png", "3.png", "5.png"]
    for record in usable.images:
        same = whole[record.file_name]
        assert (record.object_ids == same.object_ids).all()
        assert (record.big_boxes == same.big_boxes).all()


def test_training_goes_on_without_them(data, sam_folder, tmp_path, capsys):
    flags = ["--weights", str(sam_folder), "--epochs", "1", "--data.on_bad", "skip"]
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *flags]) == 0
    said = capsys.readouterr().out
    assert "2 images cannot be read" in said and "3 images and 1 held out" in said
    assert main(["resume", str(tmp_path / "run")]) == 0


def test_a_bad_row_is_no_bad_image(data):
    labels = data / "two_boxes.json"
    labels.write_text(labels.read_text().replace('"image_id": 1,', '"image_id": 99,', 1))
    with pytest.raises(InputError, match="no image has the id 99"):
        read_usable(data, "skip")
