"""What is fuzzed: a door, what comes to it, and what else must lie there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from ringsam.cli import main
from ringsam.errors import InputError


@dataclass(frozen=True)
class Parser:
    """Reads `file`, which lies in the folder that `prepare` filled; `accepts` is False where it is refused in words."""

    name: str
    file: str
    inputs: SearchStrategy[bytes]
    accepts: Callable[[Path], bool]
    prepare: Callable[[Path], object]


def command(*arguments: str) -> Callable[[Path], bool]:
    """The door of a command, which is given the file behind its name; 2 is its exit code for a refusal."""

    def accepts(path: Path) -> bool:
        code = main([arguments[0], str(path), *arguments[1:]])
        assert code in (0, 2), f"exit code {code}"
        return code == 0

    return accepts


def function(read: Callable[[Path], object]) -> Callable[[Path], bool]:
    """The door of a reader that every command goes through."""

    def accepts(path: Path) -> bool:
        try:
            read(path)
        except InputError:
            return False
        return True

    return accepts
