"""A JSON file under several hands: read anew when somebody wrote it, changed by one at a time."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ringsam.errors import InputError
from ringsam.files import write_json
from ringsam.pages.journal import Content, Journal, changes_between, with_changes


class SharedFile:
    """Content that `read` takes from the path, `new` where there is no file; the first write makes it.

    A change is in a journal beside the file before it is in the file: `recovered` counts those that a crash left there.
    """

    def __init__(
        self, path: Path, *, read: Callable[[Path], Content], new: Callable[[], Content]
    ) -> None:
        """Raises InputError for a folder that is not there, and whatever `read` raises."""
        self.path = path.resolve()
        if not self.path.parent.is_dir():
            raise InputError(f"{path}: its folder does not exist; make it, or give another --out")
        self._read, self._new = read, new
        self._lock = threading.RLock()
        self._between_servers = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        self._journal = Journal(self.path.with_name(f".{self.path.name}.journal"))
        self._content = new()
        self._stamp: tuple[int, ...] | None = None
        self.recovered = self._recover() if self._journal.path.exists() else 0
        self.content()

    def content(self) -> Content:
        """What the file holds now, whoever wrote it."""
        with self._lock:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._content = self._read(self.path) if stamp else self._new()
                self._stamp = stamp
            return self._content

    @contextmanager
    def alone(self) -> Iterator[None]:
        """From reading the file to writing it, neither a thread nor another server changes it."""
        try:
            with self._lock, self._between_servers:
                yield
        except OSError as error:
            raise InputError(
                f"{self.path.name}: cannot be written: {error.strerror or error}; make room, or see to its rights"
            ) from error

    def write(self, content: Content) -> None:
        """The content counts once it is on disk."""
        self._journal.note(self._digest(), changes_between(self.content(), content))
        write_json(self.path, content)
        self._journal.settle()
        self._content, self._stamp = content, self._stamp_now()

    def _recover(self) -> int:
        """Write what the journal holds and the file does not; how many changes."""
        num_written = 0
        with self.alone():
            for base, changes in self._journal.pending():
                if base == self._digest():  # else somebody has changed the file since
                    write_json(self.path, with_changes(self.content(), changes))
                    num_written += 1
            self._journal.clear()
        return num_written

    def _digest(self) -> str | None:
        if not self.path.exists():
            return None
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def _stamp_now(self) -> tuple[int, ...] | None:
        """Changes with every write; None where there is no file."""
        if not self.path.exists():
            return None
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
