"""Thousands of damaged and hostile inputs for every parser: each is read, or refused in words, soon and in little memory.

python -m benchmarks.fuzz                                 # 10,000 inputs for each of 18 parsers, about an hour on two cores
python -m benchmarks.fuzz --parsers CSV PNG --inputs 500

Inputs are sound files whose bytes, words or structure hypothesis alters, always in the same way. What is found is kept,
smallest first, in --keep, and the table keeps the rows of the parsers not named; each becomes a case of tests/test_fuzz.py. Every parser has a process of its own, so that a
decoder that dies is a finding, too.
"""

import io
import multiprocessing
import platform
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import PIL
import torch
import tyro
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.fuzzing import images, labels, weights
from benchmarks.fuzzing.parser import Parser
from benchmarks.tables import RESULTS, put_row

PARSERS = {each.name: each for each in (*labels.PARSERS, *images.PARSERS, *weights.PARSERS)}
MAX_SECONDS = 5  # of computing, for one input
MAX_MB = 1024  # more than before, for one input
DEATH_SECONDS = 60  # of computing, in a decoder that no alarm reaches


@dataclass
class Arguments:
    """What to throw at whom."""

    parsers: tuple[str, ...] = tuple(PARSERS)
    inputs: int = 10_000
    keep: Path = Path("runs/fuzz")
    table: Path = RESULTS / "fuzz.md"


class Hang(BaseException):
    """No `except Exception` on the way may take it for a refusal."""


@dataclass
class Tally:
    """What became of a parser's inputs; `found` has the smallest input for each kind of failure."""

    refused: int = 0
    accepted: int = 0
    tracebacks: int = 0
    hangs: int = 0
    blow_ups: int = 0
    slowest: float = 0.0
    peak_mb: float = 0.0
    seconds: float = 0.0
    found: dict[str, bytes] = field(default_factory=dict)

    def row(self, name: str) -> str:
        """A line of the table."""
        inputs = self.refused + self.accepted + self.tracebacks + self.hangs
        counts = (inputs, self.refused, self.accepted, self.tracebacks, self.hangs, self.blow_ups)
        numbers = " | ".join(f"{count:,}" for count in counts)
        return (
            f"| {name} | {numbers} | {self.slowest:.2f} | {self.peak_mb:.0f} | {self.seconds:.0f} |"
        )


def attempt(parser: Parser, content: bytes, folder: Path, tally: Tally) -> None:
    """Have the parser read one input, and count what comes of it."""
    path = folder / parser.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    start, before, failure = time.process_time(), peak_mb(), ""
    try:
        with limited():
            accepted = silently(parser.accepts, path)
        tally.accepted += accepted
        tally.refused += not accepted
    except Hang:
        tally.hangs += 1
        failure = "hang"
    except Exception as error:  # what the property forbids, whatever it is
        tally.tracebacks += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} {Path(last.filename).name} {last.lineno}"
    tally.slowest = max(tally.slowest, time.process_time() - start)
    if peak_mb() - before > MAX_MB:
        tally.blow_ups += 1
        failure = failure or "memory"
    if failure and len(content) < len(tally.found.get(failure, content + b" ")):
        tally.found[failure] = content


@contextmanager
def limited() -> Iterator[None]:
    """Within it too long a computation is a Hang, whoever else the machine serves; where no alarm is heard, the process ends."""
    death = int(time.process_time()) + DEATH_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (death, resource.RLIM_INFINITY))
    before = signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _hang(signum: int, frame: object) -> None:
    raise Hang


def silently(accepts: Callable[[Path], bool], path: Path) -> bool:
    """With what is printed going to a stream as strict as a terminal's."""
    with io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as stream:
        stderr = io.TextIOWrapper(stream.buffer, errors="backslashreplace", write_through=True)
        with redirect_stdout(stream), redirect_stderr(stderr):
            accepted = accepts(path)
        stream.flush()
        return accepted


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(name: str, num_inputs: int) -> Tally:
    """Throw that many inputs at a parser."""
    parser, tally = PARSERS[name], Tally()
    start, before = time.perf_counter(), peak_mb()
    with TemporaryDirectory() as folder:
        parser.prepare(Path(folder))

        @settings(
            max_examples=num_inputs,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(parser.inputs)
        def each(content: bytes) -> None:
            attempt(parser, content, Path(folder), tally)

        each()
    tally.seconds, tally.peak_mb = time.perf_counter() - start, peak_mb() - before
    return tally


HEAD = (
    "# Damaged and hostile inputs",
    "",
    "`python -m benchmarks.fuzz`",
    "",
    f"{platform.machine()}, Python {platform.python_version()}, one process at a time; torch {torch.__version__}, Pillow {PIL.__version__}.",
    "",
    f"A hang is more than {MAX_SECONDS} s; a blow-up, more than {MAX_MB} MB more than before. Seconds and peak are the parser's own.",
    "",
    "| parser | inputs | refused | accepted | tracebacks | hangs | blow-ups | slowest, s | peak, MB | seconds |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


def fuzz_apart(name: str, arguments: Arguments) -> str:
    """The parser's row, from a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        try:
            tally = pool.submit(fuzz, name, arguments.inputs).result()
        except BrokenProcessPool:
            return f"| {name} | died |"
    keep(tally, arguments.keep / name.replace(" ", "_"))
    return tally.row(name)


def keep(tally: Tally, folder: Path) -> None:
    for number, (failure, content) in enumerate(tally.found.items()):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}").write_bytes(content)
        print(f"{failure}: {folder / str(number)} of {len(content)} bytes", file=sys.stderr)


def main(arguments: Arguments) -> None:
    """Each parser's row is kept as soon as it is done."""
    print(*HEAD, sep="\n", flush=True)
    for name in arguments.parsers:
        put_row(fuzz_apart(name, arguments), arguments.table, head=HEAD)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
