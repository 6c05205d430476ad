"""What the benchmarks share: the data sets of a folder, and a table that is printed as it grows and then kept."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ringsam.bench.plot import Gain, draw_gains
from ringsam.bench.runs import run_folder
from ringsam.files import write_atomically
from ringsam.runs import RunFolder

RESULTS = Path(__file__).parent / "results"


def data_sets(root: Path, part: str, names: Sequence[str] | None = None) -> list[Path]:
    """The folders of `root` that hold that part, in order; those of `names` only, where given."""
    found = sorted(path for path in root.iterdir() if (path / part).is_dir())
    return [path for path in found if names is None or path.name in names]


def finished_runs(
    runs: Path, data: Path, recipe: str, seeds: Sequence[int]
) -> dict[int, RunFolder]:
    """The runs of `benchmarks.recipes` on a data set that have adapted weights, by seed."""
    folders = {seed: run_folder(runs, data, recipe, seed) for seed in seeds}
    return {seed: folder for seed, folder in folders.items() if folder.adapted.is_dir()}


def by_prompt(gains: Sequence[float]) -> list[Gain]:
    """What each of the two prompts at test gained, as it is drawn."""
    return [(name, gain, None) for name, gain in zip(("big box", "both boxes"), gains, strict=True)]


def publish(
    lines: Iterable[str], table: Path, gains: Mapping[str, Sequence[Gain]] | None = None
) -> None:
    """Print each line as it comes, then write them all; and draw what they found by then, where there is something to draw."""
    kept = []
    for line in lines:
        print(line, flush=True)
        kept.append(line)
    write_table(kept, table)
    if gains:
        write_atomically(table.with_suffix(".svg"), draw_gains(gains))


def put_row(row: str, table: Path, *, head: Sequence[str], named_by: int = 1) -> None:
    """Print a row, and put it into the table in place of an older one with the same first cells; the others stay."""
    print(row, flush=True)
    lines = table.read_text(encoding="utf-8").splitlines()[len(head) :] if table.exists() else []
    rows = {tuple(line.split(" | ")[:named_by]): line for line in [*lines, row]}
    write_table([*head, *rows.values()], table)


def write_table(lines: Iterable[str], table: Path) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(table, "\n".join(lines) + "\n")
