"""What ends a command before its work is done, each with the exit code that says so."""

import signal
from collections.abc import Sequence
from pathlib import Path


class InputError(ValueError):
    """Says what is wrong, where, and the mend; the command line prints it and exits with code 2.

    `rows` lists every further finding, one line each, so that a person mends them all in one go.
    """

    exit_code = 2

    def __init__(self, message: str, rows: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *rows]))
        self.rows = list(rows)


class NotWritten(InputError, OSError):
    """The disk refused a file; whoever goes on without it meets the system's own error."""

    def __init__(self, path: Path, error: OSError) -> None:
        reason = error.strerror or str(error)
        mend = "see that its folder exists, has room, and may be written to"
        super().__init__(f"{path}: cannot be written: {reason}; {mend}")
        self.errno, self.strerror = error.errno, reason

    def __str__(self) -> str:
        return str(self.args[0])


class GaveUp(RuntimeError):
    """Training cannot go on by itself; says why, and what to change."""

    exit_code = 3


class ExportDiffers(RuntimeError):
    """What was exported gives other masks when it is read back; nothing of it is kept."""

    exit_code = 4


class Interrupted(RuntimeError):
    """A signal ended the run, at a place from which it can go on."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(signal_number, message)  # as another process makes it anew
        self.exit_code = 128 + signal_number

    def __str__(self) -> str:
        number, message = self.args
        return f"{signal.Signals(number).name}: {message}"


def how_to_install(extra: str) -> str:
    """The mend where a part that not everybody needs is missing."""
    return f'in a clone, run `pip install -c constraints.txt ".[{extra}]"`'


ENDINGS = (InputError, GaveUp, ExportDiffers, Interrupted)
