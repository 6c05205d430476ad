"""Where a run comes from, in words that a page or a card may show: recipe, data, weights."""

import json
from pathlib import Path

from ringsam.config import RECIPES, Config, read_recipe
from ringsam.runs import RunFolder


def recipe_name(config: Config) -> str:
    """The bundled recipe whose method this is."""
    names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    same = [name for name in names if read_recipe(name).method == config.method]
    return same[0] if same else "own settings"


def data_of(run: RunFolder) -> str | None:
    """The data set that the run was trained on, as a full path; None where the run does not tell."""
    try:
        note = json.loads(run.data_note.read_text(encoding="utf-8"))
        return str(note["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def short_place(path: str | None) -> str:
    """The last two parts of a path: enough to know it by, without the folders of whoever ran it."""
    return (
        "/".join(part for part in Path(path).parts[-2:] if part != "/") if path else "unknown data"
    )


def short_weights(weights: str) -> str:
    return Path(weights).name if Path(weights).is_absolute() else weights
