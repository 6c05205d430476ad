"""Work that many processes share, and that goes on where it stopped: a hidden folder of what is finished."""

import glob
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from filelock import FileLock

Written = TypeVar("Written")


class Ranks(NamedTuple):
    """Which of how many processes this one is."""

    rank: int
    num_ranks: int


def ranks() -> Ranks:
    """As torchrun tells it; one of one where it does not."""
    return Ranks(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


class Work:
    """A hidden folder beside the place that it becomes: what is finished of one job, and whose it is."""

    def __init__(self, place: Path, job: str, num_shards: int) -> None:
        self.place = place
        self.num_shards = num_shards
        self.folder = place.with_name(f".{place.name}.{job}.unfinished")
        # This one and those of other settings; a place named `masks.best` is another than `masks`
        self.jobs = f".{glob.escape(place.name)}.{'[!.]' * len(job)}.unfinished"
        result = self.folder / "result"
        # A process that was killed as it tidied up had put the result in its place
        self.is_in_place = self.folder.is_dir() and not result.exists() and place.is_dir()
        self.result = place if self.is_in_place else result

    def begin(self) -> None:
        self.result.mkdir(parents=True, exist_ok=True)

    def part(self, number: int) -> Path:
        """The rows of a shard; there when all of it is done."""
        return self.folder / f"{number:06d}.json"

    def finish(self, write: Callable[[Sequence[Path]], Written]) -> Written | None:
        """Once every shard is done, have `write` put the parts together, and the result in its place: by whoever sees it first.

        Returns what `write` does; None while shards are missing.
        """
        lock = FileLock(self.place.with_name(f".{self.place.name}.lock"))
        with lock:
            parts = [self.part(number) for number in range(self.num_shards)]
            if not all(part.exists() for part in parts):
                return None
            written = write(parts)
            if not self.is_in_place:
                if self.place.exists():
                    self.place.rmdir()
                self.result.rename(self.place)
            for stale in self.place.parent.glob(self.jobs):
                shutil.rmtree(stale)
        Path(lock.lock_file).unlink(missing_ok=True)
        return written
