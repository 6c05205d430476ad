"""docs/reliability.md names for each of the 48 rows the test that holds it, or why it is struck."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (\d+) \| [^|]+ \| `([^`]+)` \| ([^|]*) \|$",
    (ROOT / "docs/reliability.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_each_row_has_a_test_that_exists():
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 49))
    for number, file, _ in ROWS:
        assert (ROOT / file).is_file(), number
        if "tests/failures/" in file:
            assert f"test_{int(number):02d}_" in file
            assert f"Row {number}:" in (ROOT / file).read_text(encoding="utf-8").splitlines()[0]


def test_every_test_that_a_row_names_beside_its_own_exists():
    named = [name for _, _, beside in ROWS for name in re.findall(r"tests/[\w/]+\.py", beside)]
    assert named and all((ROOT / name).is_file() for name in named)


def test_each_test_of_a_row_is_named_in_the_document():
    files = {
        path.relative_to(ROOT).as_posix() for path in Path(__file__).parent.glob("test_??_*.py")
    }
    assert files <= {file for _, file, _ in ROWS}
