"""Whether a comparison is made on images that the run learned from."""

from collections.abc import Sequence

from ringsam.data.fields import short_text
from ringsam.data.records import ImageRecord
from ringsam.digests import sha256
from ringsam.provenance import read_note
from ringsam.runs import RunFolder


def learned_from(run: RunFolder, records: Sequence[ImageRecord]) -> list[str]:
    """The names of the images whose files, under whichever name, the run was trained on."""
    note = read_note(run)
    if note is None:
        return []
    known = set(note.images.values())
    return [record.file_name for record in records if sha256(record.path) in known]


def warning_of(names: Sequence[str], num_images: int) -> str:
    first = ", ".join(map(short_text, names[:3])) + (", ..." if len(names) > 3 else "")
    return (
        f"warning: the run learned from {len(names)} of the {num_images} images ({first}), "
        "which flatters it; compare on others"
    )
