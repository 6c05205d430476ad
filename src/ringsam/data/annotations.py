"""The annotation file: where it is, and its JSON read strictly."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ringsam.data.findings import Finding, shown
from ringsam.errors import InputError

NAMES = ("two_boxes.json", "annotations.json")


@dataclass(frozen=True)
class Annotations:
    """The lists of a COCO file, not yet judged, and what is wrong with the JSON itself."""

    images: list[object]
    annotations: list[object]
    categories: dict[int, str]
    findings: list[Finding]
    content: dict[str, object]  # the whole file


def find_annotations(data: Path) -> Path:
    """`data` if it is a file, else its two_boxes.json, else its annotations.json.

    Raises InputError where there is none.
    """
    if data.is_file():
        return data
    for name in NAMES:
        if (data / name).is_file():
            return data / name
    if not data.exists():
        raise InputError(f"{data}: no such folder or file")
    below = [child.parent for name in NAMES for child in sorted(data.glob(f"*/{name}"))]
    hint = f"; did you mean {below[0]}?" if below else "; put one of them beside the folder images/"
    raise InputError(f"{data}: holds neither {NAMES[0]} nor {NAMES[1]}{hint}")


def image_folder(source: Path) -> Path:
    """The folder `images` beside the annotation file, else the file's own folder."""
    folder = source.parent / "images"
    return folder if folder.is_dir() else source.parent


def read_annotations(source: Path) -> Annotations:
    """The file's lists; raises InputError where it is no JSON, with line and column, or no COCO."""
    slips: Counter[str] = Counter()
    content = _parse(source, slips)
    if not isinstance(content, dict):
        raise InputError(f"{source}: is a JSON {type(content).__name__}, not a COCO object")
    for key in ("images", "annotations"):
        if not isinstance(content.get(key), list):
            raise InputError(
                f'{source}: has no list "{key}"; write COCO JSON with big_box, small_box'
            )
    findings = [
        Finding(
            "error", source.name, "", reason if n == 1 else f"{reason} ({n} times)", "mend the file"
        )
        for reason, n in slips.items()
    ]
    return Annotations(
        content["images"],
        content["annotations"],
        _categories(content.get("categories")),
        findings,
        content,
    )


def _parse(source: Path, slips: Counter[str]) -> object:
    """Python's view of the JSON; counts the slips that Python would let pass."""

    def constant(name: str) -> float:
        slips[f"{name} is not a number that JSON knows"] += 1
        return float(name)

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        row = dict(items)
        if len(row) < len(items):
            twice = [key for key, n in Counter(key for key, _ in items).items() if n > 1]
            where = f" in the row with id {ascii(row['id'])[:40]}" if "id" in row else ""
            slips[f'the key "{shown(twice[0])}" stands twice{where}'] += 1
        return row

    try:
        text = source.read_text(encoding="utf-8-sig")
        return json.loads(text, parse_constant=constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{source}: broken JSON at {where}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: cannot be read: {error}") from error


def _categories(rows: object) -> dict[int, str]:
    """Names by id; rows that are none are passed over, for names are a courtesy."""
    if not isinstance(rows, list):
        return {}
    usable = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), int)]
    return {row["id"]: str(row.get("name", row["id"])) for row in usable}
