"""A disk that fills up while a run trains on it: a small tmpfs where this process may mount one, else a limit on files."""

import errno
import random
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.commands import Running, run
from benchmarks.faults.killed_training import Victim, kept
from benchmarks.faults.subject import Left, Outcome
from ringsam.runs import RunFolder

DISK_MB = 8  # what a run of the tiny SAM takes, four times
SMALL_FILE = 60_000  # bytes: the log goes through, a checkpoint does not


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A disk of its own at this place; whether this process may have one."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        shutil.rmtree(place)


def fill(place: Path, pid: int, *, mounted: bool) -> Callable[[], None]:
    """From here on the process writes no checkpoint; returns what makes room again."""
    if not mounted:
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL_FILE, limits[1]))
        return lambda: _lift(pid, limits)
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return filler.unlink


def _lift(pid: int, limits: tuple[int, int]) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    except ProcessLookupError:
        return  # it was killed, and its limits with it


def full_disks(victim: Victim, number: int, dice: random.Random) -> Iterator[Outcome]:
    """The disk fills at some time; room is made while the run goes on, or only after a kill, or after the run's own end."""
    for i in range(number):
        with small_disk(victim.folder / f"disk{i}") as mounted:
            after = dice.randrange(victim.num_saves // 2)
            yield one_disk(victim, victim.folder / f"disk{i}", after, i % 3, mounted=mounted)


def one_disk(victim: Victim, place: Path, after: int, then: int, *, mounted: bool) -> Outcome:
    """Fill it after that checkpoint, look at what is told and kept, make room and have the run reach its end."""
    out = place / "run"
    process = Running(victim.command(out))
    process.wait_for((out / "checkpoints" / f"epoch={after:04d}.ckpt").exists)
    make_room = fill(place, process.process.pid or 0, mounted=mounted)
    process.wait_for(lambda: "NOT SAVED" in process.output.read_text(encoding="utf-8"))
    newest, lost = kept(RunFolder(out))
    if then == 0:
        make_room()
    ended = process.kill() if then == 1 else process.end()
    if then:
        make_room()
    told = re.search(r"NOT SAVED: .*: a checkpoint takes [\d.]+ MB, [\d.]+ MB are free", ended.said)
    expected = (0, -9, 2)[then]
    if ended.code != expected or not told or not newest or "Traceback" in ended.said:
        return Outcome(False, False, lost, note=f"{ended.code}: {ended.said}")
    resumed = run(["resume", out])
    if resumed.code:
        return Outcome(False, False, lost, note=resumed.said)
    left_over = len(list(out.rglob(".*unfinished*")))
    what = f"{'a tmpfs' if mounted else 'a limit'} of its own"
    return Outcome(True, Left.of(out).same_as(victim.whole), lost, left_over, what)
