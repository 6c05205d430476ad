"""Does each test of docs/reliability.md see the fault it is named after? The guarded line is broken, and its test must fail.

python -m benchmarks.mutations                  # every line of benchmarks/guarded_lines.py, about twenty minutes on two cores
python -m benchmarks.mutations --rows 34 36     # those of some rows of the table

Lines are broken in a copy of the tree. Each test first passes there as it stands, then fails once its line is broken.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
import tyro

from benchmarks.guarded_lines import MUTATIONS, Mutation
from benchmarks.tables import RESULTS, put_row

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "benchmarks", "docs", "pyproject.toml")
PASSED, FAILED = 0, 1  # as pytest exits; an error in finding the tests is another
MOST_SECONDS = 1800


@dataclass
class Arguments:
    """Which rows of the failure table."""

    rows: tuple[int, ...] = tuple(sorted({each.row for each in MUTATIONS}))
    table: Path = RESULTS / "mutations.md"


def broken(mutation: Mutation, source: str) -> str:
    """The file with the line broken; raises ValueError where the line is not there, or not once."""
    if (found := source.count(mutation.old)) != 1:
        raise ValueError(
            f"src/ringsam/{mutation.file}: the line to break stands there {found} times, not once: "
            f"{mutation.old}; mend benchmarks/guarded_lines.py"
        )
    return source.replace(mutation.old, mutation.new)


def copy_of_the_tree(place: Path) -> Path:
    for name in COPIED:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, place / name)
    return place


class Outcome(NamedTuple):
    """pytest's exit code, and why the first test failed in its words, but for paths of this machine."""

    code: int
    words: str


def outcome(tree: Path, *tests: str) -> Outcome:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-rf", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",  # else a line broken within a second would be read from there
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [*command, *(f"tests/{test}" for test in tests)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    reasons = re.findall(r"^FAILED .*? - (.*)$", done.stdout, re.MULTILINE)
    said = reasons[0] if reasons else (done.stdout + done.stderr)[-1000:]
    return Outcome(done.returncode, re.sub(r"/[\w./-]{4,}", "...", said))


HEAD = (
    "# Guarded lines broken on purpose",
    "",
    "`python -m benchmarks.mutations`",
    "",
    f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}. Each test passes while its line is whole.",
    "",
    "| row | the fault | the line in src/ringsam | becomes | the test that fails | how |",
    "|---|---|---|---|---|---|",
)


def break_all(mutations: Sequence[Mutation], table: Path) -> None:
    """A row of the table for each; raises SystemExit where a test does not pass before, or does not fail after."""
    with TemporaryDirectory() as name:
        tree = copy_of_the_tree(Path(name))
        for each in mutations:
            broken(each, (tree / each.path).read_text(encoding="utf-8"))
        whole = outcome(tree, *dict.fromkeys(each.test for each in mutations))
        if whole.code != PASSED:
            raise SystemExit(f"a test fails although its line is whole: {whole.words}")
        blind = [each for each in mutations if not sees(each, tree, table)]
    if blind:
        told = [f"{each.test} does not fail though {each.fault}" for each in blind]
        raise SystemExit("\n".join(told))


def sees(mutation: Mutation, tree: Path, table: Path) -> bool:
    """Whether the test fails once the line is broken; then it has its row."""
    said = with_the_line_broken(mutation, tree)
    if said.code == FAILED:
        put_row(row(mutation, said.words[:80]), table, head=HEAD, named_by=2)
    return said.code == FAILED


def with_the_line_broken(mutation: Mutation, tree: Path) -> Outcome:
    path = tree / mutation.path
    source = path.read_text(encoding="utf-8")
    path.write_text(broken(mutation, source), encoding="utf-8")
    try:
        return outcome(tree, mutation.test)
    finally:
        path.write_text(source, encoding="utf-8")


def row(mutation: Mutation, how: str) -> str:
    old, new = f"`{mutation.file}`: `{mutation.old}`", f"`{mutation.new}`"
    cells = (str(mutation.row), mutation.fault, old, new, f"`{mutation.test}`", f"`{how}`")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main(arguments: Arguments) -> None:
    """The table grows with each row; those of other mutations stay."""
    break_all([each for each in MUTATIONS if each.row in arguments.rows], arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
