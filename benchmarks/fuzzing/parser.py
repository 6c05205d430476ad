"""What is fuzzed: a door, what comes to it, and what else must lie there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from ringsam.cli import USER_ERROR
from ringsam.errors import InputError


@dataclass(frozen=True)
class Parser:
    """Reads `file`, which lies in the folder that `prepare` filled; `accepts` is False where it is refused in words."""

    name: str
    file: str
    inputs: SearchStrategy[bytes]
    accepts: Callable[[Path], bool]
    prepare: Callable[[Path], object]


def function(read: Callable[[Path], object]) -> Callable[[Path], bool]:
    """The door of a command or a reader, behind which `ringsam.cli` turns an InputError into exit code 2."""

    def accepts(path: Path) -> bool:
        try:
            return read(path) != USER_ERROR
        except InputError:
            return False

    return accepts
