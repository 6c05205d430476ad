"""Row 10: inverted, empty, infinite and written boxes are errors that name their row; `--fix` swaps inverted ones and keeps the old file."""

import json

import pytest
from data.written_rows import BIG, SMALL, an_object

from ringsam.cli import main

BAD = {
    "inverted": [40, 10, 10, 30],
    "has no area": [10, 10, 10, 30],
    "not finite": [10, 10, 1e999, 30],
    "not a number": [10, 10, "40", 30],
    "not four numbers": "10,10,40,30",
}


@pytest.mark.parametrize("reason", BAD)
def test_a_box_that_is_none_is_an_error_of_its_row(make_data, capsys, reason):
    folder = make_data([an_object(), an_object(7, big_box=BAD[reason])])
    assert main(["check", str(folder)]) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error")]
    assert any("a.png: annotation 7: big_box" in line and reason in line for line in lines)
    assert not any("annotation 1:" in line for line in lines)


def test_fix_swaps_what_is_inverted_and_keeps_the_old_file(make_data, capsys):
    inverted = an_object(2, big_box=[40, 30, 10, 10], small_box=[30, 15, 20, 25], mine="kept")
    folder = make_data([an_object(), inverted])
    old = (folder / "two_boxes.json").read_text()
    assert main(["check", str(folder)]) == 2
    assert main(["check", str(folder), "--fix"]) == 0
    assert "2 inverted boxes swapped" in capsys.readouterr().out
    row = json.loads((folder / "two_boxes.json").read_text())["annotations"][1]
    assert (row["big_box"], row["small_box"], row["mine"]) == (BIG, SMALL, "kept")
    assert (folder / "two_boxes.json.before_fix").read_text() == old
    make_data([an_object(3, big_box=[40, 30, 10, 10])])
    assert main(["check", str(folder), "--fix"]) == 0
    assert (folder / "two_boxes.json.before_fix").read_text() == old


def test_fix_leaves_alone_what_has_no_one_mend(make_data, capsys):
    folder = make_data([an_object(big_box=[10, 10, 10, 30])])
    old = (folder / "two_boxes.json").read_text()
    assert main(["check", str(folder), "--fix"]) == 2
    assert "0 inverted boxes swapped" in capsys.readouterr().out
    assert (folder / "two_boxes.json").read_text() == old
