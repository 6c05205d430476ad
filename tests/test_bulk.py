"""Masks of a whole data set in files."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from ringsam.bulk import predict_files
from ringsam.errors import InputError


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
