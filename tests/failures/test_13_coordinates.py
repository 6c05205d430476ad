"""Row 13: boxes in another kind of coordinates than the file should hold are told with the likely one, or refused, in every format that a person might have swapped."""

import json
import re
from pathlib import Path

import pytest
from data.formats.drawn_boxes import PAIRS, SIZES, put, write_images
from data.formats.written_json import coco_pairs
from data.formats.written_tables import csv_two_boxes
from PIL import Image

from ringsam.cli import main
from ringsam.data import check
from ringsam.data.formats import import_labels
from ringsam.errors import InputError


def corners_as(kind: str, box: list[float], size: tuple[int, int]) -> list[float]:
    (x1, y1, x2, y2), (width, height) = box, size
    sides = [width, height, width, height]
    return {
        "xywh": [x1, y1, x2 - x1, y2 - y1],
        "fractions": [value / side for value, side in zip(box, sides, strict=True)],
        "percent": [100 * value / side for value, side in zip(box, sides, strict=True)],
        "another size": [10 * value for value in box],
    }[kind]


def data_of(root: Path, kind: str) -> Path:
    """Twenty objects on a larger image, in that kind of coordinates."""
    size = (640, 480)
    (root / "images").mkdir()
    Image.new("L", size, 90).save(root / "images" / "a.png")
    big = [[320 + 8 * i, 240 + 8 * i, 440 + 8 * i, 320 + 8 * i] for i in range(20)]
    small = [[x1 + 30, y1 + 20, x2 - 30, y2 - 20] for x1, y1, x2, y2 in big]
    rows = [
        {
            "id": i + 1,
            "image_id": 1,
            "category_id": 1,
            "big_box": corners_as(kind, big[i], size),
            "small_box": corners_as(kind, small[i], size),
        }
        for i in range(20)
    ]
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": rows, "categories": []}
    put(root / "two_boxes.json", json.dumps(content))
    return root


@pytest.mark.parametrize(
    ("kind", "question"),
    [
        ("xywh", r"\d+% of boxes leave the image or are inverted: is this xywh\?"),
        ("fractions", r"every value lies in 0\.\.1: are these fractions of the image\?"),
        ("percent", r"every value lies in 0\.\.100 .*: are these percent of the image\?"),
        ("another size", r"100% of boxes leave the image .*: is this another size of the images\?"),
    ],
)
def test_one_question_names_the_likely_kind(tmp_path, capsys, kind, question):
    main(["check", str(data_of(tmp_path, kind))])
    warnings = [line for line in capsys.readouterr().out.splitlines() if "all boxes" in line]
    assert len(warnings) == 1 and re.search(question, warnings[0])
    assert "boxes are [x1, y1, x2, y2] in pixels of the image" in warnings[0]


def test_boxes_as_they_should_be_raise_no_question(tmp_path):
    rows = data_of(tmp_path, "xywh") / "two_boxes.json"
    content = json.loads(rows.read_text())
    for row in content["annotations"]:
        for name in ("big_box", "small_box"):
            x, y, width, height = row[name]
            row[name] = [x, y, x + width, y + height]
    rows.write_text(json.dumps(content))
    assert not check(tmp_path).findings


def test_corners_in_cocos_bbox_are_refused_with_their_rows(tmp_path):
    source = coco_pairs(write_images(tmp_path))
    content = json.loads(source.read_text())
    for row in content["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x, y, x + width, y + height]
    source.write_text(json.dumps(content))
    with pytest.raises(InputError, match="errors in the labels; nothing is written"):
        import_labels(source, tmp_path)


@pytest.mark.parametrize("kind", ["xywh", "fractions"])
def test_other_boxes_in_a_csv_of_corners_are_refused_or_asked_about(tmp_path, kind):
    source = csv_two_boxes(write_images(tmp_path))
    header = source.read_text().splitlines()[0]
    rows = [
        ",".join(map(str, [name, *(v for box in pair for v in corners_as(kind, box, SIZES[name]))]))
        for name in PAIRS
        for pair in PAIRS[name]
    ]
    source.write_text("\n".join([header, *rows]))
    with pytest.raises(InputError) as refusal:
        import_labels(source, tmp_path)
    assert "boxes.csv" in str(refusal.value) and not list(tmp_path.glob("two_boxes.json"))


def test_pixels_in_yolo_are_refused_with_their_lines(tmp_path):
    write_images(tmp_path)
    put(tmp_path / "data.yaml", "names: [big, small]\n")
    for name, pairs in PAIRS.items():
        boxes = [(role, box) for pair in pairs for role, box in enumerate(pair)]
        lines = [f"{r} {(a + c) / 2} {(b + d) / 2} {c - a} {d - b}" for r, (a, b, c, d) in boxes]
        put(tmp_path / "labels" / f"{Path(name).stem}.txt", "\n".join(lines))
    with pytest.raises(InputError, match="line 1") as refusal:
        import_labels(tmp_path, tmp_path)
    assert "3 errors" in str(refusal.value)  # one an object
