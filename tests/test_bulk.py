"""Masks of a whole data set in files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from ringsam.bulk import predict_files
from ringsam.data import records
from ringsam.data.images import read_image
from ringsam.errors import InputError
from ringsam.predict import Predictor


def test_every_box_gets_a_mask_as_rle_and_as_png(disc_data, sam_folder, tmp_path):
    out = tmp_path / "masks"
    said = predict_files(sam_folder, disc_data / "images", disc_data / "two_boxes.json", out)
    assert "18 masks on 6 images" in said
    content = json.loads((out / "masks.json").read_text())
    assert [row["id"] for row in content["annotations"]] == list(range(1, 19))
    assert len(content["images"]) == 6
    for row in content["annotations"]:
        name = content["images"][row["image_id"] - 1]["file_name"]
        png = np.asarray(Image.open(out / "png" / name / f"{row['id']}.png"))
        rle = {**row["segmentation"], "counts": row["segmentation"]["counts"].encode()}
        again = coco_mask.encode(np.asfortranarray(png, dtype=np.uint8))
        assert again == rle
        assert row["area"] == png.sum()
        assert 0 <= row["entropy"] <= 0.6932


def test_a_folder_that_holds_anything_is_left_alone(disc_data, sam_folder, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="not an empty folder"):
        predict_files(sam_folder, disc_data / "images", disc_data / "two_boxes.json", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_images_are_taken_from_the_folder_given(disc_data, sam_folder, tmp_path):
    boxes = tmp_path / "boxes.json"
    boxes.write_text((disc_data / "two_boxes.json").read_text())
    said = predict_files(sam_folder, disc_data / "images", boxes, tmp_path / "masks")
    assert "18 masks" in said


def predict(disc_data, sam_folder, out):
    return predict_files(sam_folder, disc_data / "images", disc_data / "two_boxes.json", out)


@pytest.mark.parametrize("error", [InputError("5.png: is cut"), OSError(28, "No space left")])
def test_a_failure_leaves_nothing_behind(disc_data, sam_folder, tmp_path, monkeypatch, error):
    def fail_at_the_fifth(path):
        if path.name == "4.png":
            raise error
        return read_image(path)

    with monkeypatch.context() as patch:
        patch.setattr(records, "read_image", fail_at_the_fifth)
        with pytest.raises(InputError, match=r"is cut|masks: cannot be written: No space left"):
            predict(disc_data, sam_folder, tmp_path / "masks")
    assert list(tmp_path.iterdir()) == []
    assert "18 masks" in predict(disc_data, sam_folder, tmp_path / "masks")


def test_an_empty_folder_is_filled_and_nothing_lies_beside_it(disc_data, sam_folder, tmp_path):
    (tmp_path / "masks").mkdir()
    predict(disc_data, sam_folder, tmp_path / "masks")
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["masks.json", "png"]


def test_a_place_below_a_file_is_refused(disc_data, sam_folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file/masks: cannot be written"):
        predict(disc_data, sam_folder, tmp_path / "file" / "masks")


def test_a_figure_that_is_not_finite_is_null(disc_data, sam_folder, tmp_path, monkeypatch):
    def without_scores(*args, **kwargs):
        prediction = ask(*args, **kwargs)
        return replace(prediction, iou=prediction.iou * float("nan"))

    ask = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", without_scores)
    predict(disc_data, sam_folder, tmp_path / "masks")
    rows = json.loads((tmp_path / "masks" / "masks.json").read_text())["annotations"]
    assert all(row["score"] is None for row in rows)


def test_an_image_that_changed_its_size_is_named(disc_data, sam_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "read_image", lambda path: read_image(path)[:-1])
    with pytest.raises(InputError, match=r"0\.png: changed while it was used"):
        predict(disc_data, sam_folder, tmp_path / "masks")
