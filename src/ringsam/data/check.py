"""Everything that is wrong with a data set, found in one go: all rows, all images decoded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ringsam.data.fields import short_text
from ringsam.data.findings import Finding, RowProblem, UnreadableImage, finding_lines, shown
from ringsam.data.images import read_image
from ringsam.data.index import write_index
from ringsam.data.masks import decode_mask
from ringsam.data.places import Places, hash_of
from ringsam.data.records import ImageRecord
from ringsam.data.rows import Examination, examine
from ringsam.errors import InputError


@dataclass(frozen=True)
class CheckResult:
    """What `check` found; the counts are of what is usable."""

    source: Path
    findings: tuple[Finding, ...]
    num_images: int
    num_objects: int
    num_images_without_objects: int
    num_images_with_masks: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def unreadable(self) -> dict[int, Finding]:
        """Of the errors those that are gone when their images are left out, by the images' ids."""
        return {found.unreadable: found for found in self.errors if found.unreadable is not None}

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def summary(self) -> str:
        """One line with all counts."""
        return (
            f"{self.source}: {self.num_images} usable images with {self.num_objects} objects "
            f"({self.num_images_without_objects} without any, "
            f"{self.num_images_with_masks} with masks), "
            f"{len(self.errors)} errors, {len(self.warnings)} warnings"
        )

    def text(self, *, limit: int = 50) -> str:
        """The findings, errors first, at most `limit`, then the summary."""
        return "\n".join([*finding_lines(self.findings, limit=limit), self.summary])


def check(data: Path) -> CheckResult:
    """Judges every row and decodes every image and mask of `data`.

    Raises InputError only where there is no annotation file, or it is no COCO JSON at all or another tool's.
    """
    examined = examine(data)
    records, findings = examined.records, list(examined.findings)
    decoded = np.zeros(len(records), dtype=np.bool_)
    seen, copies = Places(), dict[int, list[str]]()
    for index, record in enumerate(records):
        name = short_text(record.file_name)
        try:
            digest = _digest(record)
            decoded[index] = True
            first = seen.find(digest)
            if first is None:
                seen.add(digest, index)
            else:
                copies.setdefault(first, [short_text(records[first].file_name)]).append(name)
        except RowProblem as problem:
            findings.append(problem.at(name, f"image {record.image_id}"))
        findings += _bad_masks(record)
    findings += [_duplicates(names) for names in copies.values()]
    findings += _unused(examined)
    if not any(finding.severity == "error" for finding in findings):
        write_index(examined.usable())
    usable = records.choose(decoded)
    num_objects, num_masks = usable.num_objects, usable.num_masks
    return CheckResult(
        source=examined.source,
        findings=tuple(findings),
        num_images=len(usable),
        num_objects=int(num_objects.sum()),
        num_images_without_objects=int((num_objects == 0).sum()),
        num_images_with_masks=int(((num_objects > 0) & (num_objects == num_masks)).sum()),
    )


def _digest(record: ImageRecord) -> int:
    """What tells the pixels from another image's; raises RowProblem where they cannot be had."""
    try:
        pixels = read_image(record.path)
    except InputError as error:
        reason = str(error).removeprefix(f"{record.path}: ")
        raise UnreadableImage(reason, record.image_id) from error
    if pixels.shape[:2] != (record.height, record.width):
        raise RowProblem(
            f"its header says {record.width} x {record.height}, its pixels are "
            f"{pixels.shape[1]} x {pixels.shape[0]}",
            "save it anew as PNG or TIFF",
        )
    return hash_of(f"{pixels.shape} {hashlib.sha256(pixels.data).hexdigest()}")


def _bad_masks(record: ImageRecord) -> list[Finding]:
    findings = []
    known, name = 0, short_text(record.file_name)
    for object_id, segmentation in zip(record.object_ids, record.segmentations, strict=True):
        if segmentation is None:
            continue
        known += 1
        try:
            decode_mask(segmentation, (record.height, record.width))
        except RowProblem as problem:
            findings.append(problem.at(name, f"annotation {object_id}"))
    if 0 < known < record.num_objects:
        reason = f"{known} of {record.num_objects} objects have a mask, so none of them is used"
        where = f"image {record.image_id}"
        findings.append(Finding("warning", name, where, reason, "add the others"))
    return findings


def _duplicates(names: Sequence[str]) -> Finding:
    others = ", ".join(names[1:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return Finding("warning", names[0], "", f"has the same pixels as {others}", "keep one of them")


def _unused(examined: Examination) -> list[Finding]:
    used = Places()
    for index, record in enumerate(examined.records):
        used.add(hash_of(str(record.path)), index)
    files = [p for p in examined.folder.image_files() if used.find(hash_of(str(p))) is None]
    if not files:
        return []
    first = ", ".join(shown(path.name) for path in files[:3]) + (", ..." if len(files) > 3 else "")
    reason = f"{len(files)} image files are not used: {first}"
    return [
        Finding("warning", examined.source.name, "", reason, "add them to images, or leave them")
    ]
