"""`kill -9` of a prediction of a whole folder, and its own command given again."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.faults.commands import Running, killed_after, run, sound
from benchmarks.faults.subject import Outcome, Subject

FORMATS = ("coco", "png", "labels", "yolo", "geojson")


@dataclass
class Prediction:
    """Of every object of the subject, in every format; and the one that nothing interrupted."""

    subject: Subject
    folder: Path

    def __post_init__(self) -> None:
        out = self.folder / "whole" / "masks"
        process = Running(self.command(out))
        process.wait_for(lambda: begun(out))
        began = time.monotonic()
        sound(process.end())
        self.seconds = time.monotonic() - began
        self.whole = files_in(out)

    def command(self, out: Path) -> list[object]:
        data = self.subject.data
        flags = ("--boxes", data / "two_boxes.json", "--out", out, "--format", *FORMATS)
        return ["predict", self.subject.sam, data / "images", *flags]


def begun(out: Path) -> bool:
    return out.exists() or any(out.parent.glob(f".{out.name}.*.unfinished"))


def kills_in_prediction(made: Prediction, number: int, dice: random.Random) -> Iterator[Outcome]:
    """At moments spread over the whole of it."""
    for i in range(number):
        out = made.folder / f"prediction{i}" / "masks"
        while not killed_after(
            made.command(out), dice.uniform(0, made.seconds), begun=partial(begun, out)
        ):
            shutil.rmtree(out.parent)  # it had ended before: the machine has more time for it now
            made.seconds *= 0.8
        yield started_again(made, out)


def started_again(made: Prediction, out: Path) -> Outcome:
    """Every object once, every file as of the prediction that nothing interrupted, and nothing beside it."""
    parts = len(list(out.parent.glob(".masks.*.unfinished/*.json")))
    ended = run(made.command(out))
    if ended.code:
        return Outcome(False, False, note=ended.said)
    found = files_in(out)
    rows = json.loads(found["masks.json"])["annotations"]
    wanted = json.loads((made.subject.data / "two_boxes.json").read_text())["annotations"]
    same = found == made.whole
    same = same and sorted(row["id"] for row in rows) == sorted(row["id"] for row in wanted)
    left_over = len(list(out.parent.iterdir())) - 1
    outcome = Outcome(True, same, 0, left_over, f"after {parts} parts")
    if outcome.sound:
        shutil.rmtree(out.parent)
    return outcome


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, by its place."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
