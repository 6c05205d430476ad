"""Does the mask-free quality choose the right epoch? Every epoch's weights, judged without masks and by the test masks.

python -m benchmarks.selection ROOT --runs runs/selection --epochs 4 --rates 1 10

Each rate is a multiple of `best`'s: at a high one training soon harms, and the choice matters. Quality is taken on the
held-out images of the training part, with no mask; the test masks serve the comparison only.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import lightning as L
import tyro
from scipy.stats import spearmanr

from benchmarks.recipes import fit_in_folder
from benchmarks.tables import RESULTS, data_sets, publish
from ringsam.bench.runs import refuse_other_settings
from ringsam.bench.scores import read_miou
from ringsam.config import Config, read_recipe
from ringsam.data.dataset import read_two_boxes
from ringsam.files import write_folder, write_json
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.build import (
    build_loader,
    build_module,
    build_selection,
    build_trainer,
)
from ringsam.training.module import on_cpu
from ringsam.training.selection import NOISE, Selection


@dataclass
class Arguments:
    """What to run."""

    root: tyro.conf.Positional[Path]
    runs: Path
    epochs: int = 4
    rates: tuple[float, ...] = (1.0, 10.0)
    seed: int = 0
    input_size: int = 256
    data: list[str] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    table: Path = RESULTS / "selection.md"


class KeepEpochs(L.Callback):
    """Writes the weights that are judged after each epoch, and the quality of the untrained model."""

    def __init__(self, folder: Path, judge: Selection) -> None:
        self.folder, self.judge = folder, judge

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        write_json(self.folder / "start.json", {"mask_free_quality": self.judge.quality})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        adaptation = self.judge.adaptation
        student = on_cpu(adaptation.trained_parts().encoder)
        adaptation.use_encoder(adaptation.kept_encoder())
        epoch = self.folder / f"epoch-{trainer.current_epoch + 1}"
        write_folder(epoch, partial(save_folder, adaptation.sam))
        adaptation.use_encoder(student)


def train(folder: RunFolder, data: Path, config: Config) -> None:
    """A run that is judged after each epoch, but neither stopped nor rolled back."""
    if folder.is_run():
        refuse_other_settings(folder, config)
    if folder.adapted.is_dir():
        return
    shutil.rmtree(folder.path, ignore_errors=True)
    boxes = read_two_boxes(data / "train" / "two_boxes.json").with_objects()
    learn, held_out = boxes.hold_out(config.data.held_out, config.seed)
    sam = load_sam(config.weights, input_size=config.data.input_size)
    module = build_module(sam, config)
    judge = build_selection(held_out, module.adaptation, config)
    assert judge is not None
    judge.patience, judge.collapse = config.epochs + 1, 0.0
    trainer = build_trainer(folder, config, judge)
    trainer.callbacks.append(KeepEpochs(folder.path, judge))  # type: ignore[attr-defined]
    fit_in_folder(folder, config, trainer, module, build_loader(learn, sam, config))


def lines(arguments: Arguments) -> Iterator[str]:
    """A row for each epoch of each run, then what the choice cost."""
    yield "# Choosing the epoch without masks\n"
    rates = " ".join(f"{rate:g}" for rate in arguments.rates)
    chosen_sets = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    yield (
        f"`python -m benchmarks.selection ROOT --runs RUNS --epochs {arguments.epochs} --rates {rates} "
        f"--seed {arguments.seed} --input-size {arguments.input_size}{chosen_sets}`\n"
    )
    yield "| data | rate | epoch | mask-free quality | mIoU, test masks |"
    yield "|---|---|---|---|---|"
    verdicts = []
    for data in data_sets(arguments.root, "train", arguments.data):
        for rate in arguments.rates:
            found = []
            for epoch, quality, miou in epochs_of(data, rate, arguments):
                found.append((quality, miou))
                yield f"| {data.name} | {rate:g} | {epoch} | {quality:.4f} | {miou:.4f} |"
            qualities, mious = zip(*found, strict=True)
            rank = spearmanr(qualities, mious).statistic
            chosen = mious[kept_epoch(qualities)]
            verdicts.append(
                f"| {data.name} | {rate:g} | {rank:.2f} | {chosen:.4f} | {max(mious):.4f} | {mious[-1]:.4f} |"
            )
    yield "\n| data | rate | Spearman | the epoch it keeps | the best epoch | the last |"
    yield "|---|---|---|---|---|---|"
    yield from verdicts


def kept_epoch(qualities: Sequence[float]) -> int:
    """The one that a run keeps: the last that is as good as the best until then."""
    best = accumulate(qualities, max, initial=0.0)
    kept = [
        quality > (1 - NOISE) * before for quality, before in zip(qualities, best, strict=False)
    ]
    return max(epoch for epoch, is_kept in enumerate(kept) if is_kept)


def epochs_of(data: Path, rate: float, arguments: Arguments) -> Iterator[tuple[int, float, float]]:
    """For each epoch, the untrained model as epoch 0: quality without masks, mIoU by the test masks."""
    folder = RunFolder(arguments.runs / f"{data.name}-{rate:g}-{arguments.seed}")
    best = read_recipe("best")
    config = replace(
        best,
        epochs=arguments.epochs,
        seed=arguments.seed,
        optim=replace(best.optim, lr_encoder=best.optim.lr_encoder * rate),
        data=replace(best.data, input_size=arguments.input_size),
    )
    train(folder, data, config)
    start = json.loads((folder.path / "start.json").read_text(encoding="utf-8"))
    for epoch, row in enumerate([start, *folder.read_epochs()]):
        weights = folder.path / f"epoch-{epoch}" if epoch else folder.original
        miou = read_miou(folder.path / f"epoch-{epoch}.json", weights, data, "box")
        yield epoch, row["mask_free_quality"], miou


def main(arguments: Arguments) -> None:
    """Print the tables as they grow, then write them."""
    publish(lines(arguments), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
