"""Row 48: a name that a spreadsheet would run as a formula is text in the CSV that `ringsam bench` writes."""

import csv

import pytest

from ringsam.bench.table import Row, write_tables


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1"])
def test_a_name_like_a_formula_gets_an_apostrophe(tmp_path, name):
    rows = [
        Row(name, name, 0, "box", 0.5, 0.25, 1.0),
        Row("cells", "best", 0, "box", 0.5, 0.6, 1.0),
    ]
    write_tables(rows, tmp_path / "table.md", "ringsam bench")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["data"] == first["recipe"] == f"'{name}"
    assert (second["data"], second["recipe"]) == ("cells", "best")
    assert float(first["adapted"]) == 0.25
