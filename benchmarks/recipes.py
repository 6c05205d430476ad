"""Data sets x recipes x seeds: train from two boxes, evaluate on masks nobody trained on, one table.

python benchmarks/recipes.py ROOT --recipes seed two_boxes --seeds 0 --epochs 6 --runs runs/recipes

ROOT holds one folder a data set, each with `train/` (two_boxes.json) and `test/` (annotations.json).
A finished run is read, not run again; an interrupted one is resumed; one with other settings is refused.
The table is written anew after each run.
"""

import csv
import json
import platform
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import tyro

import ringsam
from ringsam.config import Config, read_recipe, setting_names
from ringsam.evaluation.evaluate import evaluate
from ringsam.runs import RunFolder, write_atomically
from ringsam.training.run import resume

RESULTS = Path(__file__).parent / "results"


@dataclass
class Arguments:
    """What to run."""

    root: tyro.conf.Positional[Path]
    recipes: list[str]
    seeds: list[int]
    epochs: int
    runs: Path
    """Where the runs go; a finished one is read, an interrupted one resumed."""
    weights: str = "nano"
    table: Path = RESULTS / "recipes.md"


@dataclass(frozen=True)
class Row:
    """One run's figures on the test masks, and what it cost."""

    data: str
    recipe: str
    seed: int
    prompts: str
    zero_shot: float
    adapted: float
    difference_low: float
    difference_high: float
    minutes: float  # in the epochs, of all sittings


def main(arguments: Arguments) -> None:
    """Run what is missing; write the table as CSV and Markdown."""
    rows: list[Row] = []
    for data in sorted(p for p in arguments.root.iterdir() if (p / "train").is_dir()):
        for recipe in arguments.recipes:
            for seed in arguments.seeds:
                rows += run_row(data, recipe, seed, arguments)
                write_tables(rows, arguments)


def run_row(data: Path, recipe: str, seed: int, arguments: Arguments) -> Iterator[Row]:
    """One run, evaluated with the big box alone and with both boxes; nothing is selected on masks."""
    folder = RunFolder(arguments.runs / f"{data.name}-{Path(recipe).stem}-{seed}")
    config = replace(
        read_recipe(recipe), weights=arguments.weights, epochs=arguments.epochs, seed=seed
    )
    finish_run(folder, data / "train" / "two_boxes.json", config)
    minutes = sum(epoch["seconds"] for epoch in folder.read_epochs()) / 60
    for prompts in ("box", "box+core"):
        figures = read_figures(folder, data, prompts)
        low, high = figures["difference"]["intervals"]["miou"]
        yield Row(
            data.name, Path(recipe).stem, seed, prompts,
            figures["zero_shot"]["miou"], figures["adapted"]["miou"], low, high,
            minutes,
        )  # fmt: skip


def finish_run(folder: RunFolder, boxes: Path, config: Config) -> None:
    """Train what is missing; a folder with other settings is refused, for its figures are another row's."""
    if not folder.is_run():
        ringsam.train(boxes, folder.path, config)
        return
    found = folder.read_config()
    differing = [
        f"{name} is {attrgetter(name)(found)}, not {attrgetter(name)(config)}"
        for name in setting_names()
        if attrgetter(name)(found) != attrgetter(name)(config)
    ]
    if differing:
        mend = "give another --runs, or remove the folder"
        raise SystemExit(
            f"{folder.path}: was run with other settings: {', '.join(differing)}; {mend}"
        )
    if not folder.adapted.is_dir():
        resume(folder.path)


def read_figures(folder: RunFolder, data: Path, prompts: Any) -> dict[str, Any]:
    """The evaluation of a run, made where it is missing."""
    path = folder.path / f"evaluation-{prompts}.json"
    if not path.is_file():
        evaluate(folder.path, data / "test" / "annotations.json", prompts=prompts)
        folder.evaluation.rename(path)
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def write_tables(rows: list[Row], arguments: Arguments) -> None:
    """Every run as a CSV row; means over seeds in Markdown."""
    arguments.table.parent.mkdir(parents=True, exist_ok=True)
    with arguments.table.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__dataclass_fields__)
        writer.writerows(row.__dict__.values() for row in rows)
    write_atomically(arguments.table, "\n".join(markdown(rows, arguments)) + "\n")


def markdown(rows: list[Row], arguments: Arguments) -> Iterator[str]:
    """The table a person reads, with the command that makes it."""
    yield "# Recipes on real images\n"
    yield "mIoU over the objects of the test images, native resolution, mean of the seeds; masks serve this figure only.\n"
    yield f"`{command(arguments)}`\n"
    yield (
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"ringsam {ringsam.__version__}; interval: 95 % of the paired difference, bootstrap over images, first seed\n"
    )
    yield "| data | prompt at test | recipe | seeds | zero-shot | adapted | difference | interval | minutes a run |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for key in dict.fromkeys((row.data, row.prompts, row.recipe) for row in rows):
        group = [row for row in rows if (row.data, row.prompts, row.recipe) == key]
        zero_shot, adapted, minutes = (
            statistics.mean(getattr(row, name) for row in group)
            for name in ("zero_shot", "adapted", "minutes")
        )
        yield (
            f"| {' | '.join(key)} | {len(group)} | {zero_shot:.4f} | {adapted:.4f} | "
            f"{adapted - zero_shot:+.4f} | {group[0].difference_low:+.4f} .. "
            f"{group[0].difference_high:+.4f} | {minutes:.1f} |"
        )


def command(arguments: Arguments) -> str:
    """The command as typed; a path that only this machine has is named by what it is."""
    recipes = " ".join(as_typed(name, Path(name).name) for name in arguments.recipes)
    return (
        f"python benchmarks/recipes.py {as_typed(arguments.root, 'ROOT')} --recipes {recipes} "
        f"--seeds {' '.join(map(str, arguments.seeds))} --epochs {arguments.epochs} "
        f"--weights {as_typed(arguments.weights, 'WEIGHTS')} --runs {as_typed(arguments.runs, 'RUNS')}"
    )


def as_typed(path: str | Path, name: str) -> str:
    """The path if it is relative, else the name that stands for it."""
    return name if Path(path).is_absolute() else str(path)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
