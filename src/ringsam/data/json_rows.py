"""JSON read strictly and row by row: of a large file, memory holds one block.

(Streaming libraries such as ijson keep the last of two equal keys unsaid, and tell no line of what is broken.)
"""

import codecs
import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ringsam.data.findings import shown
from ringsam.errors import InputError

BLOCK_BYTES = 1 << 20
_ROWS_AT_ONCE = 1 << 16  # characters
_KEY = "property name enclosed in double quotes"
_SPACE = re.compile(r"[ \t\n\r]*")
_ROW_END = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*\Z")

Slips = Counter[str]  # what Python's own reader lets pass, and how often it stands in the file


def read_members(source: Path, slips: Slips) -> Iterator[tuple[str, object]]:
    """The keys of the file's JSON object and their values; a list comes as an iterator, good until the next key.

    Raises InputError where the file is no JSON, with line and column, or no JSON object.
    """
    with _refusals(source), source.open("rb") as file:
        yield from _members(_Text(source, file, slips))


@contextmanager
def _refusals(source: Path) -> Iterator[None]:
    """Around each iterator, for they are gone through one within the other, and also apart."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: cannot be read: {error}") from error


def _members(text: "_Text") -> Iterator[tuple[str, object]]:
    if text.next_character() != "{":
        kind = type(text.value()).__name__
        raise InputError(f"{text.source}: is a JSON {kind}, not a COCO object")
    keys: set[str] = set()
    for _ in text.items("{}", what=_KEY):
        if text.next_character() != '"':
            raise text.broken(f"Expecting {_KEY}")
        key = str(text.value())
        if key in keys:
            text.slips[f'the key "{shown(key)}" stands twice'] += 1
        keys.add(key)
        text.take(":")
        if text.next_character() != "[":
            yield key, text.value()
            continue
        rows = _rows(text)
        yield key, rows
        deque(rows, maxlen=0)
    if text.next_character():
        raise text.broken("Extra data")


def _rows(text: "_Text") -> Iterator[object]:
    with _refusals(text.source):
        for _ in text.items("[]", what="value"):
            yield from text.values()


class _Text:
    """A place in the file's text, of which only what lies near it is in memory."""

    def __init__(self, source: Path, file: BinaryIO, slips: Slips) -> None:
        self.source, self.slips = source, slips
        self._file = file
        self._unicode = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(parse_constant=self._constant, object_pairs_hook=self._row)
        self._slips_of_value: list[str] = []
        self._text, self._at = "", 0
        self._one_by_one_to = 0  # where the last rows end that could not be had at once
        self._line, self._column = 1, 1  # of the first character in memory

    def next_character(self) -> str:
        """The next that is no white space, which is passed over; none at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def take(self, character: str) -> None:
        if self.next_character() != character:
            raise self.broken(f"Expecting '{character}' delimiter")
        self._at += 1

    def items(self, brackets: str, *, what: str) -> Iterator[None]:
        """Halts before each item between the brackets; who asks takes it."""
        first, last = brackets[0], brackets[1]
        self.take(first)
        if self.next_character() != last:
            yield
            while self.next_character() == ",":
                self._at += 1
                if self.next_character() in ("", last):
                    raise self.broken(f"Expecting {what}")
                yield
        if self.next_character() != last:
            raise self.broken("Expecting ',' delimiter")
        self._at += 1

    def values(self) -> list[object]:
        """The next values of a list, one at least: as many rows as a look ahead finds whole."""
        end = self._end_of_rows()
        if end is None:
            return [self.value()]
        self._slips_of_value.clear()
        try:
            rows, length = self._json.raw_decode(f"[{self._text[self._at : end]}]")
        except json.JSONDecodeError:
            self._one_by_one_to = end  # slower, and it tells what is wrong, and where
            return [self.value()]
        self._at += length - 2
        self.slips.update(self._slips_of_value)
        return list(rows)

    def _end_of_rows(self) -> int | None:
        """Behind the last object in sight that another follows; a list may end before it, too."""
        ahead = self._at + _ROWS_AT_ONCE
        while (ahead := self._text.rfind("{", self._at + 1, ahead)) > self._one_by_one_to:
            end = _ROW_END.search(self._text, max(self._at, ahead - 64), ahead)
            if end:
                return end.start() + 1
        return None

    def value(self) -> object:
        """The next JSON value, whole."""
        while True:
            self.next_character()
            self._slips_of_value.clear()
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._read_on():
                    raise self.broken(error.msg, error.pos - self._at) from error
                continue
            # What ends where memory ends may go on in the file: a number's digits.
            if end < len(self._text) or not self._read_on():
                break
        self._at = min(end, len(self._text))
        self.slips.update(self._slips_of_value)
        return value

    def broken(self, reason: str, ahead: int = 0) -> InputError:
        before = self._text[: self._at + ahead]
        line, column = _moved(self._line, self._column, before)
        return InputError(f"{self.source}: broken JSON at line {line}, column {column}: {reason}")

    def _read_on(self) -> bool:
        """As much again as is not read yet, or a block; false at the end of the file."""
        num_bytes = max(BLOCK_BYTES, len(self._text) - self._at)
        start, pending = self._file.tell(), len(self._unicode.getstate()[0])
        block = self._file.read(num_bytes)
        try:
            more = self._unicode.decode(block, final=not block)
        except UnicodeDecodeError as error:
            byte = start - pending + error.start
            mend = "save it as UTF-8"
            raise InputError(f"{self.source}: not UTF-8 at byte {byte}; {mend}") from error
        if not block:
            return False
        passed = self._text[: self._at]
        self._line, self._column = _moved(self._line, self._column, passed)
        self._one_by_one_to = max(0, self._one_by_one_to - self._at)
        self._text, self._at = self._text[self._at :] + more, 0
        return True

    def _constant(self, name: str) -> float:
        self._slips_of_value.append(f"{name} is not a number that JSON knows")
        return float(name)

    def _row(self, items: list[tuple[str, object]]) -> dict[str, object]:
        row = dict(items)
        if len(row) < len(items):
            twice = [key for key, n in Counter(key for key, _ in items).items() if n > 1]
            where = f" in the row with id {ascii(row['id'])[:40]}" if "id" in row else ""
            self._slips_of_value.append(f'the key "{shown(twice[0])}" stands twice{where}')
        return row


def _moved(line: int, column: int, text: str) -> tuple[int, int]:
    """Where a text that begins at this line and column ends."""
    last = text.rfind("\n")
    return (line, column + len(text)) if last < 0 else (line + text.count("\n"), len(text) - last)
