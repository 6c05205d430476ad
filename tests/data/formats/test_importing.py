"""Whatever tool the boxes were drawn with, they come out the same."""

import json

import numpy as np
import pytest
from data.formats.drawn_boxes import PAIRS, put, write_images
from data.formats.written_json import (
    coco_fields,
    coco_pairs,
    coco_rows,
    label_studio,
    label_studio_result,
    labelme_file,
    labelme_shape,
    percent,
)
from data.formats.written_labels import TOOLS
from data.formats.written_tables import csv_two_boxes, yolo, yolo_label_studio
from PIL import Image

from ringsam.cli import main
from ringsam.data import read_two_boxes
from ringsam.data.formats import import_labels
from ringsam.data.masks import decode_mask
from ringsam.errors import InputError


def boxes_of(data) -> dict:
    """Both boxes of every object, by image."""
    return {
        record.file_name: sorted(
            zip(record.big_boxes.tolist(), record.small_boxes.tolist(), strict=True)
        )
        for record in read_two_boxes(data).images
    }


def annotations_of(data) -> list[dict]:
    return json.loads((data / "two_boxes.json").read_text())["annotations"]


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tools_labels_become_the_same_boxes(tmp_path, tool):
    source = TOOLS[tool](write_images(tmp_path))
    said = import_labels(source, tmp_path)
    assert boxes_of(tmp_path) == {name: sorted(pairs) for name, pairs in PAIRS.items()}
    assert "3 objects on 2 images" in said and "derived" not in said
    assert "0 errors" in said.splitlines()[-1]


@pytest.mark.parametrize("tool", ["COCO pairs", "CSV plain", "LabelMe", "Label Studio", "CVAT"])
def test_labels_are_kept_without_the_role_that_they_tell(tmp_path, tool):
    import_labels(TOOLS[tool](write_images(tmp_path)), tmp_path)
    assert set(read_two_boxes(tmp_path).categories.values()) == {"cell"}


def test_the_command_prints_the_check_and_the_json_passes_it(tmp_path, capsys):
    source = label_studio(write_images(tmp_path))
    assert main(["import", str(source), "--out", str(tmp_path / "mine.json")]) == 0
    said = capsys.readouterr().out
    assert f"{source}: Label Studio, 3 objects on 2 images" in said
    assert "skipped: 1 x task without an annotation" in said
    assert f"{tmp_path / 'mine.json'}: 2 usable images with 3 objects" in said
    assert main(["check", str(tmp_path / "mine.json")]) == 0


def test_an_existing_file_is_not_overwritten(tmp_path):
    source = csv_two_boxes(write_images(tmp_path))
    import_labels(source, tmp_path)
    before = (tmp_path / "two_boxes.json").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        import_labels(tmp_path, tmp_path)
    assert (tmp_path / "two_boxes.json").read_bytes() == before


def test_images_elsewhere_are_refused_with_the_place_to_write_to(tmp_path):
    source = csv_two_boxes(write_images(tmp_path / "photos"))
    (tmp_path / "out").mkdir()
    images = tmp_path / "photos" / "images"
    with pytest.raises(InputError, match=f"--out {images}"):
        import_labels(source, tmp_path / "out", images=images)
    import_labels(source, images, images=images)
    assert boxes_of(images).keys() == PAIRS.keys()


def test_a_name_of_two_images_is_an_error_until_the_folder_is_named(tmp_path):
    source = csv_two_boxes(write_images(tmp_path, "images/left"))
    write_images(tmp_path, "images/right")
    with pytest.raises(InputError, match=r"a\.png may be 2 images"):
        import_labels(source, tmp_path)
    import_labels(source, tmp_path, images=tmp_path / "images" / "right")
    assert boxes_of(tmp_path).keys() == {"right/a.png", "right/b.png"}


def test_an_image_of_another_size_than_was_labelled_is_an_error(tmp_path):
    source = coco_fields(write_images(tmp_path))
    Image.new("RGB", (40, 60)).save(tmp_path / "images" / "a.png")
    with pytest.raises(InputError, match=r"labelled as 60 x 40, but .* is 40 x 60"):
        import_labels(source, tmp_path)
    assert not (tmp_path / "two_boxes.json").exists()


def test_nothing_is_left_where_an_image_is_corrupt(tmp_path):
    source = csv_two_boxes(write_images(tmp_path))
    image = tmp_path / "images" / "a.png"
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(InputError, match=r"a\.png"):
        import_labels(source, tmp_path)
    assert not (tmp_path / "two_boxes.json").exists()


def test_an_upload_is_found_by_its_name_before_and_after(tmp_path):
    source = yolo_label_studio(write_images(tmp_path))
    image = tmp_path / "images" / "a.png"
    image.rename(image.with_name("3f2a1b9c-a.png"))
    import_labels(source, tmp_path)
    assert boxes_of(tmp_path).keys() == {"3f2a1b9c-a.png", "b.png"}


def test_an_empty_yolo_file_is_an_image_without_objects(tmp_path):
    source = yolo(write_images(tmp_path))
    put(tmp_path / "labels" / "b.txt", "")
    assert "(1 without any" in import_labels(source, tmp_path)


@pytest.mark.parametrize(
    ("row", "derived", "big", "small"),
    [
        ("a.png,10,10,40,30,,,,", ["small_box"], [10, 10, 40, 30], [17.5, 15, 32.5, 25]),
        ("a.png,,,,,20,15,30,25", ["big_box"], [15, 10, 35, 30], [20, 15, 30, 25]),
    ],
)
def test_the_other_box_of_a_single_one_is_proposed_marked_and_counted(
    tmp_path, row, derived, big, small
):
    source = csv_two_boxes(write_images(tmp_path))
    put(source, source.read_text().splitlines()[0] + "\n" + row)
    said = import_labels(source, tmp_path)
    (made,) = annotations_of(tmp_path)
    assert (made["derived"], made["big_box"], made["small_box"]) == (derived, big, small)
    assert "proposed" in said and '(marked "derived")' in said


def test_plain_boxes_that_hold_no_other_are_objects_of_one_box(tmp_path):
    write_images(tmp_path)
    source = put(tmp_path / "one.csv", "image,x1,y1,x2,y2\na.png,1,1,20,20\n\na.png,30,5,50,30\n\n")
    assert "2 small boxes are proposed" in import_labels(source, tmp_path)
    assert [made["derived"] for made in annotations_of(tmp_path)] == [["small_box"]] * 2


def test_a_box_without_partner_among_pairs_is_an_error_unless_each_box_is_an_object(tmp_path):
    write_images(tmp_path)
    rows = "a.png,1,1,20,20\na.png,5,5,15,15\na.png,30,5,50,30\n"
    source = put(tmp_path / "some.csv", "image,x1,y1,x2,y2\n" + rows)
    with pytest.raises(InputError, match=r"line 4: finds no partner.*--single_boxes"):
        import_labels(source, tmp_path)
    assert "3 small boxes are proposed" in import_labels(source, tmp_path, single_boxes=True)


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("end", [4, 5])
@pytest.mark.parametrize("way", [1, -1])
def test_a_coco_box_that_is_also_written_as_a_rectangle_stays_a_box(tmp_path, shift, end, way):
    source = coco_pairs(write_images(tmp_path))
    content = json.loads(source.read_text())
    for row in content["annotations"]:
        x, y, width, height = row["bbox"]
        right, bottom = x + width, y + height
        corners = [(x, y), (right, y), (right, bottom), (x, bottom)][::way] * 3
        row["segmentation"] = [
            [value for corner in corners[shift : shift + end] for value in corner]
        ]
        row["bbox"][2] += 1e-3
    put(source, json.dumps(content))
    assert "derived" not in import_labels(source, tmp_path)


@pytest.mark.parametrize(
    ("polygon", "bbox"),
    [
        ([10, 5, 50, 5, 50, 35, 10, 35], [10, 5, 40, 29]),
        ([10, 5, 50, 5, 50, 35, 10, 35], None),
        ([10, 5, 50, 5, 50, 35, 12, 35], [10, 5, 40, 30]),
        ([10, 5, 50, 5, 50, 35, 10, 35, 10, 20], [10, 5, 40, 30]),
    ],
)
def test_a_coco_polygon_that_is_not_its_bbox_is_a_mask(tmp_path, polygon, bbox):
    row = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [polygon], "bbox": bbox}
    content = coco_rows() | {"annotations": [row]}
    source = put(write_images(tmp_path) / "coco.json", json.dumps(content))
    assert "both boxes from their masks" in import_labels(source, tmp_path)


def polygon_sources(root):
    """A diamond as four tools write it."""
    points = [[30, 5], [50, 20], [30, 35], [10, 20]]
    flat = [value for point in points for value in point]
    row = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": [flat],
        "bbox": [10, 5, 40, 30],
    }
    yield put(root / "coco.json", json.dumps(coco_rows() | {"annotations": [row]}))
    shapes = [labelme_shape(points, kind="polygon"), labelme_shape([[1, 1]], kind="point")]
    yield put(root / "labelme" / "a.json", labelme_file("a.png", shapes))
    marks = [percent("a.png", *point, *point) for point in points]
    value = {"points": [[m["x"], m["y"]] for m in marks], "polygonlabels": ["cell"], "closed": True}
    results = [label_studio_result("a.png", "r1", value, "polygonlabels")]
    task = {"id": 1, "data": {"image": "/data/local-files/?d=images/a.png"}}
    annotation = {"id": 1, "result": results, "was_cancelled": False}
    yield put(root / "studio.json", json.dumps([task | {"annotations": [annotation]}]))
    yield put(
        root / "cvat.xml",
        '<annotations><version>1.1</version><image id="0" name="a.png" width="60" height="40">'
        '<polygon label="cell" source="manual" occluded="0" z_order="0" '
        f'points="{";".join(f"{x:.2f},{y:.2f}" for x, y in points)}"></polygon>'
        '<mask label="cell" rle="1, 1" left="0" top="0" width="2" height="1"></mask>'
        "</image></annotations>",
    )


def test_masks_become_both_boxes_for_experiments_the_same_from_every_tool(tmp_path):
    outcomes = []
    for source in polygon_sources(write_images(tmp_path)):
        said = import_labels(source, tmp_path)
        assert "1 objects have both boxes from their masks, for experiments" in said
        assert source.name != "cvat.xml" or "skipped: 1 x mask" in said
        (made,) = annotations_of(tmp_path)
        assert made["derived"] == ["big_box", "small_box"] and "segmentation" not in made
        outcomes.append((made["big_box"], made["small_box"]))
        (tmp_path / "two_boxes.json").unlink()
    assert len(outcomes) == 4 and all(np.allclose(outcomes[0], other) for other in outcomes)


def test_masks_are_kept_where_asked_to_evaluate_with(tmp_path):
    masks = []
    for source in polygon_sources(write_images(tmp_path)):
        assert "with masks), 0 errors" in import_labels(source, tmp_path, keep_masks=True)
        (record,) = (each for each in read_two_boxes(tmp_path).images if each.num_objects)
        masks.append(decode_mask(record.segmentations[0], (40, 60)))
        (tmp_path / "two_boxes.json").unlink()
    assert masks[0].sum() > 500 and all(np.array_equal(masks[0], other) for other in masks)


def test_masks_beside_both_boxes_or_one_are_kept_too(tmp_path):
    source = coco_fields(write_images(tmp_path))
    content = json.loads(source.read_text())
    polygon, lengths = [[20, 15, 30, 15, 30, 25]], {"size": [40, 60], "counts": [900, 9, 1491]}
    first, second = content["annotations"][:2]
    first["segmentation"], second["segmentation"] = polygon, lengths
    del second["small_box"]
    source.write_text(json.dumps(content))
    import_labels(source, tmp_path, keep_masks=True)
    rows = annotations_of(tmp_path)
    assert sorted(str(row.get("segmentation")) for row in rows) == sorted(
        map(str, (polygon, lengths, None))
    )
    assert boxes_of(tmp_path)["b.png"] == PAIRS["b.png"]
    (tmp_path / "two_boxes.json").unlink()
    import_labels(source, tmp_path)
    assert not any("segmentation" in row for row in annotations_of(tmp_path))


def test_the_help_shows_both_places(capsys):
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    said = capsys.readouterr().out
    assert "--out" in said and "--images" in said
