"""From labels of another tool to two_boxes.json: read, find the images, pair, judge, write, check."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ringsam.data.annotations import NAMES, image_folder
from ringsam.data.check import CheckResult, check
from ringsam.data.fields import Size
from ringsam.data.findings import Finding, RowProblem, finding_lines, shown
from ringsam.data.formats.image_finder import ImageFinder
from ringsam.data.formats.pairing import Pairing, pair_regions
from ringsam.data.formats.reading import read_labels
from ringsam.data.formats.regions import LabelledImage, Labels, Region
from ringsam.data.formats.two_boxes import TwoBoxes, rounded
from ringsam.errors import InputError
from ringsam.files import write_atomically


class _Placed(NamedTuple):
    """A labelled image, found; its regions are in pixels."""

    image: LabelledImage
    file_name: str
    size: Size


def import_labels(
    source: Path,
    out: Path,
    *,
    images: Path | None = None,
    single_boxes: bool = False,
    keep_masks: bool = False,
) -> str:
    """Write two_boxes.json beside its images; says what is in it, what was proposed, what passed over.

    `out` is the JSON or the folder for it; `images`, where the images lie, is there or below. With
    `single_boxes` no box is paired because it lies in another; with `keep_masks` an object that came as a mask keeps it.
    Raises InputError with every bad row, and then writes nothing.
    """
    if not source.exists():
        raise InputError(f"{source}: no such folder or file")
    target = _free_place(out)
    root = image_folder(target).resolve()
    finder = ImageFinder(_images_below(root, target, images))
    labels = read_labels(source)
    placed = _find_images(labels, finder, root)
    pairings = [pair_regions(found.image, labels, single_boxes=single_boxes) for found in placed]
    _refuse_half_pairs(placed, pairings, labels)
    content = _assemble(placed, pairings, labels, TwoBoxes(keep_masks=keep_masks))
    _refuse(source, labels.findings)
    result = _write(target, content)
    skipped = ", ".join(f"{n} x {kind}" for kind, n in labels.skipped.most_common())
    lines = [
        *finding_lines(labels.findings),
        f"{source}: {labels.format}, {len(content.annotations)} objects on {len(placed)} images",
        *content.notes(),
        *([f"skipped: {skipped}"] if skipped else []),
        result.text(),
    ]
    return "\n".join(lines)


def _free_place(out: Path) -> Path:
    target = out if out.suffix.lower() == ".json" else out / NAMES[0]
    if target.exists():
        raise InputError(f"{target}: exists already; move it away, or give another --out")
    if not target.parent.is_dir():
        raise InputError(
            f"{target.parent}: no such folder; --out is the folder with the images, or a JSON in it"
        )
    return target


def _images_below(root: Path, target: Path, images: Path | None) -> Path:
    if images is None:
        return root
    if not images.is_dir():
        raise InputError(f"{images}: no such folder; --images is where the images lie")
    if not images.resolve().is_relative_to(root):
        raise InputError(
            f"{target}: its images would be looked for in {root}; "
            f"write it beside them: --out {images}"
        )
    return images.resolve()


def _find_images(labels: Labels, finder: ImageFinder, root: Path) -> list[_Placed]:
    placed: dict[Path, _Placed] = {}
    for image in labels.images:
        with labels.row(image.file):
            path, size = finder.find(image)
            if path in placed:
                other = placed[path].image.file
                raise RowProblem(f"{path.name} is labelled twice, also in {other}", "keep one")
            image.regions = [
                _in_pixels(region, size if image.in_fractions else (1, 1))
                for region in image.regions
            ]
            placed[path] = _Placed(image, path.relative_to(root).as_posix(), size)
    return list(placed.values())


def _in_pixels(region: Region, unit: Size) -> Region:
    """The region of coordinates that count (height, width) of a unit."""
    height, width = unit
    if region.box is not None:
        x1, y1, x2, y2 = region.box
        return replace(region, box=rounded((x1 * width, y1 * height, x2 * width, y2 * height)))
    if unit == (1, 1) or not isinstance(region.segmentation, list):
        return region
    polygons = [
        [v * (height if i % 2 else width) for i, v in enumerate(polygon)]
        for polygon in region.segmentation
    ]
    return replace(region, segmentation=polygons)


def _refuse_half_pairs(
    placed: Sequence[_Placed], pairings: Sequence[Pairing], labels: Labels
) -> None:
    """Where boxes come in pairs, one without a partner is a slip, not an object of one box."""
    if not any(pairing.nested for pairing in pairings):
        return
    problem = RowProblem(
        "finds no partner that lies in it or holds it, as other boxes do",
        "draw it, or say --single_boxes if each box is an object of its own",
    )
    for found, pairing in zip(placed, pairings, strict=True):
        for lone in pairing.lone:
            labels.tell(problem, found.image.file, lone.where)


def _assemble(
    placed: Sequence[_Placed], pairings: Sequence[Pairing], labels: Labels, content: TwoBoxes
) -> TwoBoxes:
    """`content` with every object that can be used."""
    for (image, file_name, size), pairing in zip(placed, pairings, strict=True):
        content.add_image(file_name, size)
        for found in (*pairing.grouped, *pairing.nested, *pairing.lone):
            with labels.row(image.file, found.where):
                warnings = content.add_object(found, size)
                file = shown(str(image.file))
                labels.findings += [Finding("warning", file, found.where, *w) for w in warnings]
    return content


def _refuse(source: Path, findings: Sequence[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        message = f"{source}: {len(errors)} errors in the labels; nothing is written"
        raise InputError(message, finding_lines(errors))


def _write(target: Path, content: TwoBoxes) -> CheckResult:
    """Takes the file back where its own check finds an error in it or in an image."""
    write_atomically(target, content.json())
    result = check(target)
    if result.errors:
        target.unlink()
        _refuse(target, result.errors)
    return result
