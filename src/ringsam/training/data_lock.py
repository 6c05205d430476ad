"""What a run learns from, to the byte: a resume with other labels or images is refused, and told which."""

import json
from pathlib import Path
from typing import Any

from ringsam.data.dataset import TwoBoxData
from ringsam.digests import sha256
from ringsam.errors import InputError
from ringsam.runs import RunFolder, write_json


def lock_data(folder: RunFolder, data: TwoBoxData, path: Path) -> None:
    """Write down where the data lies and what it holds."""
    write_json(folder.data_note, {"data": str(path.resolve()), **_contents(data)})


def locked_path(folder: RunFolder) -> Path:
    """Where the run's data lies; raises InputError where the note is damaged."""
    return Path(_read(folder)["data"])


def refuse_changed_data(folder: RunFolder, data: TwoBoxData) -> None:
    """Raises InputError with a row for each file that is not what the run was started with."""
    before, now = _read(folder), _contents(data)
    changed = [
        f"{name}: {'is new' if name not in old else 'is gone' if name not in new else 'was changed'}"
        for old, new in ((before["labels"], now["labels"]), (before["images"], now["images"]))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if changed:
        mend = "put the old files back, or train a new run"
        message = f"{len(changed)} file(s) changed since {folder.path} was started; {mend}:"
        raise InputError(message, changed)


def _contents(data: TwoBoxData) -> dict[str, dict[str, str]]:
    """The SHA-256 of the labels and of each image, by name."""
    return {
        "labels": {data.source.name: sha256(data.source)},
        "images": {record.file_name: sha256(record.path) for record in data.images},
    }


def _read(folder: RunFolder) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads(folder.data_note.read_text(encoding="utf-8"))
        return {
            "data": str(note["data"]),
            "labels": dict(note["labels"]),
            "images": dict(note["images"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = "the run cannot be resumed; train a new one"
        raise InputError(
            f"{folder.data_note}: does not say what the run learned from; {mend}"
        ) from error
