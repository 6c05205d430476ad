"""Does a pixel-wise contrast earn its place beside masks through the frozen decoder? Each form, on sets that are not test sets.

python -m benchmarks.contrast VALIDATION --runs runs/contrast --seeds 0 1 2      # sets as `benchmarks.splits` cuts them

`none` is the recipe `best` without its contrast; the others add one. `cells`: the seed's own, in the head's projection, cells
trusted by the teacher's entropy. `pixels`: the one of `best`, inside the decoder. `projection`, `embedding`: that one's loss, its
anchors and negatives where the fused targets are sure, on the encoder's grid: in the head's projection, or in the embedding
that the decoder reads. All keep the last epoch. The gradient columns are of the encoder's weights before training, over a few
batches: the cosine of the contrast's with the mask terms', and its length over theirs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean, stdev

import torch
import torch.nn.functional as F
import tyro
from torch.utils.data import DataLoader

from benchmarks.recipes import fit_in_folder
from benchmarks.tables import RESULTS, data_sets, publish
from ringsam.batch import Batch, collate
from ringsam.bench.scores import read_miou
from ringsam.config import Config, read_recipe
from ringsam.data.dataset import read_two_boxes
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation, StepOutput
from ringsam.method.pixel_contrast import pixel_contrast_loss
from ringsam.method.self_training import box_regions, make_targets
from ringsam.method.tower import Features
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training.build import build_loader, build_module, build_trainer
from ringsam.training.loader import TwoBoxLoader
from ringsam.training.module import AdaptationModule

BATCHES = 6  # whose gradients are compared
TERMS = {
    "cells": "contrast",
    "projection": "cell_contrast",
    "embedding": "cell_contrast",
    "pixels": "pixel_contrast",
}
FORMS = ("none", *TERMS)


@dataclass
class Arguments:
    """What to run."""

    root: tyro.conf.Positional[Path]
    runs: Path
    seeds: tuple[int, ...] = (0,)
    forms: tuple[str, ...] = FORMS
    alphas: tuple[float, ...] = (0.1,)
    """Weights of the contrast."""
    epochs: int = 2
    input_size: int = 256
    data: list[str] | None = None
    table: Path = RESULTS / "contrast.md"


class CellContrast(Adaptation):
    """`Adaptation` with one more term, in one of the towers' outputs."""

    space, alpha = "projection", 0.0

    def step(self, batch: Batch, draws: Draws) -> StepOutput:
        """The heart's step, then the term, from what the teacher made on the way."""
        seen: list[Features] = []
        with self.teacher.register_forward_hook(lambda part, given, output: seen.append(output)):
            output = super().step(batch, draws)
        batch, prompts = output.batch, output.prompts
        index = batch.image_index
        with torch.no_grad():
            logits = self.sam.decode(seen[0].embedding, index, prompts).logits[:, 0]
            targets = make_targets(logits, batch, self.config)
        own, teacher = (
            getattr(features, self.space)[index] for features in (output.student, seen[0])
        )
        grid = own.shape[-1]
        term = pixel_contrast_loss(
            own,
            teacher,
            F.adaptive_avg_pool2d(targets, grid),
            box_regions(batch, grid=grid).outside,
            batch,
            temperature=self.config.temperature,
            draws=draws,
        ).mean()
        terms = output.terms | {"cell_contrast": term}
        return replace(output, loss=output.loss + self.alpha * term, terms=terms)


def prepare(
    data: Path, form: str, alpha: float, seed: int, arguments: Arguments
) -> tuple[Config, AdaptationModule, TwoBoxLoader]:
    """The recipe `best` with this contrast, and its data."""
    best = read_recipe("best")
    config = replace(
        best,
        epochs=arguments.epochs,
        seed=seed,
        method=replace(
            best.method,
            alpha=alpha if form == "cells" else 0.0,
            pixel_contrast=alpha if form == "pixels" else 0.0,
        ),
        data=replace(best.data, input_size=arguments.input_size),
    )
    boxes = read_two_boxes(data / "train" / "two_boxes.json").with_objects()
    sam = load_sam(config.weights, input_size=arguments.input_size)
    module = build_module(sam, config)
    if form in ("projection", "embedding"):
        module.adaptation = CellContrast(sam, config.method, seed=seed)
        module.adaptation.space, module.adaptation.alpha = form, alpha
        module.adaptation.student.head.requires_grad_(form == "projection")
    return config, module, build_loader(boxes, sam, config)


def scores(data: Path, form: str, alpha: float, seed: int, arguments: Arguments) -> list[float]:
    """mIoU over zero-shot of one run, by the big box and by both boxes; a finished run is read."""
    folder = RunFolder(arguments.runs / f"{data.name}-{form}-{alpha:g}-{seed}")
    if not folder.adapted.is_dir():
        config, module, loader = prepare(data, form, alpha, seed, arguments)
        fit_in_folder(folder, config, build_trainer(folder, config), module, loader)
    found = []
    for prompts in ("box", "box+core"):
        before = arguments.runs / f"{data.name}-{prompts}.json"
        start = read_miou(before, folder.original, data, prompts)
        adapted = read_miou(folder.path / f"{prompts}.json", folder.adapted, data, prompts)
        found.append(adapted - start)
    return found


def gradients(data: Path, form: str, alpha: float, arguments: Arguments) -> tuple[float, float]:
    """Cosine of the contrast's gradient with the mask terms', and its length over theirs, before training; means over batches."""
    config, module, loader = prepare(data, form, alpha, 0, arguments)
    adaptation, method = module.adaptation, config.method
    weights = list(adaptation.trained_parts().encoder.values())
    cosines, ratios = [], []
    batches = DataLoader(loader.dataset, config.optim.batch_size, collate_fn=collate)
    for batch in islice(batches, BATCHES):
        terms = adaptation.step(batch, Draws(0, 0)).terms
        masks = method.self_training * terms["self_training"]
        masks = masks + method.box_constraint * terms["box_constraint"]
        contrast = alpha * terms[TERMS[form]]
        one, other = (
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights, retain_graph=True)])
            for loss in (contrast, masks)
        )
        cosines.append(float(F.cosine_similarity(one, other, dim=0)))
        ratios.append(float(one.norm() / other.norm()))
    return mean(cosines), mean(ratios)


def lines(arguments: Arguments) -> Iterator[str]:
    """A row for each set, form and weight."""
    yield "# Contrast beside masks through the frozen decoder\n"
    yield f"`{command(arguments)}`\n"
    yield (
        f"mIoU over zero-shot on validation images, nano at {arguments.input_size} px, {arguments.epochs} epochs, mean over "
        f"{len(arguments.seeds)} seeds; the gradients are the encoder's, before training.\n"
    )
    yield "| data | form | weight | big box | both boxes | gradient's cosine | its length |"
    yield "|---|---|---|---|---|---|---|"
    for data in data_sets(arguments.root, "train", arguments.data):
        for form in arguments.forms:
            for alpha in (0.0,) if form == "none" else arguments.alphas:
                found = [scores(data, form, alpha, seed, arguments) for seed in arguments.seeds]
                gains = " | ".join(spread(gain) for gain in zip(*found, strict=True))
                slope = ("", "") if form == "none" else gradients(data, form, alpha, arguments)
                told = " | ".join(f"{value:.2f}" if value != "" else "" for value in slope)
                yield f"| {data.name} | {form} | {alpha:g} | {gains} | {told} |"


def spread(values: Sequence[float]) -> str:
    """Mean, and the standard deviation where there is one."""
    return f"{mean(values):+.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def command(arguments: Arguments) -> str:
    """The command as typed, with the places named by what they are."""
    forms = "" if arguments.forms == FORMS else f" --forms {' '.join(arguments.forms)}"
    data = f" --data {' '.join(arguments.data)}" if arguments.data else ""
    seeds, alphas = (" ".join(f"{v:g}" for v in vs) for vs in (arguments.seeds, arguments.alphas))
    return (
        f"python -m benchmarks.contrast VALIDATION --runs RUNS --seeds {seeds} --alphas {alphas} "
        f"--epochs {arguments.epochs}{forms}{data}"
    )


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    publish(lines(arguments), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
