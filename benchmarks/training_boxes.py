"""What if people draw loosely? The recipe on training boxes that were moved, judged by the test boxes as they are labelled.

python -m benchmarks.training_boxes ROOT --runs runs/training_boxes

Moves are those of `benchmarks.robustness`, seeded by the image; a big box that would cut its small box keeps it in.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import tyro

from benchmarks.robustness import MOVES, moved
from benchmarks.splits import read_labels
from benchmarks.tables import RESULTS, by_prompt, data_sets, publish
from ringsam.bench.plot import Gain
from ringsam.bench.runs import Bench, run_rows
from ringsam.data.dataset import read_two_boxes
from ringsam.files import write_json


@dataclass
class Arguments:
    """What to run."""

    root: tyro.conf.Positional[Path]
    runs: Path
    recipe: str = "best"
    seeds: tuple[int, ...] = (0,)
    epochs: int = 2
    input_size: int = 256
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    moves: tuple[str, ...] = tuple(MOVES)
    table: Path = RESULTS / "training_boxes.md"


def write_moved(data: Path, name: str, runs: Path) -> Path:
    """The data set with the big boxes of its training part moved, and the same test part."""
    folder = runs / "data" / f"{data.name}-{list(MOVES).index(name)}"
    if (folder / "test").is_dir():
        return folder
    content = read_labels(data / "train" / "two_boxes.json")
    boxes: dict[int, list[float]] = {}
    for record in read_two_boxes(data / "train" / "two_boxes.json").images:
        big, small = moved(record, *MOVES[name]), record.small_boxes
        low, high = np.minimum(big[:, :2], small[:, :2]), np.maximum(big[:, 2:], small[:, 2:])
        rows = np.concatenate([low, high], axis=1).tolist()
        boxes |= dict(zip(record.object_ids.tolist(), rows, strict=True))
    rows = [row | {"big_box": boxes[row["id"]]} for row in content["annotations"]]
    shutil.copytree(data / "train" / "images", folder / "train" / "images")
    write_json(folder / "train" / "two_boxes.json", content | {"annotations": rows})
    shutil.copytree(data / "test", folder / "test")
    return folder


def lines(arguments: Arguments, gains: dict[str, list[Gain]]) -> Iterator[str]:
    """A row for each set and move; `gains` is told what they show."""
    chosen = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    if arguments.moves != tuple(MOVES):
        chosen += " --moves " + " ".join(f'"{name}"' for name in arguments.moves)
    seeds = " ".join(map(str, arguments.seeds))
    yield "# Other boxes to learn from\n"
    yield (
        f"`python -m benchmarks.training_boxes ROOT --runs RUNS --recipe {arguments.recipe} --seeds {seeds} "
        f"--epochs {arguments.epochs} --input-size {arguments.input_size}{chosen}`\n"
    )
    yield "mIoU over zero-shot on the test objects, their boxes as labelled; nano; mean over seeds, the worst of one seed and prompt.\n"
    yield f"![what is gained after other training boxes]({arguments.table.stem}.svg)\n"
    yield "| data | training boxes | seeds | big box | both boxes | the worst |"
    yield "|---|---|---|---|---|---|"
    wanted = Bench(
        root=arguments.root,
        recipes=[arguments.recipe],
        seeds=list(arguments.seeds),
        epochs=arguments.epochs,
        runs=arguments.runs,
        weights="nano",
        input_size=arguments.input_size,
    )
    for data in data_sets(arguments.root, "train", arguments.data):
        for name in arguments.moves:
            folder = write_moved(data, name, arguments.runs)
            runs = [run_rows(folder, arguments.recipe, seed, wanted) for seed in arguments.seeds]
            found = [[row.adapted - row.zero_shot for row in rows] for rows in runs]
            big, both = (mean(column) for column in zip(*found, strict=True))
            worst = min(map(min, found))
            gains[f"{data.name}, {name}"] = by_prompt([big, both])
            yield f"| {data.name} | {name} | {len(runs)} | {big:+.4f} | {both:+.4f} | {worst:+.4f} |"


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    gains: dict[str, list[Gain]] = {}
    publish(lines(arguments, gains), arguments.table, gains)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
