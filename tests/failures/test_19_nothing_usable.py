"""Row 19: where nothing is left to learn from, training is exit code 2 with the reasons and writes nothing; images without objects are skipped and counted."""

import json
import shutil

import pytest
from processes import train_flags

from ringsam.cli import main


@pytest.fixture
def data(disc_data, tmp_path):
    return shutil.copytree(disc_data, tmp_path / "data")


def rewrite(data, change) -> None:
    path = data / "two_boxes.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def train(data, sam, out, *more: str) -> int:
    return main(["train", str(data), *map(str, train_flags(sam, out, num_epochs=1)), *more])


def refused(data, sam, capsys, *more: str) -> str:
    out = data.parent / "run"
    assert train(data, sam, out, *more) == 2
    assert not out.exists()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_a_file_without_objects_is_refused(data, sam_folder, capsys):
    rewrite(data, lambda content: content.update(annotations=[]))
    said = refused(data, sam_folder, capsys)
    assert "0 usable objects" in said and "the file has no annotations" in said


def test_a_file_without_anything_is_refused(data, sam_folder, capsys):
    rewrite(data, lambda content: content.update(annotations=[], images=[]))
    assert "0 usable objects" in refused(data, sam_folder, capsys)


def test_a_file_whose_every_row_is_bad_is_refused_with_the_rows(data, sam_folder, capsys):
    def lose_the_small_boxes(content) -> None:
        for row in content["annotations"]:
            del row["small_box"]

    rewrite(data, lose_the_small_boxes)
    said = refused(data, sam_folder, capsys)
    assert said.count("has a big_box but no small_box") == 18
    assert "0 usable objects of 18: 18 errors" in said


def test_images_that_are_all_skipped_leave_nothing(data, sam_folder, capsys):
    for path in (data / "images").iterdir():
        path.write_bytes(b"cut")
    said = refused(data, sam_folder, capsys, "--data.on_bad", "skip")
    assert "0 usable" in said or "nothing is left" in said


def test_images_without_objects_are_skipped_and_counted(data, sam_folder, tmp_path, capsys):
    def keep_one_image(content) -> None:
        content["annotations"] = [row for row in content["annotations"] if row["image_id"] == 2]

    rewrite(data, keep_one_image)
    assert train(data, sam_folder, tmp_path / "run") == 0
    said = capsys.readouterr().out
    assert "1 images, 3 objects (5 images without objects skipped)" in said
