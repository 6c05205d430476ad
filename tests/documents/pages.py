"""The documents' pages and the commands on them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


class Fence(NamedTuple):
    """A block of commands, of Python, or of what is printed, below its heading."""

    place: str
    heading: str
    language: str
    text: str

    def lines(self) -> Iterator[str]:
        """The commands of a shell's block, each on one line and without its comment."""
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield shlex.join(words)


def fences(page: Path) -> list[Fence]:
    """Every fence of a page, from top to bottom."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        headings = re.findall(r"^#+ (.+)$", FENCE.sub("", before), re.MULTILINE)
        place = f"{page.name}:{before.count(chr(10)) + 2}"
        found.append(Fence(place, headings[-1], match[2], match[3]))
    return found


def inline_commands(page: Path) -> list[str]:
    """What stands in running text between backticks and names a command of ringsam or a flag."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    spans = re.findall(r"`([^`]+)`", text)
    return [span for span in spans if re.match(r"(ringsam [a-z]|--[a-z])", span)]
