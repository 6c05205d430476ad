"""Which epoch did finished runs keep, without masks, and which would the test masks have chosen?

python -m benchmarks.kept_epochs ROOT --runs runs/recipes --recipe best --seeds 0 1 2

Takes finished runs of `benchmarks.recipes --keep-epochs`; nothing is trained. Epoch 0 is
the original SAM. The test masks serve the comparison only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
import tyro
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.tables import RESULTS, data_sets, finished_runs, publish
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import ImageRecord
from ringsam.errors import InputError
from ringsam.evaluation.evaluate import scorable, score_image
from ringsam.predict import Predictor, load_of_run
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training.build import build_module
from ringsam.training.checkpoint import checkpoints_in, is_within_epoch, read_checkpoint
from ringsam.training.module import load_towers

ENCODER = "vision_encoder."


@dataclass
class Arguments:
    """Which runs to look at."""

    root: tyro.conf.Positional[Path]
    runs: Path
    recipe: str = "best"
    seeds: tuple[int, ...] = (0, 1, 2)
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    table: Path = RESULTS / "kept_epochs.md"


def encoders(folder: RunFolder) -> list[dict[str, Tensor]]:
    """The encoder's weights before the first epoch and after each."""
    original = encoder_in(folder.original)
    adaptation = build_module(load_sam(folder.original), folder.read_config()).adaptation
    kept = [path for path in checkpoints_in(folder.checkpoints) if not is_within_epoch(path)]
    if len(kept) != len(folder.read_epochs()):
        mend = "train it anew by benchmarks.recipes --keep-epochs, with another --runs"
        raise InputError(f"{folder.path}: keeps {len(kept)} of its epochs' checkpoints; {mend}")
    epochs = [original]
    for path in kept:
        load_towers(adaptation, read_checkpoint(path))
        encoder = {name: weight.clone() for name, weight in adaptation.kept_encoder().items()}
        epochs.append(original | encoder)
    return epochs


def encoder_in(folder: Path) -> dict[str, Tensor]:
    named = load_file(folder / "model.safetensors")
    return {n.removeprefix(ENCODER): w for n, w in named.items() if n.startswith(ENCODER)}


def the_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def miou(model: Predictor, records: list[ImageRecord]) -> float:
    """Of the test objects, by the big box."""
    rows = [
        row
        for record in records
        for row in score_image(record, {"zero_shot": model}, prompts="box", categories={})
    ]
    return mean(row.zero_shot.iou for row in rows)


def lines(arguments: Arguments) -> Iterator[str]:
    """A row for each run, then the worst."""
    seeds = " ".join(map(str, arguments.seeds))
    chosen = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    yield "# The epoch kept without masks\n"
    yield f"`python -m benchmarks.kept_epochs ROOT --runs RUNS --recipe {arguments.recipe} --seeds {seeds}{chosen}`\n"
    yield "Epochs from 0 (the original SAM) on; mIoU of the test objects by the big box, which the choice does not see.\n"
    yield "| data | seed | mask-free quality | mIoU | epoch kept | the best | lost by the choice |"
    yield "|---|---|---|---|---|---|---|"
    losses = []
    for data in data_sets(arguments.root, "test", arguments.data):
        records = scorable(read_two_boxes(data / "test" / "annotations.json"))
        runs = finished_runs(arguments.runs, data, arguments.recipe, arguments.seeds)
        for seed, folder in runs.items():
            epochs, candidates = folder.read_epochs(), encoders(folder)
            if "mask_free_quality" not in epochs[0]:
                raise InputError(f"{folder.path}: chose no epoch; train with --data.held_out 0.1")
            qualities = [epochs[0]["mask_free_quality_before"]]
            qualities += [epoch["mask_free_quality"] for epoch in epochs]
            model = load_of_run(folder, folder.original)
            found = []
            for weights in candidates:
                model.sam.model.vision_encoder.load_state_dict(weights)
                found.append(miou(model, records))
            adapted = encoder_in(folder.adapted)
            kept = next(i for i, weights in enumerate(candidates) if the_same(weights, adapted))
            losses.append(max(found) - found[kept])
            told, scores = (", ".join(f"{v:.4f}" for v in values) for values in (qualities, found))
            best = found.index(max(found))
            yield f"| {data.name} | {seed} | {told} | {scores} | {kept} | {best} | {losses[-1]:.4f} |"
    yield f"\n{len(losses)} runs; the most that a choice lost is {max(losses):.4f}, {mean(losses):.4f} on average."


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    publish(lines(arguments), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
