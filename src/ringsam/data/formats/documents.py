"""A label file opened: JSON, XML or text by its content, whatever it is called."""

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from ringsam.data.findings import RowProblem

MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Document:
    """A file and what its content is: an XML element, text, or whatever JSON can hold."""

    path: Path
    content: object

    @property
    def is_empty(self) -> bool:
        return isinstance(self.content, str) and not self.content.strip()


def open_document(path: Path) -> Document:
    """Raises RowProblem for a file that is unreadable, too large or broken; XML entities are refused."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RowProblem(f"is larger than {MAX_BYTES >> 20} MiB", "split it")
        found = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise RowProblem(f"cannot be read: {error.strerror}", "mend its permissions") from error
    start = found.lstrip()
    if start.startswith((b"{", b"[")):
        return Document(path, _json(found))
    if start.startswith(b"<"):
        return Document(path, _xml(start))
    return Document(path, _text(found))


def _text(found: bytes) -> str:
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowProblem(f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from error


def _json(found: bytes) -> object:
    try:
        return json.loads(_text(found))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RowProblem(f"broken JSON at {where}: {error.msg}", "export it anew") from error
    except (ValueError, RecursionError) as error:  # numbers or nesting beyond all bounds
        raise RowProblem(f"JSON that cannot be read: {error}", "export it anew") from error


def _xml(found: bytes) -> Element:
    try:
        root = defusedxml.ElementTree.fromstring(found, forbid_dtd=True)
    except DefusedXmlException as error:
        kind = type(error).__name__
        raise RowProblem(f"XML with a DTD or entities ({kind})", "take them out") from error
    except (ParseError, LookupError, ValueError) as error:
        raise RowProblem(f"broken XML: {error}", "export it anew") from error
    assert isinstance(root, Element)
    return root
