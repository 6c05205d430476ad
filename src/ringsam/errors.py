"""The one exception for what a person gave us and we cannot use."""

from collections.abc import Sequence


class InputError(ValueError):
    """Says what is wrong, where, and the mend; the command line prints it and exits with code 2.

    `rows` lists every further finding, one line each, so that a person mends them all in one go.
    """

    def __init__(self, message: str, rows: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *rows]))
        self.rows = list(rows)
