"""What was judged of a large annotation file, kept beside it: the next reader maps it from disk instead of judging again.

An index belongs to the file's content and the images' place; changed labels never meet an old one. Of the images it knows the
sizes: one that changed is refused when its pixels are read, and `check` judges all anew and renews the index.
"""

import glob
import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ringsam.data.findings import Finding
from ringsam.data.records import ImageRecords, TwoBoxData
from ringsam.data.table import ImageTable
from ringsam.files import write_json

LARGE_BYTES = 16 << 20  # of an annotation file; a smaller one is judged in seconds

_LAYOUT = "2"  # of the index; another reads no older one


def read_index(source: Path, root: Path) -> TwoBoxData | None:
    """What was judged of this file with images in `root`; None where nothing was, or it cannot be read."""
    if source.stat().st_size < LARGE_BYTES:
        return None
    place = _place(source, root)
    try:
        known = json.loads((place / "known.json").read_text(encoding="utf-8"))
        table = ImageTable.load(place)
        return TwoBoxData(
            root=root,
            source=source,
            images=ImageRecords(table, root, np.arange(len(table.image_ids))),
            categories={int(i): name for i, name in known["categories"].items()},
            warnings=tuple(Finding(**finding) for finding in known["warnings"]),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None  # the index is but a copy: the file is judged again


def write_index(data: TwoBoxData) -> TwoBoxData:
    """Keep what was judged of a large file without errors; returns the same, mapped from disk.

    Where the disk refuses, the data itself with a warning.
    """
    if data.source.stat().st_size < LARGE_BYTES:
        return data
    place = _place(data.source, data.root)
    try:
        _write(data, place)
    except OSError as error:
        reason = f"no index can be kept beside it ({error.strerror}), so that it is judged each time it is read"
        told = Finding("warning", data.source.name, "", reason, "make its folder writable")
        return replace(data, warnings=(*data.warnings, told))
    return read_index(data.source, data.root) or data


def _write(data: TwoBoxData, place: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f".{data.source.name}.", dir=place.parent))
    try:
        data.images.table.save(unfinished)
        warnings = [asdict(finding) for finding in data.warnings]
        write_json(unfinished / "known.json", {"categories": data.categories, "warnings": warnings})
        for old in place.parent.glob(f".{glob.escape(data.source.name)}.*.index"):
            shutil.rmtree(old, ignore_errors=True)
        with suppress(FileExistsError):  # another process was faster with the same
            unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _place(source: Path, root: Path) -> Path:
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"{_LAYOUT} {root.resolve()}".encode("utf-8", "surrogateescape"))
    return source.with_name(f".{source.name}.{digest.hexdigest()[:16]}.index")
