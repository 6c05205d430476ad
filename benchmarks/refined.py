"""What refinement at prediction adds: zero-shot, `best` and true masks, each asked four ways, and how much of the gap that closes.

python -m benchmarks.refined ROOT --runs runs/recipes --seeds 0 1 2

Takes finished runs of `benchmarks.recipes`; nothing is trained. `refine` was chosen on parts of the training sets and on natural
images; the test masks serve this table only.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import tyro

from benchmarks.tables import RESULTS, data_sets, finished_runs, publish
from ringsam.bench.runs import worker_pool
from ringsam.bench.scores import grabcut_miou, read_miou
from ringsam.config import PromptPolicy, Refinement


class Question(NamedTuple):
    """How SAM is asked at test, and which question of no refinement its gap is measured by."""

    title: str
    prompts: PromptPolicy
    refine: Refinement
    plain: int


QUESTIONS = (
    Question("big box", "box", "none", 0),
    Question("big box, refined", "box", "big_box", 0),
    Question("both boxes", "box+core", "none", 2),
    Question("both boxes, refined", "box", "both_boxes", 2),
)
WEIGHTS = ("zero-shot", "best", "masks")
Scores = list[list[float]]  # of each question, over seeds


@dataclass
class Arguments:
    """Which runs to ask."""

    root: tyro.conf.Positional[Path]
    runs: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    jobs: int = 1
    """Questions at a time; the cores are shared out among them."""
    table: Path = RESULTS / "refined.md"


def ask(weights: Path, kept_in: Path, data: Path, question: Question) -> float:
    """mIoU of these weights; beside the figures that `benchmarks.recipes` keeps, and read from them where they are."""
    refined = "" if question.refine == "none" else f"-{question.refine}"
    path = kept_in / f"{weights.name}-{question.prompts}{refined}.json"
    return read_miou(path, weights, data, question.prompts, question.refine)


def scores_of(data: Path, arguments: Arguments, pool: Executor) -> dict[str, Scores]:
    """Zero-shot, best and masks, each by every question."""
    best, masks = (
        finished_runs(arguments.runs, data, recipe, arguments.seeds) for recipe in ("best", "masks")
    )
    folders = {
        "zero-shot": [(run.original, run.path) for run in list(best.values())[:1]],
        "best": [(run.adapted, run.path) for run in best.values()],
        "masks": [(run.adapted, run.path) for run in masks.values()],
    }
    asked = {
        name: [[pool.submit(ask, *run, data, question) for run in runs] for question in QUESTIONS]
        for name, runs in folders.items()
    }
    return {name: [[a.result() for a in row] for row in rows] for name, rows in asked.items()}


def gaps_closed(scores: dict[str, Scores]) -> dict[str, list[float]]:
    """By each question, the share of what true masks add: without refinement, and where both ends are refined alike."""
    zero_shot, best, masks = ([mean(row) for row in scores[name]] for name in WEIGHTS)
    plain = [question.plain for question in QUESTIONS]
    alike = range(len(QUESTIONS))
    return {
        "zero-shot": shares(zero_shot, zero_shot, masks, plain),
        "best": shares(best, zero_shot, masks, plain),
        "best, both ends refined": shares(best, zero_shot, masks, alike),
    }


def shares(
    reached: Sequence[float], start: Sequence[float], ceiling: Sequence[float], ends: Sequence[int]
) -> list[float]:
    gaps = [ceiling[end] - start[end] for end in ends]
    return [
        (value - start[end]) / gap if gap else nan
        for value, end, gap in zip(reached, ends, gaps, strict=True)
    ]


def figure(row: Sequence[float]) -> str:
    return f"{mean(row):.4f}" + (f" ± {stdev(row):.4f}" if len(row) > 1 else "")


def lines(arguments: Arguments, pool: Executor) -> Iterator[str]:
    """The figures of each set, then the gaps."""
    seeds = " ".join(map(str, arguments.seeds))
    chosen = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    titles = " | ".join(question.title for question in QUESTIONS)
    yield "# Masks refined at prediction\n"
    yield f"`python -m benchmarks.refined ROOT --runs RUNS --seeds {seeds}{chosen} --jobs {arguments.jobs}`\n"
    yield (
        "mIoU over the test objects, native resolution, mean and standard deviation over seeds. Refined is `--refine big_box` and "
        "`--refine both_boxes`, both with `--prompts box`; both boxes without it is `--prompts box+core`.\n"
    )
    yield f"| data | weights | {titles} |"
    yield "|---|---|" + "---|" * len(QUESTIONS)
    gaps: dict[str, dict[str, list[float]]] = {}
    for data in data_sets(arguments.root, "test", arguments.data):
        scores = scores_of(data, arguments, pool)
        for name, rows in scores.items():
            yield f"| {data.name} | {name} | {' | '.join(map(figure, rows))} |"
        yield f"| {data.name} | GrabCut, no SAM | | | | {grabcut_miou(data):.4f} |"
        gaps[data.name] = gaps_closed(scores)
    yield (
        "\nWhat each closes of the gap between zero-shot and true masks, both asked with the same boxes and not refined; "
        "last, what `best` closes where both ends are refined as it is:\n"
    )
    yield f"| data | weights | {titles} |"
    yield "|---|---|" + "---|" * len(QUESTIONS)
    for name, found in gaps.items():
        for weights, row in found.items():
            yield f"| {name} | {weights} | {' | '.join(f'{share:.0%}' for share in row)} |"


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    with worker_pool(arguments.jobs) as pool:
        publish(lines(arguments, pool), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
