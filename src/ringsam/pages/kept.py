"""What SAM answered, kept beside a page's file for the next start, by the content of all that it was asked with."""

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ringsam.errors import InputError
from ringsam.files import write_atomically
from ringsam.predict import Predictor


class KeptAnswers:
    """A hidden file, safe to delete: a line an answer. A line that was cut counts as missing, and is asked for again."""

    def __init__(self, beside: Path, *, kind: str) -> None:
        self.path = beside.with_name(f".{beside.name}.{kind}")
        self._answers = dict(_lines(self.path))
        self._used: set[str] = set()

    def get(self, key: str) -> Any:
        """None where it is not kept."""
        self._used.add(key)
        return self._answers.get(key)

    def put(self, key: str, answer: object) -> None:
        """Raises InputError where the disk takes it not."""
        self._used.add(key)
        self._answers[key] = answer
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(key, answer))
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self.path}: cannot be written: {reason}; make room") from error

    def forget_unused(self) -> None:
        """Drop what nobody asked for since the file was opened: of another run, of images that are gone."""
        if self._answers.keys() - self._used:
            self._answers = {key: self._answers[key] for key in self._answers.keys() & self._used}
            write_atomically(self.path, "".join(_line(*row) for row in self._answers.items()))


def key_of_question(*parts: object) -> str:
    """The same for the same parts, by their text; another version of ringsam may answer otherwise."""
    text = json.dumps([version("ringsam"), *map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def key_of_model(predictor: Predictor) -> str:
    """Tells its weights and its preprocessing from all others."""
    return f"{predictor.sam.digest()} {predictor.preprocess}"


def _line(key: str, answer: object) -> str:
    # A line begins with its end of line, so that one that was cut takes no other with it
    return "\n" + json.dumps([key, answer], allow_nan=False)


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            key, answer = json.loads(line)
        except (ValueError, TypeError):
            continue
        yield str(key), answer
