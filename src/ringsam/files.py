"""Files and folders that are there whole or not at all, whatever ends the process."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringsam.errors import InputError, NotWritten


def nearest_folder(path: Path) -> Path:
    """The first of the path and what it lies in that is there."""
    place = path.resolve()
    return next(folder for folder in (place, *place.parents) if folder.exists())


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A hidden path beside `path` for a file that takes its place at the end; a crash leaves either the old one or the new one.

    Raises NotWritten where the disk refuses.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise NotWritten(path, error) from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a crash leaves either the old one or the new one; raises NotWritten."""
    with replaced(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def moved_into_place(out: Path) -> Iterator[Path]:
    """A hidden path beside `out`, for a file or a folder: at the end it becomes `out`, and it goes if anything fails.

    An empty folder at `out` makes way. Raises InputError where the disk refuses.
    """
    place = out.resolve()
    unfinished = place.with_name(f".{place.name}.unfinished")
    try:
        _remove(unfinished)
        place.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if place.is_dir():
            place.rmdir()
        unfinished.rename(place)
    except OSError as error:
        mend = "give another --out, or make room"
        raise InputError(f"{out}: cannot be written: {error.strerror or error}; {mend}") from error
    finally:
        _remove(unfinished)


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder that takes the place of `path`: it is there whole, or not at all."""
    with moved_into_place(path) as unfinished:
        write(unfinished)
        shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()


def write_json(path: Path, value: object) -> None:
    write_atomically(path, json.dumps(value, indent=1, allow_nan=False) + "\n")
