"""What a run learns from, to the byte, and how: a resume with other labels, images or settings is told which."""

from pathlib import Path

from ringsam.config import Config, settings
from ringsam.data.dataset import TwoBoxData
from ringsam.data.findings import shown
from ringsam.digests import sha256
from ringsam.errors import InputError
from ringsam.files import write_json
from ringsam.provenance import DataNote, read_note
from ringsam.runs import RunFolder
from ringsam.training.changes import changed_settings


def lock_run(folder: RunFolder, data: TwoBoxData, path: Path, config: Config) -> None:
    """Write down where the data lies, what it holds, and the settings."""
    note = DataNote(str(path.resolve()), **_contents(data), settings=settings(config))
    write_json(folder.data_note, note._asdict())


def locked_path(folder: RunFolder) -> Path:
    """Where the run's data lies; raises InputError where the note is damaged."""
    return Path(_read(folder).data)


def changes_since_start(folder: RunFolder, data: TwoBoxData, config: Config) -> list[str]:
    """A row for each file and setting that is not what the run was started with."""
    before, now = _read(folder), _contents(data)
    changed = [
        f"{shown(name)}: {'is new' if name not in old else 'is gone' if name not in new else 'was changed'}"
        for old, new in ((before.labels, now["labels"]), (before.images, now["images"]))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    return changed + changed_settings(before.settings, config)


def _contents(data: TwoBoxData) -> dict[str, dict[str, str]]:
    """The SHA-256 of the labels and of each image, by name."""
    return {
        "labels": {data.source.name: sha256(data.source)},
        "images": {record.file_name: sha256(record.path) for record in data.images},
    }


def _read(folder: RunFolder) -> DataNote:
    note = read_note(folder)
    if note is None:
        mend = "the run cannot be resumed; train a new one"
        raise InputError(
            f"{folder.data_note}: is missing, and with it what the run learned from; {mend}"
        )
    return note
