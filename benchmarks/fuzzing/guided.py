"""Inputs that atheris breeds from sound files: it keeps what reaches new lines of ours and alters it further.

pip install atheris                                            # for Linux; no other part of ringsam needs it
python -m benchmarks.fuzzing.guided                            # a minute for each parser, its row in the table of benchmarks.fuzz
python -m benchmarks.fuzzing.guided --parsers CSV --seconds 600
"""

import importlib
import json
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

try:
    atheris = importlib.import_module("atheris")
except ModuleNotFoundError:
    sys.exit("benchmarks.fuzzing.guided needs atheris: pip install atheris")

with atheris.instrument_imports(include=["ringsam", "yaml"]):
    from benchmarks.fuzz import HEAD, PARSERS, Tally, attempt, keep, peak_mb
    from benchmarks.fuzzing import labels, weights
    from benchmarks.tables import RESULTS, put_row
    from ringsam.config import RECIPES

PICKLE = weights.pickled("sam.pth")
SEEDS: dict[str, tuple[bytes, ...]] = {
    "two boxes": (labels.TWO_BOXES,),
    "COCO": labels.COCO,
    "CSV": labels.CSV,
    "YOLO": labels.YOLO,
    "YOLO names": labels.YOLO_NAMES,
    "Pascal VOC": (labels.PASCAL_VOC,),
    "LabelMe": (json.dumps(labels.LABELME).encode(),),
    "Label Studio": (labels.label_studio(),),
    "CVAT": (labels.CVAT,),
    "recipe": tuple(path.read_bytes() for path in RECIPES.glob("*.yaml")),
    ".pth": (weights.unpacked("sam.pth")[PICKLE],),
}


def as_file(name: str, content: bytes) -> bytes:
    """Of a .pth the pickle alone is bred, and the archive around it is sound."""
    sound = weights.unpacked("sam.pth")
    return weights.packed(sound | {PICKLE: content}) if name == ".pth" else content


@dataclass
class Arguments:
    """Which parsers, and how long for each."""

    parsers: tuple[str, ...] = tuple(SEEDS)
    seconds: int = 60
    keep: Path = Path("runs/fuzz")
    table: Path = RESULTS / "fuzz.md"


def breed(name: str, arguments: Arguments, folder: Path, corpus: Path) -> None:
    """Never returns: atheris takes the process, and it ends when the time is over."""
    parser, tally, start, before = PARSERS[name], Tally(), time.perf_counter(), peak_mb()
    parser.prepare(folder)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)

    def each(content: bytes) -> None:
        attempt(parser, as_file(name, content), folder, tally)
        tally.seconds, tally.peak_mb = time.perf_counter() - start, peak_mb() - before
        if tally.seconds > arguments.seconds:
            keep(tally, arguments.keep / f"{name}_guided".replace(" ", "_"))
            put_row(tally.row(f"{name}, guided"), arguments.table, head=HEAD)
            os._exit(0)

    atheris.Setup([sys.argv[0], "-max_len=32768", "-rss_limit_mb=0", "-seed=1", str(corpus)], each)
    atheris.Fuzz()


def main(arguments: Arguments) -> None:
    """Each parser in a process of its own."""
    for name in arguments.parsers:
        with TemporaryDirectory() as folder, TemporaryDirectory() as corpus:
            given = (name, arguments, Path(folder), Path(corpus))
            process = multiprocessing.get_context("fork").Process(target=breed, args=given)
            process.start()
            process.join()
        if process.exitcode:
            put_row(f"| {name}, guided | died |", arguments.table, head=HEAD)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
