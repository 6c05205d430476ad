"""Every format of a prediction, read back and compared with the masks it was made from."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml
from filled_outlines import filled, iou
from PIL import Image

from ringsam.bulk import formats as bulk_formats
from ringsam.bulk import predict_files
from ringsam.bulk.formats import Classes, Found, refuse_unwritable, write_label_map, write_yolo
from ringsam.cli import main
from ringsam.data.dataset import read_two_boxes
from ringsam.data.formats import import_labels
from ringsam.data.masks import decode_mask, encode_mask
from ringsam.data.records import ImageRecords
from ringsam.errors import InputError
from ringsam.predict import Predictor

ALL = ("coco", "png", "labels", "yolo", "geojson")
SIDE = 64


@pytest.fixture(scope="module")
def data(disc_data, tmp_path_factory):
    """The discs in two folders, with the same names in both, and two classes."""
    folder = tmp_path_factory.mktemp("twice")
    content = json.loads((disc_data / "two_boxes.json").read_text())
    for row in content["images"]:
        name, half = row["file_name"], "ab"[row["id"] > 3]
        row["file_name"] = f"{half}/{(row['id'] - 1) % 3}.png"
        place = folder / "images" / row["file_name"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(disc_data / "images" / name, place)
    for row in content["annotations"]:
        row["category_id"] = 7 if row["id"] % 2 else 3
    content["categories"] = [{"id": 7, "name": "disc"}, {"id": 3, "name": "=ring, é"}]
    (folder / "two_boxes.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def written(data, sam_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "masks"
    said = predict_files(sam_folder, data / "images", data / "two_boxes.json", out, formats=ALL)
    assert "18 masks on 6 images" in said and "0 masks empty" in said
    return out


def objects_of(out) -> dict[str, list[tuple[dict, np.ndarray]]]:
    """By image, each COCO row with its mask."""
    content = json.loads((out / "masks.json").read_text())
    names = {row["id"]: row["file_name"] for row in content["images"]}
    found = {name: [] for name in names.values()}
    for row in content["annotations"]:
        mask = decode_mask(row["segmentation"], (SIDE, SIDE))
        found[names[row["image_id"]]].append((row, mask))
    return found


def names_below(folder) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_images_of_the_same_name_keep_files_of_their_own(written):
    images = [f"{folder}/{i}" for folder in "ab" for i in range(3)]
    assert names_below(written / "geojson") == [f"{name}.png.geojson" for name in images]
    assert names_below(written / "yolo" / "labels") == [f"{name}.txt" for name in images]
    label_maps = names_below(written / "labels")
    assert label_maps == [f"{name}.png.{end}" for name in images for end in ("json", "png")]
    assert len(names_below(written / "png")) == 18


def test_geojson_gives_every_mask_back_with_its_confidence(written):
    for name, objects in objects_of(written).items():
        content = json.loads((written / "geojson" / f"{name}.geojson").read_text())
        for feature, (row, mask) in zip(content["features"], objects, strict=True):
            rings = [ring for part in feature["geometry"]["coordinates"] for ring in part]
            assert all(ring[0] == ring[-1] for ring in rings)
            assert np.array_equal(filled(rings, mask.shape), mask)
            assert feature["id"] == row["id"] and feature["properties"]["score"] == row["score"]
            category = "disc" if row["category_id"] == 7 else "=ring, é"
            assert feature["properties"]["classification"] == {"name": category}


def test_yolo_gives_every_mask_back_and_its_confidence_line_by_line(written):
    names = yaml.safe_load((written / "yolo" / "data.yaml").read_text())["names"]
    assert names == {0: "=ring, é", 1: "disc"}
    for name, objects in objects_of(written).items():
        path = name.replace(".png", ".txt")
        labels, scores = (
            (written / "yolo" / kind / path).read_text().splitlines()
            for kind in ("labels", "scores")
        )
        for label, score, (row, mask) in zip(labels, scores, objects, strict=True):
            number, *values = label.split()
            assert int(number) == (1 if row["category_id"] == 7 else 0)
            corners = np.array(values, dtype=float).reshape(-1, 2) * SIDE
            assert iou(filled([corners], mask.shape), mask) > 0.99
            assert score == f"{row['id']} {row['score']:.6f}"


def test_yolo_labels_are_read_as_the_tools_of_yolo_and_coco_fill_them(written):
    """OpenCV paints the border of what it fills, pycocotools does not."""
    for name, objects in objects_of(written).items():
        lines = (written / "yolo" / "labels" / name.replace(".png", ".txt")).read_text()
        for line, (_, mask) in zip(lines.splitlines(), objects, strict=True):
            corners = np.array(line.split()[1:], dtype=float).reshape(-1, 2) * SIDE
            assert iou(decode_mask([corners.ravel().tolist()], mask.shape), mask) > 0.95
            canvas = np.zeros(mask.shape, dtype=np.uint8)
            painted = cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 1) > 0
            assert painted[mask].all()


def test_yolo_labels_come_in_again(written, data, tmp_path):
    shutil.copytree(data / "images", tmp_path / "images")
    said = import_labels(written / "yolo" / "labels", tmp_path, single_boxes=True)
    assert "18 objects on 6 images" in said


def test_the_label_map_numbers_objects_and_shows_the_surer_one(written):
    for name, objects in objects_of(written).items():
        image = Image.open(written / "labels" / f"{name}.png")
        table = json.loads((written / "labels" / f"{name}.json").read_text())
        assert image.mode == "I;16"
        expected = np.zeros((SIDE, SIDE), dtype=np.uint16)
        for number in sorted(range(3), key=lambda i: objects[i][0]["score"]):
            expected[objects[number][1]] = number + 1
        assert np.array_equal(np.asarray(image), expected)
        told = [(row["number"], row["object_id"], row["score"]) for row in table]
        assert told == [(i, row["id"], row["score"]) for i, (row, _) in enumerate(objects, 1)]


def test_a_wide_image_keeps_its_axes(data, tmp_path):
    boxes = read_two_boxes(data / "two_boxes.json")
    record = dataclasses.replace(boxes.images[0], height=20, width=80)
    mask = np.zeros((20, 80), dtype=bool)
    mask[5:15, 20:60] = True
    row = {"id": 4, "category_id": 7, "score": 1.0, "segmentation": encode_mask(mask)}
    found = Found(record, [row], Classes.of(boxes))
    write_yolo(found, tmp_path)
    write_label_map(found, tmp_path)
    _, *values = (tmp_path / "labels/a/0.txt").read_text().split()
    corners = {*zip(values[0::2], values[1::2], strict=True)}
    assert corners == {(f"{x:.6f}", f"{y:.6f}") for x in (0.25, 0.75) for y in (0.25, 0.75)}
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a/0.png.png")) == 1, mask)


def test_an_object_without_confidence_hides_no_other(data, tmp_path):
    boxes = read_two_boxes(data / "two_boxes.json")
    corner = np.zeros((SIDE, SIDE), dtype=bool)
    corner[:9, :9] = True
    masks = np.stack([np.ones_like(corner), corner, np.ones_like(corner)])
    rows = [
        {"id": i, "category_id": 7, "score": score, "segmentation": encode_mask(mask)}
        for i, (score, mask) in enumerate(zip((None, 0.5, None), masks, strict=True))
    ]
    write_label_map(Found(boxes.images[0], rows, Classes.of(boxes)), tmp_path)
    numbers = np.asarray(Image.open(tmp_path / "a/0.png.png"))
    assert np.array_equal(numbers, np.where(corner, 2, 1))


def test_empty_masks_leave_no_outline_and_are_counted(data, sam_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "predict_in_parts", without_masks)
    out = tmp_path / "masks"
    said = predict_files(sam_folder, data / "images", data / "two_boxes.json", out, formats=ALL)
    assert "18 masks on 6 images" in said and "18 masks empty" in said
    assert (out / "yolo" / "labels" / "a" / "0.txt").read_text() == ""
    assert json.loads((out / "geojson" / "b" / "2.png.geojson").read_text())["features"] == []
    assert not np.asarray(Image.open(out / "labels" / "a" / "0.png.png")).any()


def without_masks(*args, ask=Predictor.predict_in_parts, **kwargs):
    for part in ask(*args, **kwargs):
        yield part._replace(masks=torch.zeros_like(part.masks))


def test_the_command_writes_the_formats_it_is_asked_for(data, sam_folder, tmp_path, capsys):
    out, boxes = tmp_path / "masks", data / "two_boxes.json"
    asked = ["--out", str(out), "--format", "yolo", "geojson"]
    assert (
        main(["predict", str(sam_folder), str(data / "images"), "--boxes", str(boxes), *asked]) == 0
    )
    assert "18 masks" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["geojson", "yolo"]


@pytest.fixture
def same_stem(data, tmp_path):
    """As the data, but two images differ in nothing but their ending."""
    shutil.copytree(data / "images", tmp_path / "images")
    content = json.loads((data / "two_boxes.json").read_text())
    content["images"][1]["file_name"] = "a/0.PNG"
    (tmp_path / "images/a/1.png").rename(tmp_path / "images/a/0.PNG")
    (tmp_path / "two_boxes.json").write_text(json.dumps(content))
    return tmp_path


def test_names_that_yolo_cannot_tell_apart_are_refused_with_their_list(same_stem, sam_folder):
    out, boxes = same_stem / "masks", same_stem / "two_boxes.json"
    with pytest.raises(InputError, match="2 images differ in their ending alone") as refused:
        predict_files(sam_folder, same_stem / "images", boxes, out, formats=("coco", "yolo"))
    assert refused.value.rows == ["a/0.png", "a/0.PNG"] and not out.exists()
    others = ("labels", "geojson", "png")
    predict_files(sam_folder, same_stem / "images", boxes, out, formats=others)
    assert len(names_below(out / "geojson")) == 6


def test_no_record_is_made_to_see_that_all_can_be_written(data, monkeypatch):
    read = read_two_boxes(data)
    monkeypatch.setattr(ImageRecords, "__getitem__", None)
    refuse_unwritable(read, ALL)


def test_more_objects_than_a_label_map_numbers_are_refused(data, sam_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bulk_formats, "LABEL_MAP_OBJECTS", 2)
    with pytest.raises(InputError, match="3 objects, but a label map numbers 2"):
        predict_files(
            sam_folder,
            data / "images",
            data / "two_boxes.json",
            tmp_path / "masks",
            formats=("labels",),
        )
