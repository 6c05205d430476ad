"""Data sets x recipes x seeds: train from two boxes, evaluate on masks nobody trained on, one table.

python -m benchmarks.recipes ROOT --recipes grabcut seed wesam best masks --seeds 0 1 2 --epochs 2 --runs runs/recipes

ROOT holds one folder a data set, each with `train/` (two_boxes.json) and `test/` (annotations.json). A recipe is a bundled one,
a YAML file, or one of three comparisons: `grabcut`, what the two boxes give without any model; `wesam`, the nearest published
recipe; `masks`, the ceiling: the same encoder, frozen decoder, loss and budget, told the true masks of the training images.
A finished run is read, not run again; an interrupted one is resumed; one with other settings is refused. The table is written
anew after each run.
"""

import csv
import hashlib
import json
import os
import platform
import shutil
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import tyro
from lightning import Trainer
from torch.utils.data import Dataset

import ringsam
from benchmarks.tables import RESULTS, data_sets, write_table
from benchmarks.wesam import WesamAdaptation
from benchmarks.zero_shot import grabcut
from ringsam.batch import Sample
from ringsam.config import (
    Config,
    MethodConfig,
    PromptPolicy,
    read_recipe,
    setting_names,
    write_config,
)
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import decode_masks, read_pixels
from ringsam.evaluation.evaluate import evaluate
from ringsam.metrics import iou
from ringsam.runs import RunFolder, write_folder, write_json
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.build import build_loader, build_module, build_trainer, quietly
from ringsam.training.module import AdaptationModule, TwoBoxLoader
from ringsam.training.run import resume

COMPARISONS = ("grabcut", "wesam", "masks")
PROTOCOLS: tuple[PromptPolicy, ...] = ("box", "box+core")


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
    input_size: int | None = None
    """Side of the input frame in pixels; the model's own where not given."""
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    once: tuple[str, ...] = ("grabcut",)
    """Recipes that are run with the first seed only: those without chance, or of which no claim is made."""
    jobs: int = 1
    """Runs at a time; the cores are shared out among them."""
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
    minutes: float  # in the epochs, of all sittings


def main(arguments: Arguments) -> None:
    """Run what is missing; write the table as CSV and Markdown after each run."""
    wanted = [
        (data, recipe, seed)
        for seed in arguments.seeds
        for data in data_sets(arguments.root, "train", arguments.data)
        for recipe in arguments.recipes
        if recipe not in arguments.once or seed == arguments.seeds[0]
    ]
    rows: list[Row] = []
    threads = max((os.cpu_count() or 1) // arguments.jobs, 1)
    with ProcessPoolExecutor(
        arguments.jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,)
    ) as pool:
        runs = [pool.submit(run_rows, *one, arguments) for one in wanted]
        for run in as_completed(runs):
            if run.exception():
                pool.shutdown(cancel_futures=True)
            rows += run.result()
            write_tables(sorted(rows, key=partial(place, arguments=arguments)), arguments)


def place(row: Row, arguments: Arguments) -> tuple[Any, ...]:
    """Where the row stands in the table."""
    recipes = [Path(recipe).stem for recipe in arguments.recipes]
    return row.data, row.prompts, recipes.index(row.recipe), row.seed


def run_rows(data: Path, recipe: str, seed: int, arguments: Arguments) -> list[Row]:
    """One run, evaluated with the big box alone and with both boxes; nothing is selected on masks."""
    if recipe == "grabcut":
        score = grabcut_miou(data)
        return [Row(data.name, recipe, seed, prompts, score, score, 0.0) for prompts in PROTOCOLS]
    folder = RunFolder(arguments.runs / f"{data.name}-{Path(recipe).stem}-{seed}")
    finish_run(folder, data, recipe, settings_of(recipe, seed, arguments))
    minutes = sum(epoch["seconds"] for epoch in folder.read_epochs()) / 60
    rows = []
    for prompts in PROTOCOLS:
        zero_shot = arguments.runs / f"{data.name}-zero_shot-{digest(folder)}-{prompts}.json"
        before = read_miou(zero_shot, folder.original, data, prompts)
        adapted = folder.path / f"adapted-{prompts}.json"
        after = read_miou(adapted, folder.adapted, data, prompts)
        rows.append(Row(data.name, Path(recipe).stem, seed, prompts, before, after, minutes))
    return rows


def settings_of(recipe: str, seed: int, arguments: Arguments) -> Config:
    """The recipe's settings; the two comparisons that train take `best`'s, less what they replace."""
    config = read_recipe("best" if recipe in COMPARISONS else recipe)
    method, optim = config.method, config.optim
    if recipe == "masks":
        method = replace(method, colour_vote=1.0, shape_vote=0.0, colour_evidence=0.0)
    if recipe == "wesam":
        method = MethodConfig(prompts="box")
        optim = replace(optim, lr_encoder=1e-4, lr_width=None)  # its own
    return replace(
        config,
        weights=arguments.weights,
        epochs=arguments.epochs,
        seed=seed,
        method=method,
        optim=optim,
        data=replace(config.data, input_size=arguments.input_size),
    )


def finish_run(folder: RunFolder, data: Path, recipe: str, config: Config) -> None:
    """Train what is missing; a folder with other settings is refused, for its figures are another row's."""
    if folder.is_run():
        refuse_other_settings(folder, config)
    if folder.adapted.is_dir():
        return
    if recipe in COMPARISONS:
        shutil.rmtree(folder.path, ignore_errors=True)
        train_comparison(folder, data, recipe, config)
    elif folder.is_run():
        resume(folder.path)
    else:
        ringsam.train(data / "train" / "two_boxes.json", folder.path, config)


def digest(folder: RunFolder) -> str:
    """Tells the weights that a run began with from others."""
    content = (folder.original / "model.safetensors").read_bytes()
    return hashlib.sha256(content).hexdigest()[:8]


def refuse_other_settings(folder: RunFolder, config: Config) -> None:
    """Stop where the folder's settings are not the ones asked for."""
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


def train_comparison(folder: RunFolder, data: Path, recipe: str, config: Config) -> None:
    """Train WeSAM, or with the true masks; ringsam itself has no door for masks, so the loop is put together here."""
    labels = "annotations.json" if recipe == "masks" else "two_boxes.json"
    boxes = read_two_boxes(data / "train" / labels).with_objects()
    sam = load_sam(config.weights, input_size=config.data.input_size)
    module = build_module(sam, config)
    without_colours = replace(config, method=replace(config.method, colour_vote=0.0))
    learn, _ = boxes.hold_out(config.data.held_out, config.seed)  # as many images as `best` has
    loader = build_loader(learn, sam, without_colours)
    if recipe == "masks":
        loader.dataset = TrueMasks(loader.dataset)
    else:
        module.adaptation = WesamAdaptation(sam, config.method, seed=config.seed)
    fit_in_folder(folder, config, build_trainer(folder, config), module, loader)


def fit_in_folder(
    folder: RunFolder,
    config: Config,
    trainer: Trainer,
    module: AdaptationModule,
    loader: TwoBoxLoader,
) -> None:
    """Train, and leave a run folder that can be evaluated: settings, original and adapted weights."""
    save = partial(save_folder, module.adaptation.sam)
    folder.create()
    write_folder(folder.original, save)
    write_config(config, folder.config)
    with quietly():
        trainer.fit(module, loader, weights_only=True)
    write_folder(folder.adapted, save)


class TrueMasks(Dataset[Sample]):
    """The samples with the true masks in the colour model's place: a voter that is never wrong."""

    def __init__(self, samples: Dataset[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        assert sample.gt_masks is not None
        return replace(sample, colour_masks=sample.gt_masks[:, None])


def grabcut_miou(data: Path) -> float:
    """mIoU of the colour model's own masks of the test objects."""
    scores = []
    for record in read_two_boxes(data / "test" / "annotations.json").with_objects().images:
        pixels, truth = read_pixels(record), decode_masks(record)
        assert truth is not None
        scores.append(iou(grabcut(record, pixels), truth))
    return float(torch.cat(scores).mean())


def read_miou(path: Path, weights: Path, data: Path, prompts: PromptPolicy) -> float:
    """mIoU of these weights on the test masks, from the file if it was measured before; else measured and kept there."""
    if not path.is_file():
        evaluation = evaluate(weights, data / "test" / "annotations.json", prompts=prompts)
        write_json(path, {"miou": evaluation.zero_shot.miou})
    return float(json.loads(path.read_text(encoding="utf-8"))["miou"])


def write_tables(rows: Sequence[Row], arguments: Arguments) -> None:
    """Every run as a CSV row; means over seeds in Markdown."""
    write_table(markdown(rows, arguments), arguments.table)
    with arguments.table.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__dataclass_fields__)
        writer.writerows(row.__dict__.values() for row in rows)


def markdown(rows: Sequence[Row], arguments: Arguments) -> Iterator[str]:
    """The table a person reads, with the command that makes it."""
    yield "# Recipes on real images\n"
    yield "mIoU over the objects of the test images, native resolution; masks serve this figure only.\n"
    yield f"`{command(arguments)}`\n"
    yield (
        f"{platform.machine()}, {os.cpu_count()} cores, {arguments.jobs} runs at a time, torch {torch.__version__}, "
        f"ringsam {ringsam.__version__}; mean and standard deviation over seeds; gap closed = "
        "(recipe - zero-shot) / (masks - zero-shot)\n"
    )
    yield "| data | prompt at test | recipe | seeds | mIoU | over zero-shot | gap closed | minutes a run |"
    yield "|---|---|---|---|---|---|---|---|"
    for data, prompts in dict.fromkeys((row.data, row.prompts) for row in rows):
        group = [row for row in rows if (row.data, row.prompts) == (data, prompts)]
        yield from markdown_group(group)


def markdown_group(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of one data set and protocol, zero-shot first."""
    trained = [row for row in rows if row.recipe != "grabcut"]
    start = trained[0].zero_shot if trained else None
    ceiling = [row.adapted for row in rows if row.recipe == "masks"]
    head = f"| {rows[0].data} | {rows[0].prompts} |"
    if start is not None:
        yield f"{head} zero-shot | | {start:.4f} | | | |"
    for recipe in dict.fromkeys(row.recipe for row in rows):
        group = [row for row in rows if row.recipe == recipe]
        scores = [row.adapted for row in group]
        mean, minutes = statistics.mean(scores), statistics.mean(row.minutes for row in group)
        spread = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
        gain = f"{mean - start:+.4f}" if start is not None else ""
        gap = statistics.mean(ceiling) - start if ceiling and start is not None else 0.0
        closed = f"{(mean - start) / gap:.0%}" if start is not None and gap > 0 else ""
        yield f"{head} {recipe} | {len(group)} | {mean:.4f}{spread} | {gain} | {closed} | {minutes:.1f} |"


def command(arguments: Arguments) -> str:
    """The command as typed; a path that only this machine has is named by what it is."""
    recipes = " ".join(as_typed(name, Path(name).name) for name in arguments.recipes)
    size = f" --input-size {arguments.input_size}" if arguments.input_size else ""
    data = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    once = f" --once {' '.join(arguments.once)}" if arguments.once != ("grabcut",) else ""
    return (
        f"python -m benchmarks.recipes {as_typed(arguments.root, 'ROOT')} --recipes {recipes} "
        f"--seeds {' '.join(map(str, arguments.seeds))}{once} --epochs {arguments.epochs} "
        f"--weights {as_typed(arguments.weights, 'WEIGHTS')}{size}{data} --runs {as_typed(arguments.runs, 'RUNS')}"
    )


def as_typed(path: str | Path, name: str) -> str:
    """The path if it is relative, else the name that stands for it."""
    return name if Path(path).is_absolute() else str(path)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
