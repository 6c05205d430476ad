"""SHA-256 beside a file, as `sha256sum --check` reads it: what was written is what is read."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def digest_line(path: Path, *, named: str) -> str:
    """The line of a file that will bear this name."""
    return f"{sha256(path)}  {named}\n"


def is_as_written(path: Path) -> bool:
    """Whether the file is the one that its digest was made of."""
    return digest_file(path).read_bytes().split()[:1] == [sha256(path).encode()]
