"""Label files of a folder, each read in the format that its content shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ringsam.data.formats import (
    coco,
    csv_table,
    cvat,
    label_studio,
    labelme,
    pascal_voc,
    yolo,
)
from ringsam.data.formats.documents import Document, open_document
from ringsam.data.formats.regions import Labels
from ringsam.errors import InputError


class Format(Protocol):
    """What each module of a format is."""

    def recognises(self, document: Document) -> bool: ...

    def read(self, document: Document, labels: Labels) -> None: ...


FORMATS: Mapping[str, Format] = {
    "COCO": coco,
    "CSV": csv_table,
    "YOLO": yolo,
    "Pascal VOC": pascal_voc,
    "LabelMe": labelme,
    "Label Studio": label_studio,
    "CVAT": cvat,
}
_SUFFIXES = frozenset({".json", ".csv", ".tsv", ".txt", ".xml"})  # that a folder is searched for


def read_labels(source: Path) -> Labels:
    """All that a label file, or a folder of them, says.

    Raises InputError where there are no labels of a known format, or of more than one.
    """
    labels = Labels()
    formats: dict[str, Path] = {}  # with the first file of each
    empty, unknown = [], []
    for path in _label_files(source):
        with labels.row(path):
            document = open_document(path)
            name = next((name for name in FORMATS if FORMATS[name].recognises(document)), None)
            if name is not None:
                formats.setdefault(name, path)
                FORMATS[name].read(document, labels)
            elif document.is_empty:
                empty.append(document)
            else:
                labels.skipped["file without labels"] += 1
                unknown.append(csv_table.what_is_missing(document))
    if len(formats) > 1:
        found = ", ".join(f"{name} ({path})" for name, path in formats.items())
        raise InputError(f"{source}: holds labels of several formats: {found}; name one of them")
    if not formats and not labels.findings:
        known = ", ".join(FORMATS)
        missing = next(filter(None, unknown), "")
        raise InputError(f"{source}: holds no labels of a known format ({known}){missing}")
    labels.format = "".join(formats)
    _read_empty(empty, labels)
    return labels


def _read_empty(documents: list[Document], labels: Labels) -> None:
    """YOLO's way to say that an image has no object."""
    for document in documents:
        if labels.format == "YOLO":
            yolo.read(document, labels)
        else:
            labels.skipped["empty file"] += 1


def _label_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in _SUFFIXES and path.name not in yolo.NAME_FILES and path.is_file()
    )
