"""Masks of a whole data set in files."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from ringsam.bulk import predict_files, work
from ringsam.cli import main
from ringsam.data import records
from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image
from ringsam.errors import InputError
from ringsam.predict import Predictor, load

ALL = ("coco", "png", "labels", "yolo", "geojson")


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


def test_refined_masks_are_written_where_they_are_asked_for(disc_data, sam_folder, tmp_path):
    images, boxes, out = disc_data / "images", disc_data / "two_boxes.json", tmp_path / "masks"
    asked = [str(images), "--boxes", str(boxes), "--out", str(out), "--refine", "both_boxes"]
    assert main(["predict", str(sam_folder), *asked]) == 0
    record = read_two_boxes(boxes).images[2]
    expected = (
        load(sam_folder)
        .predict(read_image(record.path), record.big_boxes, record.small_boxes, refine="both_boxes")
        .masks
    )
    for object_id, mask in zip(record.object_ids, expected, strict=True):
        png = np.asarray(Image.open(out / "png" / record.file_name / f"{object_id}.png"))
        np.testing.assert_array_equal(png > 0, mask.numpy())


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


def predict(disc_data, sam_folder, out, **settings):
    boxes = disc_data / "two_boxes.json"
    return predict_files(sam_folder, disc_data / "images", boxes, out, **settings)


@pytest.mark.parametrize("error", [InputError("5.png: is cut"), OSError(28, "No space left")])
def test_a_failure_loses_no_finished_shard(disc_data, sam_folder, tmp_path, monkeypatch, error):
    def fail_at_the_fifth(path):
        if path.name == "4.png":
            raise error
        return read_image(path)

    with monkeypatch.context() as patch:
        patch.setattr(records, "read_image", fail_at_the_fifth)
        with pytest.raises(InputError, match=r"is cut|masks: cannot be written: No space left"):
            predict(disc_data, sam_folder, tmp_path / "masks", shard_size=2, formats=ALL)
    assert not (tmp_path / "masks").exists()

    asked = []
    monkeypatch.setattr(
        records, "read_image", lambda path: asked.append(path.name) or read_image(path)
    )
    assert "18 masks" in predict(
        disc_data, sam_folder, tmp_path / "masks", shard_size=2, formats=ALL
    )
    assert asked == ["4.png", "5.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    predict(disc_data, sam_folder, tmp_path / "whole", formats=ALL)
    assert_same_files(tmp_path / "masks", tmp_path / "whole")


def assert_same_files(found, expected) -> None:
    names = sorted(path.relative_to(expected) for path in expected.rglob("*"))
    assert sorted(path.relative_to(found) for path in found.rglob("*")) == names
    for name in names:
        if (expected / name).is_file():
            assert (found / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.parametrize("other", [{"prompts": "box+core"}, {"refine": "big_box"}])
def test_other_prompts_or_refinements_do_not_go_on_from_what_was_done(
    disc_data, sam_folder, tmp_path, monkeypatch, other
):
    def fail_at_the_fifth(path):
        if path.name == "4.png":
            raise InputError("4.png: is cut")
        return read_image(path)

    with monkeypatch.context() as patch:
        patch.setattr(records, "read_image", fail_at_the_fifth)
        with pytest.raises(InputError):
            predict(disc_data, sam_folder, tmp_path / "masks", shard_size=2)
    asked = []
    monkeypatch.setattr(
        records, "read_image", lambda path: asked.append(path.name) or read_image(path)
    )
    predict(disc_data, sam_folder, tmp_path / "masks", shard_size=2, **other)
    assert len(asked) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


def test_ranks_share_the_shards_and_the_last_puts_them_together(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    predict(disc_data, sam_folder, tmp_path / "whole", formats=ALL)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank, expected in ((2, "rank 2 of 3"), (0, "rank 0 of 3"), (1, "18 masks on 6 images")):
        monkeypatch.setenv("RANK", str(rank))
        said = predict(disc_data, sam_folder, tmp_path / "masks", shard_size=1, formats=ALL)
        assert expected in said
    assert_same_files(tmp_path / "masks", tmp_path / "whole")


@pytest.mark.slow
def test_a_prediction_killed_again_and_again_is_whole_in_the_end(disc_data, sam_folder, tmp_path):
    predict(disc_data, sam_folder, tmp_path / "whole")
    folder, out = disc_data, tmp_path / "masks"
    program = (
        "import os, sys; from pathlib import Path; from ringsam.data import records; from ringsam.bulk import predict_files\n"
        "read, left = records.read_image, [2]\n"
        "def dying(path):\n"
        "    left[0] -= 1\n"
        "    if left[0] < 0: os.kill(os.getpid(), 9)\n"
        "    return read(path)\n"
        "records.read_image = dying\n"
        f"predict_files({str(sam_folder)!r}, Path({str(folder / 'images')!r}), Path({str(folder / 'two_boxes.json')!r}),"
        f" Path({str(out)!r}), shard_size=1)"
    )
    deaths = 0
    while not out.exists():
        assert subprocess.run([sys.executable, "-c", program]).returncode in (0, -9)
        deaths += 1
    assert deaths == 3
    assert_same_files(out, tmp_path / "whole")


def test_an_empty_folder_is_filled_and_nothing_lies_beside_it(disc_data, sam_folder, tmp_path):
    (tmp_path / "masks").mkdir()
    predict(disc_data, sam_folder, tmp_path / "masks")
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["masks.json", "png"]


def test_a_place_below_a_file_is_refused(disc_data, sam_folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file/masks: cannot be written"):
        predict(disc_data, sam_folder, tmp_path / "file" / "masks")


def test_big_boxes_alone_do_where_nothing_else_is_asked_with(disc_data, sam_folder, tmp_path):
    content = json.loads((disc_data / "two_boxes.json").read_text())
    for row in content["annotations"][::2]:
        del row["small_box"]
    boxes = tmp_path / "big.json"
    boxes.write_text(json.dumps(content))
    images, whole = disc_data / "images", disc_data / "two_boxes.json"
    for number, more in enumerate(({}, {"refine": "big_box"})):
        alone, both = tmp_path / f"alone{number}", tmp_path / f"both{number}"
        assert "18 masks" in predict_files(sam_folder, images, boxes, alone, **more)
        predict_files(sam_folder, images, whole, both, **more)
        assert_same_files(alone, both)
    for more in ({"prompts": "box+core"}, {"refine": "both_boxes"}):
        with pytest.raises(InputError, match="has a big_box but no small_box"):
            predict_files(sam_folder, images, boxes, tmp_path / "none", **more)
    with pytest.raises(InputError, match="has a big_box but no small_box"):
        read_two_boxes(boxes, images_in=images)
    content["annotations"][0]["big_box"] = [5, 5, 5.01, 9]
    boxes.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"annotation 1: big_box .* is thinner"):
        predict_files(sam_folder, images, boxes, tmp_path / "none")


def test_a_figure_that_is_not_finite_is_null(disc_data, sam_folder, tmp_path, monkeypatch):
    def without_scores(*args, **kwargs):
        for part in ask(*args, **kwargs):
            yield part._replace(iou=part.iou * float("nan"))

    ask = Predictor.predict_in_parts
    monkeypatch.setattr(Predictor, "predict_in_parts", without_scores)
    predict(disc_data, sam_folder, tmp_path / "masks")
    rows = json.loads((tmp_path / "masks" / "masks.json").read_text())["annotations"]
    assert len(rows) == 18 and all(row["score"] is None for row in rows)


def test_an_image_that_changed_its_size_is_named(disc_data, sam_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "read_image", lambda path: read_image(path)[:-1])
    with pytest.raises(InputError, match=r"0\.png: changed while it was used"):
        predict(disc_data, sam_folder, tmp_path / "masks")


def test_a_prediction_killed_as_it_tidies_up_is_done_by_its_own_command(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            predict(disc_data, sam_folder, tmp_path / "masks", formats=ALL)
    assert len(list(tmp_path.iterdir())) > 1
    assert "18 masks" in predict(disc_data, sam_folder, tmp_path / "masks", formats=ALL)
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    predict(disc_data, sam_folder, tmp_path / "whole", formats=ALL)
    assert_same_files(tmp_path / "masks", tmp_path / "whole")
    with pytest.raises(InputError, match="not an empty folder"):
        predict(disc_data, sam_folder, tmp_path / "masks", formats=ALL)


@pytest.mark.parametrize(
    ("name", "other"),
    [("masks", ".masks.best.{}.unfinished"), ("masks[1]", ".masks1.{}.unfinished")],
)
def test_what_is_unfinished_of_other_places_stays(disc_data, sam_folder, tmp_path, name, other):
    theirs = tmp_path / other.format("0123456789abcdef")
    ours = tmp_path / f".{name}.0123456789abcdef.unfinished"
    for folder in (theirs, ours):
        folder.mkdir()
    predict(disc_data, sam_folder, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([theirs.name, name])
