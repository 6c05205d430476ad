"""What cannot be read is told with file, row, reason and mend; nothing is written, nothing leaks."""

import json
import re

import pytest
from data.formats.drawn_boxes import put, write_images
from data.formats.written_json import coco_pairs, label_studio, labelme
from data.formats.written_labels import TOOLS
from data.formats.written_tables import yolo
from data.formats.written_xml import cvat, pascal_voc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringsam.cli import main
from ringsam.data.formats import import_labels
from ringsam.errors import InputError

CSV = "image,x1,y1,x2,y2\n"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
XML_ATTACKS = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><annotation>&l9;</annotation>',
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    "<annotation><filename>&x;</filename></annotation>",
    "external DTD": '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><annotation/>',
}


def refused(root, source) -> str:
    """What is said of the source; nothing may be written."""
    with pytest.raises(InputError) as refusal:
        import_labels(source, root)
    assert not list(root.glob("*two_boxes.json*"))
    return str(refusal.value)


@pytest.mark.parametrize("attack", XML_ATTACKS)
def test_xml_entities_are_refused_unexpanded(tmp_path, attack):
    source = put(write_images(tmp_path) / "attack.xml", XML_ATTACKS[attack])
    said = refused(tmp_path, source)
    assert f"error: {source}: XML with a DTD or entities" in said
    assert "take them out" in said and "root:" not in said


@pytest.mark.parametrize(
    "name", ["../secret.png", "/secret.png", "C:\\secret.png", "..", "images/../../secret.png"]
)
def test_no_name_leads_out_of_the_image_folder(tmp_path, name):
    root = write_images(tmp_path / "data")
    (tmp_path / "secret.png").write_bytes((root / "images" / "a.png").read_bytes())
    source = put(root / "boxes.csv", f"{CSV}{name},1,1,9,9\n")
    assert "no image" in refused(root, source)


def test_a_link_out_of_the_image_folder_is_refused(tmp_path):
    root = write_images(tmp_path / "data")
    (tmp_path / "secret.png").write_bytes((root / "images" / "a.png").read_bytes())
    (root / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    source = put(root / "boxes.csv", f"{CSV}link.png,1,1,9,9\n")
    assert "leads out of the image folder" in refused(root, source)


BAD_ROWS = {
    "text": ("a.png,1,1,nine,9", "line 2: x2 is nine, not a number; give x2 a number"),
    "not finite": ("a.png,1,1,1e999,9", "x2 is 1e999, not a finite number"),
    "inverted": ("a.png,9,1,1,9", "is inverted; write [1, 1, 9, 9]"),
    "no area": ("a.png,1,1,1,9", "has no area"),
    "missing cell": ("a.png,1,1,9", "has 4 cells, the header 5; mend the row"),
    "half a box": ("a.png,1,1,,9", "x2 is , not a number"),
    "no name": (",1,1,9,9", "image is , not a name"),
    "no image": ("c.png,1,1,9,9", "no image c.png in"),
    "outside": ("a.png,70,70,90,90", "lies outside the image of 60 x 40"),
    "open quotes": ('"a.png,1,1,9,9', "line 3: unexpected end of data; mend the quotes"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_csv_row_is_told(tmp_path, kind):
    row, reason = BAD_ROWS[kind]
    source = put(write_images(tmp_path) / "boxes.csv", f"{CSV}{row}\nb.png,1,1,9,9\n")
    said = refused(tmp_path, source)
    assert f"error: {source}: " in said and reason in said


def test_every_bad_row_is_told_at_once(tmp_path):
    rows = "a.png,x,1,9,9\nc.png,1,1,9,9\nb.png,1,1,9,y\n"
    said = refused(tmp_path, put(write_images(tmp_path) / "boxes.csv", CSV + rows))
    assert "3 errors in the labels; nothing is written" in said and len(said.splitlines()) == 4


REPLACED = {
    "COCO image id": (coco_pairs, '"image_id": 2', '"image_id": 7', "no image has the id 7"),
    "COCO bbox": (coco_pairs, '"bbox": [10.0, ', '"bbox": [', "has no big_box, small_box"),
    "COCO number": (coco_pairs, '"bbox": [10.0', '"bbox": [null', "x is None, not a number"),
    "COCO name": (coco_pairs, '"a.png"', "7", "file_name is 7, not a name"),
    "LabelMe points": (labelme, '"points": [', '"points": [3, ', "no list of [x, y]"),
    "LabelMe group": (labelme, '"group_id": 2', '"group_id": 1', "4 regions are one group"),
    "Label Studio rotation": (label_studio, '"rotation": 0', '"rotation": 9', "is rotated"),
    "Label Studio image": (label_studio, '"image_rotation": 0', '"image_rotation": 90', "rotated"),
    "Label Studio size": (label_studio, '"original_width": 60', '"original_width": null', "mis"),
    "Label Studio twice": (label_studio, '"was_cancelled": true', '"was_cancelled": false', "2 an"),
    "CVAT rotation": (cvat, 'z_order="0"', 'z_order="0" rotation="30.00"', "is rotated; draw it"),
    "CVAT video": (cvat, "  <meta>", '<track id="0"></track><meta>', "tracks of a video"),
    "CVAT group": (cvat, 'group_id="2"', 'group_id="1"', "4 regions are one group"),
    "CVAT corner": (cvat, ' xtl="10.00"', "", "x1 is None, not a number"),
}


@pytest.mark.parametrize("kind", REPLACED)
def test_a_malformed_object_is_told(tmp_path, kind):
    write, old, new, reason = REPLACED[kind]
    source = write(write_images(tmp_path))
    for file in [source] if source.is_file() else source.iterdir():
        put(file, re.sub(re.escape(old), lambda _: new, file.read_text()))
    assert reason in refused(tmp_path, source)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.2", "line 2: has 3 numbers behind the class"),
        ("0 0.5 0.5 0.2 0.2 0.9", "line 2: has 5 numbers behind the class"),
        ("7 0.5 0.5 0.2 0.2", "class 7 has no name; add it to the 2 names"),
        ("0 0.5 0.5 -0.2 0.2", "is inverted"),
        ("0 0.5 0.5 abc 0.2", "a coordinate is abc, not a number"),
    ],
)
def test_a_bad_yolo_line_is_told(tmp_path, line, reason):
    source = yolo(write_images(tmp_path))
    put(tmp_path / "labels" / "a.txt", f"0 0.5 0.5 0.2 0.2\n{line}\n")
    assert reason in refused(tmp_path, source)


@pytest.mark.parametrize("text", ["3 4 things", "3 4 5 6 7 things", "1. 2 3 4 5", "3 4\n5 6 7\n"])
def test_text_that_begins_with_a_number_is_not_taken_for_yolo(tmp_path, text):
    source = put(write_images(tmp_path) / "readme.txt", text)
    assert "holds no labels of a known format" in refused(tmp_path, source)


@pytest.mark.parametrize(
    "header", ["filename,x0,y0,x1,y1", "img,xmin,ymin,xmax,ymax", "image,bbox"]
)
def test_a_table_of_other_columns_is_told_with_those_that_it_has_and_needs(tmp_path, header):
    source = put(write_images(tmp_path) / "boxes.csv", f"{header}\na.png,1,1,9,9\n")
    said = refused(tmp_path, source)
    assert f"boxes.csv has the columns {header.replace(',', ', ')}; it needs x1, y1, x2, y2" in said
    assert "and one of image_file, file_name" in said


def test_a_yolo_file_without_image_is_told_by_the_path_looked_for(tmp_path):
    source = yolo(write_images(tmp_path))
    (tmp_path / "images" / "a.png").unlink()
    assert f"no image {(tmp_path / 'images' / 'a').as_posix()}.* in" in refused(tmp_path, source)


@pytest.mark.parametrize("names", ["names: 7", "names: [1, 2]", "names: [", "nc: 2", "- 1"])
def test_bad_class_names_are_told(tmp_path, names):
    source = yolo(write_images(tmp_path))
    put(tmp_path / "data.yaml", names)
    assert "data.yaml" in refused(tmp_path, source)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\0\1\2",
        "hello",
        "{}",
        "[]",
        "[1]",
        "[" * 100_000,
        '{"shapes": ',
        "<a>",
        "<a/>",
        "9" * 9999,
    ],
)
def test_what_is_no_label_file_is_a_user_error(tmp_path, capsys, content):
    source = put(write_images(tmp_path) / "labels.any", content)
    assert main(["import", str(source), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ringsam import: {source}: ") and "Traceback" not in said


def test_bytes_that_are_no_text_are_told(tmp_path):
    source = write_images(tmp_path) / "labels.csv"
    source.write_bytes(b"image,x1\xff\xfe")
    assert "is not UTF-8 at byte 8; save it as UTF-8" in refused(tmp_path, source)


def test_two_formats_in_a_folder_are_told_apart(tmp_path):
    cvat(pascal_voc(write_images(tmp_path)))
    assert "several formats" in refused(tmp_path, tmp_path)


JUNK = ["", "null", "-1", "0", "1e308", "1e999", "9" * 400, "[]", "{}", '"', "<", "NaN", "\0", "é", "..", "true"]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(choices=st.data())
def test_no_malformed_label_gives_a_traceback(tmp_path, tool, choices):
    source = TOOLS[tool](write_images(tmp_path))
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".png"]
    file = choices.draw(st.sampled_from(sorted(files)))
    words = re.split(r"([\w.%-]+)", file.read_text())
    for place in choices.draw(st.lists(st.integers(0, len(words) - 1), min_size=1, max_size=3)):
        words[place] = choices.draw(st.sampled_from(JUNK))
    put(file, "".join(words))
    target = tmp_path / "two_boxes.json"
    target.unlink(missing_ok=True)
    try:
        import_labels(source, target)
    except InputError as error:
        assert not target.exists() and str(error)
    else:
        assert json.loads(target.read_text())["images"]
    target.unlink(missing_ok=True)
