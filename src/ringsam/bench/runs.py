"""Data sets x recipes x seeds: train from two boxes, evaluate on the test masks, one table; a finished run is read, not run again."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import torch

from ringsam.bench.scores import grabcut_miou, read_miou
from ringsam.bench.sets import data_sets
from ringsam.bench.table import GRABCUT, Row, make_folder, write_tables
from ringsam.config import Config, PromptPolicy, read_recipe, settings
from ringsam.data.dataset import find_annotations
from ringsam.digests import sha256
from ringsam.errors import InputError
from ringsam.provenance import read_note
from ringsam.runs import RunFolder
from ringsam.training.changes import changed_settings
from ringsam.training.run import resume, train

PROTOCOLS: tuple[PromptPolicy, ...] = ("box", "box+core")


@dataclass(frozen=True)
class Comparison:
    """A row that is no recipe: its settings, made from `best`'s, and what trains it in a run folder, if not ringsam itself."""

    settings: Callable[[Config], Config]
    train: Callable[[RunFolder, Path, Config], None] | None = None


@dataclass(frozen=True)
class Bench:
    """What to run. `comparisons` and `prepare`, which each process does first, must be picklable."""

    root: Path
    recipes: Sequence[str]
    seeds: Sequence[int]
    epochs: int
    runs: Path
    weights: str
    input_size: int | None = None
    data: Sequence[str] | None = None
    once: Sequence[str] = ()
    jobs: int = 1
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None


def bench(wanted: Bench, table: Path, command: str) -> Path:
    """Run what is missing; the table is written anew after each run, as CSV, Markdown and SVG. Returns the Markdown.

    Raises InputError where no set has both parts, and where a finished run had other settings or labels.
    """
    if wanted.jobs < 1:
        raise InputError(f"--jobs {wanted.jobs} runs nothing; give 1 or more")
    sets = data_sets(wanted.root, wanted.data)
    make_folder(table.parent)
    runs = (
        (data, recipe, seed)
        for seed in wanted.seeds
        for data in sets
        for recipe in wanted.recipes
        if seed == wanted.seeds[0] or recipe not in (GRABCUT, *wanted.once)
    )
    rows: list[Row] = []
    with worker_pool(wanted.jobs, partial(_await_run, wanted.prepare)) as pool:
        # No more than there are processes: what is queued would still run after an interrupt
        running = {pool.submit(_work, *one, wanted) for one in islice(runs, wanted.jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for run in done:
                rows += run.result()
                write_tables(sorted(rows, key=partial(_place, wanted=wanted)), table, command)
            running |= {pool.submit(_work, *one, wanted) for one in islice(runs, len(done))}
    return table


def worker_pool(jobs: int, prepare: Callable[[], None] | None = None) -> ProcessPoolExecutor:
    """Processes that share the cores out among them; each begins with `prepare`."""
    threads = max((os.cpu_count() or 1) // jobs, 1)
    spawn = get_context("spawn")
    return ProcessPoolExecutor(jobs, spawn, initializer=_begin, initargs=(threads, prepare))


def _begin(threads: int, prepare: Callable[[], None] | None) -> None:
    torch.set_num_threads(threads)
    if prepare:
        prepare()


def _await_run(prepare: Callable[[], None] | None) -> None:
    """Ctrl-C is for runs: a process that dies without one would have the pool end the others at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if prepare:
        prepare()


def _work(data: Path, recipe: str, seed: int, wanted: Bench) -> list[Row]:
    """`run_rows`, which Ctrl-C ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run_rows(data, recipe, seed, wanted)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_rows(data: Path, recipe: str, seed: int, wanted: Bench) -> list[Row]:
    """One run, evaluated with the big box alone and with both boxes."""
    if recipe == GRABCUT:
        score = grabcut_miou(data)
        return [Row(data.name, recipe, seed, prompts, score, score, 0.0) for prompts in PROTOCOLS]
    folder = run_folder(wanted.runs, data, recipe, seed)
    finish_run(folder, data, settings_of(recipe, seed, wanted), wanted.comparisons.get(recipe))
    minutes = sum(epoch["seconds"] for epoch in folder.read_epochs()) / 60
    rows = []
    for prompts in PROTOCOLS:
        zero_shot = wanted.runs / f"{data.name}-zero_shot-{_digest(folder)}-{prompts}.json"
        before = read_miou(zero_shot, folder.original, data, prompts)
        adapted = folder.path / f"adapted-{prompts}.json"
        after = read_miou(adapted, folder.adapted, data, prompts)
        rows.append(Row(data.name, Path(recipe).stem, seed, prompts, before, after, minutes))
    return rows


def run_folder(runs: Path, data: Path, recipe: str, seed: int) -> RunFolder:
    """Where a recipe's run on a data set lies; a recipe of one's own goes by its file's name."""
    return RunFolder(runs / f"{data.name}-{Path(recipe).stem}-{seed}")


def settings_of(recipe: str, seed: int, wanted: Bench) -> Config:
    """The recipe's settings, with what the comparison of recipes holds equal."""
    comparison = wanted.comparisons.get(recipe)
    config = comparison.settings(read_recipe("best")) if comparison else read_recipe(recipe)
    return replace(
        config,
        weights=wanted.weights,
        epochs=wanted.epochs,
        seed=seed,
        data=replace(config.data, input_size=wanted.input_size),
    )


def finish_run(
    folder: RunFolder, data: Path, config: Config, comparison: Comparison | None = None
) -> None:
    """Train what is missing; a folder with other settings or labels is refused, for its figures are another row's."""
    labels = find_annotations(data / "train")
    if folder.is_run():
        refuse_other_settings(folder, config)
        _refuse_other_labels(folder, labels)
    if folder.adapted.is_dir():
        return
    if comparison and comparison.train:
        comparison.train(folder, data, config)
    elif folder.is_run():
        resume(folder.path)
    else:
        train(labels, folder.path, config)


def refuse_other_settings(folder: RunFolder, config: Config) -> None:
    """Stop where the folder's settings, but for how and where it ran, are not the ones asked for."""
    _refuse(folder, "settings", changed_settings(settings(folder.read_config()), config))


def _refuse_other_labels(folder: RunFolder, labels: Path) -> None:
    """Stop where the run says that it learned from other labels; a comparison's says nothing."""
    note = read_note(folder)
    if note and sha256(labels) not in note.labels.values():
        _refuse(folder, "labels", [f"{labels}: was changed"])


def _refuse(folder: RunFolder, other: str, rows: Sequence[str]) -> None:
    if rows:
        mend = "remove the folder, or have the runs in another"
        raise InputError(f"{folder.path}: was run with other {other}; {mend}:", rows)


def _digest(folder: RunFolder) -> str:
    """Tells the weights that a run began with from others."""
    return sha256(folder.original / "model.safetensors")[:8]


def _place(row: Row, wanted: Bench) -> tuple[str, str, int, int]:
    """Where the row stands in the table."""
    recipes = [Path(recipe).stem for recipe in wanted.recipes]
    return row.data, row.prompts, recipes.index(row.recipe), row.seed
