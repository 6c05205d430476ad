"""Where a run comes from, in words that a page or a card may show: recipe, data, weights."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ringsam.config import RECIPES, Config, read_recipe
from ringsam.errors import InputError
from ringsam.runs import RunFolder


def recipe_name(config: Config) -> str:
    """The bundled recipe whose method this is."""
    names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    same = [name for name in names if read_recipe(name).method == config.method]
    return same[0] if same else "own settings"


class DataNote(NamedTuple):
    """What a run learned from, and how; each file by its name, with its SHA-256."""

    data: str
    labels: dict[str, str]
    images: dict[str, str]
    settings: dict[str, Any]


def read_note(run: RunFolder) -> DataNote | None:
    """The run's `data.json`; None where it has none. Raises InputError where it is damaged."""
    if not run.data_note.is_file():
        return None
    try:
        note = json.loads(run.data_note.read_text(encoding="utf-8"))
        parts = (dict(note[name]) for name in DataNote._fields[1:])
        return DataNote(str(note["data"]), *parts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = "restore or remove it; without it the run cannot be resumed"
        raise InputError(
            f"{run.data_note}: does not say what the run learned from ({error}); {mend}"
        ) from error


def data_of(run: RunFolder) -> str | None:
    """The data set that the run was trained on, as a full path; None where the run does not tell."""
    note = read_note(run)
    return note.data if note else None


def short_place(path: str | None) -> str:
    """The last two parts of a path: enough to know it by, without the folders of whoever ran it."""
    return (
        "/".join(part for part in Path(path).parts[-2:] if part != "/") if path else "unknown data"
    )


def short_weights(weights: str) -> str:
    return Path(weights).name if Path(weights).is_absolute() else weights
