"""A change that was told to be saved is in the file, whatever happens in between."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringsam.pages import shared_file
from ringsam.pages.journal import changes_between, with_changes
from ringsam.pages.shared_file import SharedFile


def opened(path: Path) -> SharedFile:
    return SharedFile(
        path, read=lambda path: json.loads(path.read_text()), new=lambda: {"annotations": []}
    )


def save(file: SharedFile, *ids: int) -> None:
    with file.alone():
        file.write({"annotations": [{"id": i} for i in ids]})


def ids_in(path: Path) -> list[int]:
    return [row["id"] for row in json.loads(path.read_text())["annotations"]]


@pytest.mark.parametrize("before", [(), (1,), (1, 2, 3)])
def test_a_crash_before_the_file_is_written_loses_nothing(tmp_path, monkeypatch, before):
    path = tmp_path / "boxes.json"
    if before:
        save(opened(path), *before)
    monkeypatch.setattr(shared_file, "write_json", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        save(opened(path), 2, 4)
    monkeypatch.undo()
    assert opened(path).recovered == 1
    assert ids_in(path) == [2, 4]
    assert opened(path).recovered == 0


def test_a_process_killed_between_journal_and_file_loses_nothing(tmp_path):
    path = tmp_path / "boxes.json"
    save(opened(path), 1)
    code = (
        "import os, signal; from pathlib import Path; from test_shared_file import *\n"
        "shared_file.write_json = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"save(opened(Path({str(path)!r})), 1, 2)"
    )
    folders = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert killed.returncode == -9
    assert opened(path).recovered == 1 and ids_in(path) == [1, 2]


def test_what_is_written_is_not_written_again_over_a_file_put_back(tmp_path):
    path = tmp_path / "boxes.json"
    save(opened(path), 1)
    backup = path.read_text()
    save(opened(path), 1, 2)
    path.write_text(backup)
    assert opened(path).recovered == 0
    assert ids_in(path) == [1]


def test_a_file_that_somebody_changed_since_is_left_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "boxes.json"
    save(opened(path), 1)
    monkeypatch.setattr(shared_file, "write_json", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        save(opened(path), 1, 2)
    monkeypatch.undo()
    path.write_text('{"annotations": [{"id": 9}]}')
    assert opened(path).recovered == 0
    assert ids_in(path) == [9]


@pytest.mark.parametrize("others_go_on", [False, True])
def test_a_line_that_was_cut_never_counted(tmp_path, others_go_on):
    path = tmp_path / "boxes.json"
    other = opened(path)
    save(other, 1)
    with (tmp_path / ".boxes.json.journal").open("a") as journal:
        journal.write('\n{"base": null, "chan')
    if others_go_on:
        save(other, 1, 2)
    assert opened(path).recovered == 0
    assert ids_in(path) == ([1, 2] if others_go_on else [1])


def test_changes_carry_one_content_into_the_other():
    old = {"info": 1, "images": [{"id": 1}], "annotations": [{"id": 1}, {"id": 2}, {"id": 3}]}
    new = old | {
        "annotations": [{"id": 1, "x": 2}, {"id": 3}, {"id": 5}],
        "categories": [{"id": 1}],
    }
    changes = changes_between(old, new)
    assert with_changes(old, json.loads(json.dumps(changes))) == new
    assert [row["id"] for row in changes["annotations"]["rows"]] == [1, 5]
