"""`ringsam bench` with more rows: WeSAM's recipe in our frame, the ceiling, which is told the true masks, and the ablations.

python -m benchmarks.recipes ROOT --recipes grabcut seed wesam best masks --seeds 0 1 2 --epochs 2 --runs runs/recipes

ROOT holds one folder a data set, each with `train/` (two_boxes.json) and `test/` (annotations.json). `wesam` is the nearest
published recipe; `masks` has `best`'s encoder, frozen decoder, loss and budget, and the true masks of the training images. A
finished run is read, not run again; an interrupted one is resumed, a comparison begun anew; one with other settings is refused.
"""

import shutil
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch.nn.functional as F
import tyro
from lightning import Trainer
from torch.utils.data import Dataset

from benchmarks.ablations import ABLATIONS
from benchmarks.tables import RESULTS
from benchmarks.wesam import WesamAdaptation
from ringsam.batch import Batch, Sample
from ringsam.bench.runs import Bench, Comparison, bench
from ringsam.config import Config, MethodConfig
from ringsam.data.dataset import read_two_boxes
from ringsam.files import write_folder
from ringsam.method.adaptation import Adaptation
from ringsam.method.colours import SoftMasks
from ringsam.method.self_training import fill_boxes
from ringsam.runs import RunFolder
from ringsam.sam.model import Decoded
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training import keeping
from ringsam.training.build import build_loader, build_module, build_trainer, quietly
from ringsam.training.loader import TwoBoxLoader
from ringsam.training.module import AdaptationModule


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
    once: tuple[str, ...] = ()
    """Recipes that are run with the first seed only, of which no claim is made."""
    keep_epochs: bool = False
    """Keep every epoch's checkpoint, for `benchmarks.kept_epochs`."""
    jobs: int = 1
    """Runs at a time; the cores are shared out among them."""
    table: Path = RESULTS / "recipes.md"


def main(arguments: Arguments) -> None:
    """Run what is missing; the table is written anew after each run."""
    options = dict(vars(arguments))
    table, keep = options.pop("table"), options.pop("keep_epochs")
    wanted = Bench(**options, comparisons=COMPARISONS, prepare=keep_every_epoch if keep else None)
    bench(wanted, table, command(arguments))


def keep_every_epoch() -> None:
    """As long as this process lives."""
    keeping.KEPT = sys.maxsize


def masks_settings(best: Config) -> Config:
    """The true masks in the voters' place, and the mask losses the only ones that learn from them."""
    method = replace(
        best.method, colour_vote=1.0, shape_vote=0.0, colour_evidence=0.0, pixel_contrast=0.0
    )
    return replace(best, method=method)


def wesam_settings(best: Config) -> Config:
    """Its prompts, its rate, four images a step; the losses are in `benchmarks.wesam`."""
    optim = replace(best.optim, lr_encoder=1e-4, lr_width=None, batch_size=4)
    return replace(best, method=MethodConfig(prompts="box"), optim=optim)


def train_with_masks(folder: RunFolder, data: Path, config: Config) -> None:
    """ringsam itself has no door for masks, so the loop is put together here."""
    module, loader = prepare(data / "train" / "annotations.json", config)
    module.adaptation = TaughtMasks(module.adaptation.sam, config.method, seed=config.seed)
    loader.dataset = TrueMasks(loader.dataset)
    fit_in_folder(folder, config, build_trainer(folder, config), module, loader)


def train_wesam(folder: RunFolder, data: Path, config: Config) -> None:
    """WeSAM's losses in the heart's place."""
    module, loader = prepare(data / "train" / "two_boxes.json", config)
    module.adaptation = WesamAdaptation(module.adaptation.sam, config.method, seed=config.seed)
    fit_in_folder(folder, config, build_trainer(folder, config), module, loader)


COMPARISONS = {
    **ABLATIONS,
    "wesam": Comparison(wesam_settings, train_wesam),
    "masks": Comparison(masks_settings, train_with_masks),
}


def prepare(labels: Path, config: Config) -> tuple[AdaptationModule, TwoBoxLoader]:
    """A module and as many images as `best` learns from."""
    sam = load_sam(config.weights, input_size=config.data.input_size)
    learn, _ = read_two_boxes(labels).with_objects().hold_out(config.data.held_out, config.seed)
    without_colours = replace(config, method=replace(config.method, colour_vote=0.0))
    return build_module(sam, config), build_loader(learn, sam, without_colours)


def fit_in_folder(
    folder: RunFolder,
    config: Config,
    trainer: Trainer,
    module: AdaptationModule,
    loader: TwoBoxLoader,
) -> None:
    """Train, and leave a run folder that can be evaluated: settings, original and adapted weights."""
    save = partial(save_folder, module.adaptation.sam)
    shutil.rmtree(folder.path, ignore_errors=True)  # one that was interrupted
    folder.create()
    write_folder(folder.original, save)
    folder.write_config(config)
    with quietly():
        trainer.fit(module, loader, weights_only=True)
    module.adaptation.use_encoder(module.adaptation.kept_encoder())
    write_folder(folder.adapted, save)


class TaughtMasks(Adaptation):
    """Takes the place of `Adaptation`: taught the true masks that `TrueMasks` gives, without a vote."""

    def targets(self, taught: Decoded, batch: Batch) -> SoftMasks:
        assert batch.colour_masks is not None
        true = F.adaptive_avg_pool2d(batch.colour_masks[:, 0].float(), taught.logits.shape[-1])
        return fill_boxes(true, batch)


class TrueMasks(Dataset[Sample]):
    """The samples with the true masks where a colour model's readings would be, for `TaughtMasks` alone."""

    def __init__(self, samples: Dataset[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        assert sample.gt_masks is not None
        return replace(sample, colour_masks=sample.gt_masks[:, None])


def command(arguments: Arguments) -> str:
    """The command as typed; a path that only this machine has is named by what it is."""
    recipes = " ".join(as_typed(name, Path(name).name) for name in arguments.recipes)
    size = f" --input-size {arguments.input_size}" if arguments.input_size else ""
    data = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    once = f" --once {' '.join(arguments.once)}" if arguments.once else ""
    keep = " --keep-epochs" if arguments.keep_epochs else ""
    return (
        f"python -m benchmarks.recipes {as_typed(arguments.root, 'ROOT')} --recipes {recipes} "
        f"--seeds {' '.join(map(str, arguments.seeds))}{once} --epochs {arguments.epochs}{keep} --jobs {arguments.jobs} "
        f"--weights {as_typed(arguments.weights, 'WEIGHTS')}{size}{data} --runs {as_typed(arguments.runs, 'RUNS')}"
    )


def as_typed(path: str | Path, name: str) -> str:
    """The path if it is relative, else the name that stands for it."""
    return name if Path(path).is_absolute() else str(path)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
