"""What is wrong with a row of the data: the file, the row, the reason and the mend."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing to mend (error) or to know (warning); `where` names the row in the file."""

    severity: Severity
    file: str
    where: str
    reason: str
    mend: str
    unreadable: int | None = None  # the id of an image that could be left out with all its objects

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.severity}: {self.file}: {where}{self.reason}{mend}"


class RowProblem(Exception):
    """Why one row cannot be used, and the mend; `at` makes a Finding of it."""

    def __init__(self, reason: str, mend: str = "") -> None:
        super().__init__(reason)
        self.reason, self.mend = reason, mend

    def at(self, file: str, where: str) -> Finding:
        return Finding("error", file, where, self.reason, self.mend)


class UnreadableImage(RowProblem):
    """Nothing is wrong with the row: its image is cut, corrupt, or of no known kind."""

    def __init__(self, reason: str, image_id: int) -> None:
        super().__init__(reason)
        self.image_id = image_id

    def at(self, file: str, where: str) -> Finding:
        return replace(super().at(file, where), unreadable=self.image_id)


def finding_lines(findings: Sequence[Finding], *, limit: int = 50) -> list[str]:
    """One line each, errors first, at most `limit`; the rest is counted."""
    ordered = sorted(findings, key=lambda finding: finding.severity)  # "error" < "warning"
    lines = [str(finding) for finding in ordered[:limit]]
    return [*lines, f"... and {len(ordered) - limit} more"] if len(ordered) > limit else lines


def shown(name: str) -> str:
    """The name as it may be printed: one with control characters is escaped."""
    return name if name.isprintable() else ascii(name)
