"""Nothing lost: processes are killed, disks filled and ranks lost, and what is left is gone on with and compared.

python -m benchmarks.reliability                      # all of it, half an hour on one core
python -m benchmarks.reliability --in_training 3 --in_saving 3 --predictions 1 --disks 3 --lost_ranks 1 --nan_ranks 1

What a fault leaves that is not as it should be is kept below --work, with a word on it. A small disk is a tmpfs where this
process may mount one, else a limit on the size of its files. Exit code 1 where anything was lost or differs.
"""

import platform
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import tyro

from benchmarks.faults.full_disk import full_disks
from benchmarks.faults.killed_prediction import Prediction, kills_in_prediction
from benchmarks.faults.killed_training import (
    Victim,
    kills_before_the_settings,
    kills_in_saving,
    kills_in_training,
)
from benchmarks.faults.lost_ranks import Pair, lost_ranks, nan_on_one_rank
from benchmarks.faults.subject import RECIPES, Outcome, Subject
from benchmarks.tables import RESULTS, publish

NUM_IMAGES = 6  # to train on
Made = tuple[str, list[Outcome]]  # a kind of fault, and what became of each victim


@dataclass
class Arguments:
    """How many of each; kills of a run are shared among the recipes."""

    in_training: int = 25
    in_saving: int = 25
    before_settings: int = 3
    predictions: int = 20
    disks: int = 6
    lost_ranks: int = 4
    nan_ranks: int = 2
    images: int = 100
    """To predict."""
    seed: int = 0
    """Of the moments."""
    jobs: int = 1
    """Kinds of faults at a time."""
    work: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="faults-")))
    """What is not as it should be stays here."""
    table: Path = RESULTS / "reliability.md"


def kinds(arguments: Arguments) -> Iterator[Callable[[], list[Made]]]:
    """What makes the faults, kind by kind, each in a folder of its own."""
    work = arguments.work.resolve()
    subject = Subject.drawn(work / "training", num_images=NUM_IMAGES)
    for number, recipe in enumerate(RECIPES):
        shares = [
            (total + len(RECIPES) - 1 - number) // len(RECIPES)
            for total in (arguments.in_training, arguments.in_saving, arguments.before_settings)
        ]
        yield partial(
            killed_runs, subject, recipe, work / f"recipe{number}", shares, arguments.seed
        )
    yield partial(killed_predictions, arguments, work)
    yield partial(filled_disks, subject, work / "disks", arguments)
    yield partial(faulty_ranks, subject, work / "pair", arguments)


def killed_runs(
    subject: Subject, recipe: str, folder: Path, shares: list[int], seed: int
) -> list[Made]:
    victim, dice = Victim(subject, recipe, folder), random.Random(f"{seed} {recipe}")
    return [
        made(f"`kill -9` during training ({recipe})", kills_in_training(victim, shares[0], dice)),
        made(
            f"`kill -9` in a checkpoint's writing ({recipe})",
            kills_in_saving(victim, shares[1], dice),
        ),
        made(
            f"`kill -9` before the settings are written ({recipe}); trained anew",
            kills_before_the_settings(victim, shares[2]),
        ),
    ]


def killed_predictions(arguments: Arguments, work: Path) -> list[Made]:
    many = Subject.drawn(work / "predicting", num_images=arguments.images)
    whole = Prediction(many, work / "predictions")
    kills = kills_in_prediction(whole, arguments.predictions, random.Random(arguments.seed))
    return [
        made(f"`kill -9` during `ringsam predict` ({arguments.images} images, five formats)", kills)
    ]


def filled_disks(subject: Subject, folder: Path, arguments: Arguments) -> list[Made]:
    victim = Victim(subject, "seed", folder)
    filled = full_disks(victim, arguments.disks, random.Random(arguments.seed))
    return [made("the disk fills up during training", filled)]


def faulty_ranks(subject: Subject, folder: Path, arguments: Arguments) -> list[Made]:
    pair, dice = Pair(subject, "seed", folder), random.Random(arguments.seed)
    lost = lost_ranks(pair, arguments.lost_ranks, dice)
    nan = nan_on_one_rank(pair, arguments.nan_ranks, dice)
    return [
        made("`kill -9` of one of two ranks; both resumed", lost),
        made("a NaN on one of two ranks; the ranks compared", nan),
    ]


def made(what: str, outcomes: Iterator[Outcome]) -> Made:
    """With a word to whoever watches, and all of them where something is wrong."""
    found = []
    for outcome in outcomes:
        note = (outcome.note.splitlines() or [""])[0] if outcome.sound else f"WRONG: {outcome}"
        print(f"{what}: {note}", file=sys.stderr, flush=True)
        found.append(outcome)
    return what, found


def rows(arguments: Arguments, seen: list[Outcome]) -> Iterator[str]:
    """The lines of the table, each as soon as its faults were made."""
    yield "# Nothing lost\n"
    yield f"`python -m benchmarks.reliability --jobs {arguments.jobs}`\n"
    yield f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}; one thread a process; moments of seed {arguments.seed}.\n"
    yield "| fault | made | went on to the end | same to the last bit | finished work lost | files left over |"
    yield "|---|---|---|---|---|---|"
    with ThreadPoolExecutor(arguments.jobs) as threads:
        for kind in threads.map(lambda make: make(), kinds(arguments)):
            for what, found in kind:
                seen += found
                yield row(what, found)
    sound = sum(outcome.sound for outcome in seen)
    yield f"\n{sound} of {len(seen)} as if nothing had happened.\n"


def row(what: str, found: list[Outcome]) -> str:
    went_on, same = (sum(getattr(o, name) for o in found) for name in ("went_on", "same"))
    lost, left_over = (sum(getattr(o, name) for o in found) for name in ("lost", "left_over"))
    return f"| {what} | {len(found)} | {went_on} | {same} | {lost} | {left_over} |"


def main(arguments: Arguments) -> int:
    """Print the table as it grows, then write it."""
    seen: list[Outcome] = []
    publish(rows(arguments, seen), arguments.table)
    if all(outcome.sound for outcome in seen):
        shutil.rmtree(arguments.work)
        return 0
    print(f"left in {arguments.work}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments)))
