"""A person's commands, in processes of their own."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from processes import ENVIRONMENT


def command(arguments: tuple[object, ...], code: str | None = None) -> list[str]:
    """`ringsam`, or a piece of Python in its place, with these arguments."""
    how = ["-m", "ringsam"] if code is None else ["-c", code]
    return [sys.executable, *how, *map(str, arguments)]


@pytest.fixture(scope="session")
def ringsam() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command to its end; a hang fails."""

    def run(
        *arguments: object, code: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(arguments, code),
            env=ENVIRONMENT | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command and goes on; it is killed at the test's end if it still runs."""
    processes: list[subprocess.Popen[str]] = []

    def start(
        *arguments: object, code: str | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(arguments, code),
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def two_ranks(started) -> Callable[..., list[int]]:
    """Runs a command as two ranks of one run, as a launcher does; their exit codes. A hang fails."""

    def run(*arguments: object, code: str | None = None) -> list[int]:
        shared = launcher(free_port())
        processes = [
            started(*arguments, code=code, **shared, RANK=str(r), LOCAL_RANK=str(r))
            for r in range(2)
        ]
        outputs = [process.communicate(timeout=240)[0] for process in processes]
        print(*outputs, sep="\n")
        return [process.returncode for process in processes]

    return run


def launcher(port: int) -> dict[str, str]:
    """What torchrun tells its processes, but for their rank."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {**address, "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def served(started) -> Callable[..., tuple[subprocess.Popen[str], str, str]]:
    """Starts a page's command; the process, the page's address, and the token of its link."""

    def serve(*arguments: object) -> tuple[subprocess.Popen[str], str, str]:
        process = started(*arguments)
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"(http://\S+)/\?token=(\S+)", line):
                return process, *found.groups()
        raise AssertionError("no link was printed")

    return serve
