"""The list of lines that `benchmarks.mutations` breaks fits the tree."""

import pytest

from benchmarks.guarded_lines import MUTATIONS, Mutation
from benchmarks.mutations import ROOT, broken


@pytest.mark.parametrize("each", MUTATIONS, ids=lambda each: f"{each.row} {each.fault}")
def test_each_line_stands_once_in_its_file_and_its_test_exists(each):
    source = (ROOT / each.path).read_text(encoding="utf-8")
    assert broken(each, source) != source
    file, _, name = each.test.partition("::")
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert f"\ndef {name or 'test_'}" in text and (not name or f"def {name}(" in text)


def test_fifteen_rows_at_least_are_among_them():
    assert len({each.row for each in MUTATIONS}) >= 15


@pytest.mark.parametrize("source", ["", "the line, the line"])
def test_a_line_that_is_gone_or_stands_twice_is_refused(source):
    gone = Mutation(1, "a fault", "cli.py", "the line", "another", "test_cli.py")
    with pytest.raises(ValueError, match=r"cli\.py: the line to break stands there [02] times"):
        broken(gone, source)
