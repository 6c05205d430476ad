"""Row 12: an object with one box is an error; `ringsam import` alone proposes the other, counted and marked in the file."""

import json

from data.formats.drawn_boxes import put, write_images
from data.written_rows import an_object

from ringsam.cli import main


def test_one_box_is_an_error_of_its_row(make_data, capsys):
    assert main(["check", str(make_data([an_object(3, small_box=...)]))]) == 2
    said = capsys.readouterr().out
    assert "annotation 3: has a big_box but no small_box; draw the small_box as well" in said


def test_the_import_proposes_the_other_and_marks_it(tmp_path, capsys):
    write_images(tmp_path)
    source = put(tmp_path / "one.csv", "image,x1,y1,x2,y2\na.png,1,1,20,20\na.png,30,5,50,30\n")
    assert main(["import", str(source), "--out", str(tmp_path)]) == 0
    assert "2 small boxes are proposed" in capsys.readouterr().out
    rows = json.loads((tmp_path / "two_boxes.json").read_text())["annotations"]
    assert [row["derived"] for row in rows] == [["small_box"], ["small_box"]]
