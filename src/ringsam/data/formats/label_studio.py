"""Label Studio's JSON export: percent of the image; paired by relation or parent where there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

from ringsam.data.fields import Row, fields_of, short_text
from ringsam.data.findings import RowProblem
from ringsam.data.formats.documents import Document
from ringsam.data.formats.regions import (
    LabelledImage,
    Labels,
    Region,
    names_of_upload,
    number,
    point_list,
    side_box,
    stated_size,
    text,
)

_BOXES, _POLYGONS = ("rectanglelabels", "rectangle"), ("polygonlabels", "polygon")
_LABELS = ("rectanglelabels", "polygonlabels", "labels")
_NO_SHAPE = ("labels", "relation")  # they tell something of a shape


def recognises(document: Document) -> bool:
    rows = document.content
    return isinstance(rows, list) and any(
        isinstance(row, dict) and {"data", "annotations"} <= row.keys() for row in rows
    )


def read(document: Document, labels: Labels) -> None:
    """Adds every task that someone annotated; the others are passed over."""
    assert isinstance(document.content, list)
    for index, row in enumerate(document.content):
        with labels.row(document.path, f"tasks[{index}]"):
            task = fields_of(row)
            where = f"task {short_text(task.get('id', f'[{index}]'))}"
            results = _results(task)
            if results is None:
                labels.skipped["task without an annotation"] += 1
                continue
            image = LabelledImage(document.path, _image_names(task))
            labels.images.append(image)
            _read_results(results, image, labels, where)


def _results(task: Row) -> Sequence[object] | None:
    annotations = task.get("annotations")
    if not isinstance(annotations, list):
        raise RowProblem("annotations is no list", "export it as JSON")
    kept = [row for row in map(fields_of, annotations) if not row.get("was_cancelled")]
    if len(kept) > 1:
        raise RowProblem(f"has {len(kept)} annotations", "keep one of them")
    results = kept[0].get("result") if kept else []
    if not isinstance(results, list):
        raise RowProblem("result is no list", "export it as JSON")
    return results if kept else None


def _image_names(task: Row) -> tuple[str, ...]:
    """The image's name from its address, and as it was before it was uploaded."""
    data = fields_of(task.get("data"))
    addresses = [data["image"]] if "image" in data else list(data.values())
    if len(addresses) != 1:
        raise RowProblem("does not say which of its data is the image", "call it image")
    address = text(addresses[0], "image")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise RowProblem(f"image {short_text(address)} is no address", "mend it") from error
    local = parse_qs(parts.query).get("d", [parts.path])[0]
    return names_of_upload(unquote(local))


def _read_results(
    results: Sequence[object], image: LabelledImage, labels: Labels, where: str
) -> None:
    rows = []
    for index, result in enumerate(results):
        with labels.row(image.file, f"{where}, result[{index}]"):
            rows.append(fields_of(result))
    names = _names(rows)
    groups = _groups(rows)
    for row in rows:
        region_id = str(row.get("id"))
        kind = row.get("type")
        if kind in _NO_SHAPE:
            continue
        if kind not in _BOXES + _POLYGONS:
            labels.skipped[short_text(kind)] += 1
            continue
        at = f"{where}, region {short_text(region_id)}"
        with labels.row(image.file, at):
            size = stated_size(row.get("original_height"), row.get("original_width"))
            if size is None:
                raise RowProblem("original_width or original_height is missing", "export it anew")
            image.size = size
            label, group = names.get(region_id, ""), groups.get(region_id)
            image.regions.append(_region(row, size, Region(at, label, group=group)))


def _region(row: Row, size: tuple[int, int], bare: Region) -> Region:
    """`bare` with its box or polygon in pixels; raises RowProblem where either is rotated."""
    value = fields_of(row.get("value"))
    turns = (value.get("rotation", 0), row.get("image_rotation", 0))
    if any(number(turn, "rotation") != 0 for turn in turns):
        raise RowProblem("is rotated", "draw it upright, on the image as stored")
    height, width = (side / 100 for side in size)
    if row["type"] in _BOXES:
        x, y, w, h = (number(value.get(name), name) for name in ("x", "y", "width", "height"))
        box = side_box(x * width, y * height, w * width, h * height)
        return replace(bare, box=box)
    points = point_list(value.get("points"))
    polygon = [part for x, y in points for part in (x * width, y * height)]
    return replace(bare, segmentation=[polygon])


def _names(rows: Sequence[Row]) -> Mapping[str, str]:
    """Labels by region; a result of another type may name the region of the same id."""
    names = {}
    for row in rows:
        value = row.get("value")
        given = [value.get(kind) for kind in _LABELS] if isinstance(value, dict) else []
        for words in given:
            if isinstance(words, list) and words and isinstance(words[0], str):
                names[str(row.get("id"))] = words[0]
    return names


def _groups(rows: Sequence[Row]) -> Mapping[str, str]:
    """Regions that a relation or a parent ties together, named after one of them."""
    ties = [(row.get("from_id"), row.get("to_id")) for row in rows if row.get("type") == "relation"]
    ties += [(row["parentID"], row.get("id")) for row in rows if row.get("parentID")]
    groups: dict[str, str] = {}
    for one, other in ((str(a), str(b)) for a, b in ties):
        kept, gone = groups.setdefault(one, one), groups.setdefault(other, other)
        groups |= {region: kept for region, group in groups.items() if group == gone}
    return groups
