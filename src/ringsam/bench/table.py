"""The comparison's table: each run a CSV row, means over seeds in Markdown, and a drawing of what each recipe adds."""

import csv
import io
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import ringsam
from ringsam.bench.plot import draw_gains
from ringsam.errors import InputError
from ringsam.files import write_atomically

GRABCUT = "grabcut"  # what the two boxes give without any model
CEILING = "masks"  # told the true masks of the training images: what a gap is measured against


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


@dataclass(frozen=True)
class Group:
    """The runs of one recipe on one data set with one prompt at test."""

    rows: list[Row]
    start: float | None  # mIoU zero-shot
    ceiling: float | None

    @property
    def recipe(self) -> str:
        return self.rows[0].recipe

    @property
    def mean(self) -> float:
        return statistics.mean(row.adapted for row in self.rows)

    @property
    def deviation(self) -> float | None:
        """Over seeds; None with one."""
        return statistics.stdev(row.adapted for row in self.rows) if len(self.rows) > 1 else None

    @property
    def gain(self) -> float | None:
        return None if self.start is None else self.mean - self.start

    @property
    def gap_closed(self) -> float | None:
        """Share of what true masks would have given."""
        if self.start is None or self.ceiling is None or self.ceiling <= self.start:
            return None
        return (self.mean - self.start) / (self.ceiling - self.start)


def make_folder(path: Path) -> None:
    """Raises InputError where none can be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made: {error.strerror}; give another --out") from error


def write_tables(rows: Sequence[Row], table: Path, command: str) -> None:
    """CSV, Markdown and SVG beside one another, each whole or not at all."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    names = ("data", "recipe")  # as folders and files are called
    writer.writerows(
        asdict(row) | {name: no_formula(getattr(row, name)) for name in names} for row in rows
    )
    write_atomically(table.with_suffix(".csv"), written.getvalue())
    groups = {place: list(grouped(part)) for place, part in places(rows)}
    drawing = table.with_suffix(".svg")
    write_atomically(table, "\n".join(markdown(groups, command, drawing.name)) + "\n")
    gains = {
        f"{data}, {prompts}": [(g.recipe, g.gain, g.deviation) for g in found if g.gain is not None]
        for (data, prompts), found in groups.items()
    }
    write_atomically(drawing, draw_gains(gains))


def no_formula(text: str) -> str:
    """As spreadsheets take for text what they would run: a name that begins like a formula gets an apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def places(rows: Sequence[Row]) -> Iterator[tuple[tuple[str, str], list[Row]]]:
    """The rows of each data set and prompt, in order."""
    for data, prompts in dict.fromkeys((row.data, row.prompts) for row in rows):
        yield (
            (data, prompts),
            [row for row in rows if (row.data, row.prompts) == (data, prompts)],
        )


def grouped(rows: Sequence[Row]) -> Iterator[Group]:
    """One data set and prompt, recipe by recipe."""
    trained = [row for row in rows if row.recipe != GRABCUT]
    start = trained[0].zero_shot if trained else None
    told = [row.adapted for row in rows if row.recipe == CEILING]
    ceiling = statistics.mean(told) if told else None
    for recipe in dict.fromkeys(row.recipe for row in rows):
        yield Group([row for row in rows if row.recipe == recipe], start, ceiling)


def markdown(
    groups: dict[tuple[str, str], list[Group]], command: str, drawing: str
) -> Iterator[str]:
    """The table a person reads, with the command that makes it."""
    yield "# Recipes compared\n"
    yield "mIoU over the objects of the test images, native resolution; masks serve this figure only.\n"
    yield f"`{command}`; `--data`, `--recipes` and `--seeds` choose single rows.\n"
    yield (
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, ringsam {ringsam.__version__}; "
        "mean and standard deviation over seeds; gap closed = (recipe - zero-shot) / (masks - zero-shot)\n"
    )
    yield f"![what each recipe adds to zero-shot]({drawing})\n"
    yield "| data | prompt at test | recipe | seeds | mIoU | over zero-shot | gap closed | minutes a run |"
    yield "|---|---|---|---|---|---|---|---|"
    for place, found in groups.items():
        yield from lines_of(place, found)


def lines_of(place: tuple[str, str], groups: Sequence[Group]) -> Iterator[str]:
    """The lines of one data set and prompt, zero-shot first."""
    head = f"| {' | '.join(place)} |"
    if groups[0].start is not None:
        yield f"{head} zero-shot | | {groups[0].start:.4f} | | | |"
    for group in groups:
        spread = "" if group.deviation is None else f" ± {group.deviation:.4f}"
        gain = "" if group.gain is None else f"{group.gain:+.4f}"
        closed = "" if group.gap_closed is None else f"{group.gap_closed:.0%}"
        minutes = statistics.mean(row.minutes for row in group.rows)
        yield (
            f"{head} {group.recipe} | {len(group.rows)} | {group.mean:.4f}{spread} | {gain} | {closed} | {minutes:.1f} |"
        )
