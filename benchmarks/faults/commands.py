"""`ringsam` in processes of its own, on one thread each, so that what they leave can be compared to the last bit.

Each is forked from one that imported torch and Lightning already; that would take most of the time.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple
from unittest import mock

LONGEST_S = 1200  # no command of these takes so long
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
_STARTING = threading.Lock()


class Ended(NamedTuple):
    code: int
    said: str


class Running:
    """A command that was started; `spoil` has the fault made in its process first."""

    def __init__(
        self,
        arguments: Iterable[object],
        *,
        spoil: Callable[[], None] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self.output = Path(file.name)
        given = ([str(argument) for argument in arguments], spoil, environment or {}, self.output)
        with _STARTING:
            self.process = _forking().Process(target=_command, args=given)
            self.process.start()

    @property
    def has_ended(self) -> bool:
        return not self.process.is_alive()

    def end(self, *, within_s: float = LONGEST_S) -> Ended:
        """Wait for it; one that hangs is killed, and has the code of that."""
        self.process.join(within_s)
        return self.kill()

    def kill(self) -> Ended:
        """`kill -9`: no chance to tidy up."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode is not None
        said = self.output.read_text(encoding="utf-8")
        self.output.unlink()
        return Ended(self.process.exitcode, said)

    def wait_for(self, seen: Callable[[], bool], *, within_s: float = LONGEST_S) -> None:
        """Until it is seen, or the command has ended; raises RuntimeError where neither comes."""
        until = time.monotonic() + within_s
        while not seen() and not self.has_ended:
            if time.monotonic() > until:
                raise RuntimeError(self.kill().said)
            time.sleep(0.002)


def run(arguments: Iterable[object], *, spoil: Callable[[], None] | None = None) -> Ended:
    return Running(arguments, spoil=spoil).end()


def sound(ended: Ended) -> Ended:
    """Raises RuntimeError where a command that nothing befell did not end well."""
    if ended.code:
        raise RuntimeError(f"exit code {ended.code}: {ended.said}")
    return ended


def killed_after(arguments: Iterable[object], seconds: float, *, begun: Callable[[], bool]) -> bool:
    """`kill -9` so long after it is seen to have begun; whether it still went on then."""
    process = Running(arguments)
    process.wait_for(begun)
    time.sleep(seconds)
    finished, ended = process.has_ended, process.kill()
    if finished:
        sound(ended)
    return not finished


@cache
def _forking() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ringsam.training.run", "ringsam.bulk", "ringsam.commands"])
    with mock.patch.dict(os.environ, ENVIRONMENT):
        forkserver.ensure_running()
    return context


def _command(
    arguments: list[str],
    spoil: Callable[[], None] | None,
    environment: dict[str, str],
    output: Path,
) -> None:
    """What the process does: as `ringsam` with these arguments, its words in a file."""
    with output.open("w", encoding="utf-8") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    os.environ |= ENVIRONMENT | environment
    from ringsam.cli import main

    if spoil:
        spoil()
    sys.exit(main(arguments))
