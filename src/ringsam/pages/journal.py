"""What is about to be written to a file of rows, on disk before it is: a crash in between loses nothing."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Content = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]
Changes = dict[str, Any]  # by list: the rows that are new or other, and the ids of those that went


class Journal:
    """A line for each change, on disk when `note` returns, and one when the file holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, base: str | None, changes: Changes) -> None:
        """`base` tells the file that the changes were made on."""
        self._append({"base": base, "changes": changes})

    def settle(self) -> None:
        """The file holds all that was noted."""
        self._append({"written": True})

    def pending(self) -> list[tuple[str | None, Changes]]:
        """What was noted and not written since, oldest first."""
        if not self.path.is_file():
            return []
        found: list[tuple[str | None, Changes]] = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                noted = json.loads(line or "{}")
            except ValueError:
                continue  # a crash cut it, so nobody was told that it was saved
            if noted:
                found = [] if "written" in noted else [*found, (noted["base"], noted["changes"])]
        return found

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def _append(self, noted: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(noted, allow_nan=False))
            file.flush()
            os.fsync(file.fileno())


def changes_between(old: Content, new: Content) -> Changes:
    """What makes `new` of `old`, in which every list's rows have ids and keep their order."""
    return {
        key: _row_changes(old.get(key, []), rows)
        for key, rows in new.items()
        if isinstance(rows, list) and rows is not old.get(key)
    }


def with_changes(content: Content, changes: Changes) -> Content:
    """Rows that were there stay in their places, new ones follow."""
    changed = dict(content)
    for key, change in changes.items():
        new = {row["id"]: row for row in change["rows"]}
        kept = [row for row in content.get(key, []) if row["id"] not in change["gone"]]
        changed[key] = [new.pop(row["id"], row) for row in kept] + list(new.values())
    return changed


def _row_changes(old: Rows, new: Rows) -> dict[str, list[Any]]:
    before = {row["id"]: row for row in old}
    rows = [row for row in new if before.get(row["id"]) != row]
    return {"rows": rows, "gone": list(before.keys() - {row["id"] for row in new})}
