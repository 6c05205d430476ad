import json
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from written_rows import BIG, an_object

from ringsam.cli import main
from ringsam.data import check, read_two_boxes
from ringsam.data.boxes import judge_boxes
from ringsam.data.findings import RowProblem
from ringsam.errors import InputError
from ringsam.geometry import ring_rectangles, sample_ring_points

SAMPLE = Path(str(files("ringsam"))) / "assets" / "sample"

BAD_ROWS = {
    "no big box": ({"big_box": ...}, "has a small_box but no big_box"),
    "no small box": ({"small_box": None}, "has a big_box but no small_box"),
    "no box": ({"big_box": ..., "small_box": ...}, "neither"),
    "three numbers": ({"big_box": [1, 2, 3]}, "not four numbers"),
    "text": ({"big_box": "10,10,40,30"}, "not four numbers"),
    "a word": ({"small_box": [20, 15, 30, "x"]}, "not a number"),
    "truth": ({"small_box": [True, 15, 30, 25]}, "not a number"),
    "beyond bounds": ({"big_box": [10, 10, 10**400, 30]}, "beyond all bounds"),
    "inverted": ({"big_box": [40, 10, 10, 30]}, "inverted; write [10, 10, 40, 30]"),
    "no area": ({"small_box": [20, 15, 20, 25]}, "no area"),
    "hair": ({"small_box": [20, 15, 20.01, 25]}, "thinner"),
    "outside": ({"big_box": [70, 50, 90, 80], "small_box": [75, 55, 80, 60]}, "outside"),
    "mostly outside": ({"big_box": [50, 5, 90, 30], "small_box": [51, 8, 58, 20]}, "75% outside"),
    "small mostly outside": (
        {"big_box": [30, 5, 70, 30], "small_box": [55, 8, 69, 20]},
        "small_box",
    ),
    "small leaves big": ({"small_box": [5, 15, 30, 25]}, "leaves big_box [10, 10, 40, 30] by 5 px"),
    "equal": ({"small_box": BIG}, "are the same"),
    "thin ring": ({"small_box": [10.5, 10.5, 39.5, 29.5]}, "0.5 px wide"),
    "no image": ({"image_id": 77}, "no image has the id 77"),
    "no image id": ({"image_id": ...}, "image_id is missing"),
    "no id": ({"id": ...}, "annotations[1]: id is missing"),
    "id of text": ({"id": "two"}, "not a whole number"),
    "id too large": ({"id": 2**63}, "not a whole number"),
    "category of text": ({"category_id": "cell"}, "category_id"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_an_error_with_file_row_reason_and_mend(make_data, kind):
    changes, reason = BAD_ROWS[kind]
    result = check(make_data([an_object(1), an_object(2, **changes)]))
    (error,) = result.errors
    assert reason in str(error)
    assert error.file in ("a.png", "two_boxes.json") and error.where and error.mend
    assert (result.num_images, result.num_objects) == (1, 1)


def test_a_row_that_is_no_object_is_an_error(make_data):
    (error,) = check(make_data([an_object(), 5])).errors
    assert "annotations[1]: is 5" in str(error)


def test_infinity_in_a_box_is_an_error(make_data):
    folder = make_data([an_object(1), an_object(2, big_box=[10, 10, 40, 31])])
    path = folder / "two_boxes.json"
    path.write_text(path.read_text().replace("31]", "1e999]"))
    assert "not finite" in str(check(folder).errors[0])


def test_a_box_partly_outside_is_clipped_with_a_warning(make_data):
    rows = [an_object(big_box=[-3, 10, 27, 30], small_box=[1, 15, 20, 25])]
    (warning,) = check(make_data(rows)).warnings
    assert "10.0% outside" in warning.reason and "clipped to [0, 10, 27, 30]" in warning.mend
    data = read_two_boxes(make_data(rows))
    assert data.images[0].big_boxes.tolist() == [[0, 10, 27, 30]]
    assert data.warnings == (warning,)


numbers = st.floats(-100, 200, width=32) | st.integers(-20, 80) | st.floats()
boxes = st.lists(numbers, min_size=4, max_size=4)


@settings(max_examples=300, deadline=None)
@given(big=boxes, inset=st.lists(st.floats(0, 12), min_size=4, max_size=4), other=st.none() | boxes)
def test_whatever_passes_has_a_ring_on_the_image(big, inset, other):
    signs = (1, 1, -1, -1)
    small = other or [b + s * i for b, s, i in zip(big, signs, inset, strict=True)]
    try:
        pair = judge_boxes({"big_box": big, "small_box": small}, (40, 60))
    except RowProblem as problem:
        assert problem.reason and problem.mend
        return
    big_boxes, small_boxes = torch.tensor([pair.big]), torch.tensor([pair.small])
    limits = torch.tensor([60, 40, 60, 40])
    assert (big_boxes >= 0).all() and (big_boxes <= limits).all()
    assert (small_boxes[:, :2] < small_boxes[:, 2:]).all()
    ring = ring_rectangles(small_boxes, big_boxes)
    assert ((ring[..., 2] - ring[..., 0]) * (ring[..., 3] - ring[..., 1])).sum() > 0
    x, y = sample_ring_points(small_boxes, big_boxes, torch.rand(1, 50, 3)).unbind(-1)
    x1, y1, x2, y2 = pair.small
    assert not ((x > x1) & (x < x2) & (y > y1) & (y < y2)).any()


def test_an_image_that_cannot_be_read_is_an_error(make_data):
    images = [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3, 4)]
    folder = make_data([an_object(i, image=i) for i in (1, 2, 3, 4)], images=images)
    (folder / "images" / "1.png").unlink()
    (folder / "images" / "2.png").write_text("no image")
    whole = (folder / "images" / "3.png").read_bytes()
    (folder / "images" / "3.png").write_bytes(whole[: len(whole) // 2])
    result = check(folder)
    reasons = {error.file: error.reason for error in result.errors}
    assert list(reasons) == ["1.png", "2.png", "3.png"]
    assert "no such file" in reasons["1.png"] and "truncated" in reasons["3.png"]
    assert (result.num_images, result.num_objects) == (1, 1)


def test_a_size_that_is_not_the_images_is_an_error(make_data):
    images = [{"id": 1, "file_name": "a.png", "width": 61, "height": 40}]
    assert "61 x 40, the image is 60 x 40" in str(check(make_data(images=images)).errors[0])
    images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 60}]
    assert "as displayed" in str(check(make_data(images=images)).errors[0])
    images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}]
    assert not check(make_data(images=images)).findings


def test_boxes_are_judged_on_the_image_as_displayed(make_data):
    folder = make_data([an_object(big_box=[5, 30, 35, 58], small_box=[10, 40, 20, 50])])
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(folder / "images" / "a.png") as image:
        image.load()
    image.save(folder / "images" / "a.png", exif=turned)
    assert not check(folder).findings
    assert read_two_boxes(folder).images[0].height == 60


def test_nothing_usable_is_an_error_with_the_reasons(make_data):
    result = check(make_data([]))
    assert str(result.errors[-1]).endswith("no annotations; draw some with `ringsam annotate`")
    result = check(make_data([an_object(big_box=...)]))
    assert "0 usable objects of 1: 1 errors" in str(result.errors[-1])


@pytest.mark.parametrize("name", ["annotations.json", "two_boxes.json"])
def test_coco_of_another_tool_is_told_once_with_the_command_that_imports_it(make_data, name):
    rows = [an_object(i, big_box=..., small_box=..., bbox=[10, 10, 30, 20]) for i in (1, 2)]
    folder = make_data(rows, name=name)
    with pytest.raises(InputError) as caught:
        check(folder)
    said = str(caught.value)
    assert "is COCO of another tool: its objects have bbox, none has a big_box" in said
    named = folder / ("coco.json" if name == "two_boxes.json" else name)
    assert f"`ringsam import {named} --out {folder}`" in said and "\n" not in said
    (folder / name).rename(named)
    assert main(["import", str(named), "--out", str(folder), "--single_boxes"]) == 0
    assert check(folder).num_objects == 2


def test_one_box_of_ours_makes_it_a_file_of_ours(make_data):
    rows = [an_object(1), an_object(2, big_box=..., small_box=..., bbox=[10, 10, 30, 20])]
    (error,) = check(make_data(rows)).errors
    assert "annotation 2: has neither big_box nor small_box" in str(error)


HINTS = {
    "xywh": ([[30, 20, 20, 15], [35, 5, 20, 20], [2, 2, 30, 30]], "is this xywh?"),
    "fractions": ([[0.1, 0.1, 0.5, 0.5]] * 3, "fractions"),
    "other size": ([[100, 80, 400, 300]] * 3, "another size"),
}


@pytest.mark.parametrize("kind", HINTS)
def test_another_kind_of_coordinates_is_guessed(make_data, kind):
    big_boxes, question = HINTS[kind]
    rows = [an_object(i, big_box=box) for i, box in enumerate(big_boxes)]
    hints = [w for w in check(make_data(rows)).warnings if w.where == "all boxes"]
    assert question in hints[0].reason


def test_percent_are_guessed_although_every_row_passes(make_data):
    rows = [
        an_object(i, big_box=[50 + i, 50, 76 + i, 95], small_box=[72, 60, 75, 70])
        for i in range(20)
    ]
    folder = make_data(rows)
    Image.new("L", (640, 480)).save(folder / "images" / "a.png")
    result = check(folder)
    assert not result.errors and "percent" in result.warnings[0].reason


def test_unused_and_duplicate_images_are_warnings(make_data):
    images = [{"id": i, "file_name": f"{i}.png"} for i in (1, 2)]
    folder = make_data(images=images)
    shutil.copy(folder / "images" / "1.png", folder / "images" / "2.png")
    shutil.copy(folder / "images" / "1.png", folder / "images" / "3.png")
    result = check(folder)
    assert not result.errors
    assert [w.reason for w in result.warnings] == [
        "has the same pixels as 2.png",
        "1 image files are not used: 3.png",
    ]


def test_masks_that_cannot_be_decoded_or_are_missing_are_told(make_data):
    short = {"size": [40, 60], "counts": "01"}
    rows = [an_object(1, segmentation=short), an_object(2)]
    result = check(make_data(rows))
    assert "counts 1 pixels, the image has 2400" in str(result.errors[0])
    assert "1 of 2 objects have a mask" in str(result.warnings[0])


def test_the_text_is_cut_and_counts_the_rest(make_data):
    rows = [an_object(i, small_box=...) for i in range(100)]
    lines = check(make_data(rows)).text(limit=10).splitlines()
    assert len(lines) == 12 and lines[10] == "... and 91 more"
    assert "101 errors" in lines[11]


def test_names_cannot_steer_the_terminal(make_data):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "\x1b[2Jb.png\nok"}]
    folder = make_data(images=images)
    for path in (folder / "images").glob("*b.png*"):
        path.unlink()
    assert "\x1b" not in check(folder).text() and len(check(folder).text().splitlines()) == 2


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(InputError):
        check(tmp_path)


def test_sample_is_clean():
    train, test = check(SAMPLE / "train"), check(SAMPLE / "test")
    assert not train.findings and not test.findings
    assert (train.num_images, train.num_objects, train.num_images_with_masks) == (24, 499, 0)
    assert (test.num_images, test.num_objects, test.num_images_with_masks) == (12, 189, 12)
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 1_500_000


def test_sample_has_no_masks_to_train_on_and_no_image_in_both_parts():
    train = json.loads((SAMPLE / "train" / "two_boxes.json").read_text())
    kinds = {"id", "image_id", "category_id", "iscrowd", "big_box", "small_box"}
    assert all(set(row) <= kinds for row in train["annotations"])
    names = [
        {path.name for path in (SAMPLE / part / "images").iterdir()} for part in ("train", "test")
    ]
    assert not names[0] & names[1]


def test_big_boxes_hold_the_sample_s_masks():
    from ringsam.data import decode_masks

    for record in read_two_boxes(SAMPLE / "test").images:
        masks = decode_masks(record).numpy()
        for mask, (x1, y1, x2, y2) in zip(masks, record.big_boxes, strict=True):
            rows, columns = np.nonzero(mask)
            assert x1 <= columns.min() and columns.max() < x2
            assert y1 <= rows.min() and rows.max() < y2
