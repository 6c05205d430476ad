"""How many images are enough? The recipe on the first 10, 25, 50, 100 and all images of a training part.

python -m benchmarks.num_images ROOT --runs runs/num_images

Each run sees as many images in all as two epochs of the whole part, so that only their variety differs.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.splits import read_labels, write_part
from benchmarks.tables import RESULTS, by_prompt, data_sets, publish
from ringsam.bench.plot import Gain
from ringsam.bench.runs import Bench, run_rows


@dataclass
class Arguments:
    """What to run."""

    root: tyro.conf.Positional[Path]
    runs: Path
    sizes: tuple[int, ...] = (10, 25, 50, 100)
    """Images to learn from, beside all of them."""
    recipe: str = "best"
    seed: int = 0
    input_size: int = 256
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    table: Path = RESULTS / "num_images.md"


def subset(data: Path, size: int, runs: Path) -> Path:
    """A data set with the first images alone in its training part, and the same test part."""
    folder = runs / "data" / f"{data.name}-{size}"
    if not (folder / "test").is_dir():
        images = read_labels(data / "train" / "two_boxes.json")["images"][:size]
        write_part(data / "train", folder / "train", "two_boxes.json", images)
        shutil.copytree(data / "test", folder / "test")
    return folder


def lines(arguments: Arguments, gains: dict[str, list[Gain]]) -> Iterator[str]:
    """A row for each set and size; `gains` is told what they show."""
    chosen = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    sizes = " ".join(map(str, arguments.sizes))
    yield "# How many images are enough\n"
    yield (
        f"`python -m benchmarks.num_images ROOT --runs RUNS --sizes {sizes} --recipe {arguments.recipe} "
        f"--seed {arguments.seed} --input-size {arguments.input_size}{chosen}`\n"
    )
    yield "mIoU over the test objects; nano; each run sees as many images in all as two epochs of the whole part.\n"
    yield f"![what is gained from so many images]({arguments.table.stem}.svg)\n"
    yield "| data | images | epochs | big box, over zero-shot | both boxes, over zero-shot |"
    yield "|---|---|---|---|---|"
    for data in data_sets(arguments.root, "train", arguments.data):
        whole = len(read_labels(data / "train" / "two_boxes.json")["images"])
        for size in (*(size for size in arguments.sizes if size < whole), whole):
            epochs = round(2 * whole / size)
            wanted = Bench(
                root=arguments.root,
                recipes=[arguments.recipe],
                seeds=[arguments.seed],
                epochs=epochs,
                runs=arguments.runs,
                weights="nano",
                input_size=arguments.input_size,
            )
            rows = run_rows(
                subset(data, size, arguments.runs), arguments.recipe, arguments.seed, wanted
            )
            over = [row.adapted - row.zero_shot for row in rows]
            gains[f"{data.name}, {size} images"] = by_prompt(over)
            told = " | ".join(
                f"{row.adapted:.4f}, {gain:+.4f}" for row, gain in zip(rows, over, strict=True)
            )
            yield f"| {data.name} | {size} | {epochs} | {told} |"


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    gains: dict[str, list[Gain]] = {}
    publish(lines(arguments, gains), arguments.table, gains)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
