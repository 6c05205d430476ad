"""Does a pixel-wise contrast earn its place beside masks through the frozen decoder? Each form, on sets that are not test sets.

python -m benchmarks.contrast VALIDATION --runs runs/contrast --seeds 0 1 2      # sets as `benchmarks.splits` cuts them

`none` is the recipe `best`; the others add one contrast to it. `seed`: the method's own, cells trusted by the teacher's entropy.
`object`: anchors and negatives where the fused targets are sure, an anchor's positive the teacher's mean of its object, its
negatives background in and around its own box; in the head's projection, in the embedding that the decoder reads
(`embedding`), or in the decoder's own upscaled pixels (`pixels`). All keep the last epoch. The gradient columns are of the
encoder's weights at the start, over a few batches: the angle between the contrast's and the mask terms', and their lengths.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.recipes import fit_in_folder
from benchmarks.tables import RESULTS, data_sets, publish
from ringsam.batch import Batch, collate
from ringsam.bench.runs import read_miou
from ringsam.config import Config, read_recipe
from ringsam.data.dataset import read_two_boxes
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation, StepOutput
from ringsam.method.sampling import certain_background
from ringsam.method.self_training import box_regions, make_targets
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training.build import build_loader, build_module, build_trainer
from ringsam.training.loader import TwoBoxLoader
from ringsam.training.module import AdaptationModule

SURE = 0.8  # of object; 1 - SURE of background
NUM_ANCHORS, NUM_NEGATIVES = 64, 128  # an object
BATCHES = 6  # whose gradients are compared
FORMS = ("none", "seed", "object", "embedding", "pixels")


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


class Maps(NamedTuple):
    """What is contrasted, one map an object, (n, c, h, w)."""

    student: Tensor
    teacher: Tensor


class ObjectContrast(Adaptation):
    """`Adaptation` with one more term, made of what its own parts computed in the step."""

    form, alpha = "none", 0.0

    def watch(self, form: str, alpha: float) -> "ObjectContrast":
        """Choose the form, and keep what the towers and the decoder put out."""
        self.form, self.alpha = form, alpha
        self.seen: dict[str, list[Any]] = {"student": [], "teacher": [], "pixels": []}
        parts: dict[str, nn.Module] = {
            "student": self.student,
            "teacher": self.teacher,
            "pixels": self.sam.model.mask_decoder.upscale_conv2,
        }
        for name, part in parts.items():
            part.register_forward_hook(partial(keep, self.seen[name]))
        return self

    def step(self, batch: Batch, draws: Draws) -> StepOutput:
        """The heart's step, then the term."""
        for kept in self.seen.values():
            kept.clear()
        output = super().step(batch, draws)
        if self.form in ("none", "seed"):
            return output
        with torch.no_grad():
            embedding = self.seen["teacher"][0].embedding
            logits = self.sam.decode(embedding, batch.image_index, output.prompts).logits[:, 0]
            regions = box_regions(batch, grid=logits.shape[-1])
            belief = make_targets(logits, regions, batch, self.config)
        term = object_contrast(
            self.maps(batch), belief, batch, draws, temperature=self.config.temperature
        )
        terms = output.terms | {"object_contrast": term}
        return replace(output, loss=output.loss + self.alpha * term, terms=terms)

    def maps(self, batch: Batch) -> Maps:
        """The student's and the teacher's maps of this form."""
        if self.form == "pixels":
            calls = self.seen["pixels"]  # the teacher's prompts, the student's, the teacher's again
            third = len(calls) // 3
            return Maps(torch.cat(calls[third : 2 * third]), torch.cat(calls[:third]))
        name = "embedding" if self.form == "embedding" else "projection"
        own, teacher = self.seen["student"][0], self.seen["teacher"][0]
        return Maps(
            getattr(own, name)[batch.image_index], getattr(teacher, name)[batch.image_index]
        )


def keep(kept: list[Any], part: nn.Module, given: Any, output: Any) -> None:
    kept.append(output)


def object_contrast(
    maps: Maps, belief: Tensor, batch: Batch, draws: Draws, *, temperature: float
) -> Tensor:
    """InfoNCE of each object's sure pixels: towards the teacher's mean of them, away from background in and around its box."""
    grid = maps.student.shape[-1]
    belief = F.adaptive_avg_pool2d(belief, grid)
    inside = ~box_regions(batch, grid=grid).outside
    free = certain_background(batch, grid=grid)[batch.image_index]
    positive, negative = belief >= SURE, (belief <= 1 - SURE) & (inside | free)
    own, teacher = (F.normalize(each.flatten(2).float(), dim=1).mT for each in maps)  # (n, p, c)
    weight = positive.flatten(1).float()
    prototype = F.normalize((teacher * weight[..., None]).sum(dim=1), dim=1)  # (n, c)
    anchors, with_anchor = pick(own, positive, NUM_ANCHORS, batch, draws, "object anchors")
    others, with_other = pick(own, negative, NUM_NEGATIVES, batch, draws, "object negatives")
    near = torch.einsum("npc,nc->np", anchors, prototype)[..., None] / temperature
    far = (anchors @ others.mT / temperature).masked_fill(~with_other[:, None], -torch.inf)
    loss = torch.cat([near, far], dim=2).logsumexp(dim=2) - near[..., 0]
    taught = with_anchor & with_other.any(dim=1, keepdim=True)
    return torch.where(taught, loss, 0).sum() / taught.sum().clamp(min=1)


def pick(
    rows: Tensor, cells: Tensor, most: int, batch: Batch, draws: Draws, purpose: str
) -> tuple[Tensor, Tensor]:
    """At most `most` of each object's rows where `cells`, drawn by chance, (n, k, c), and which of them there are, (n, k)."""
    flat = cells.flatten(1)
    keys = draws.uniform(batch.object_ids, flat.shape[1], purpose).masked_fill(~flat, -1.0)
    values, index = keys.topk(min(most, flat.shape[1]), dim=1)
    return rows.gather(1, index[..., None].expand(-1, -1, rows.shape[2])), values >= 0


def prepare(
    data: Path, form: str, alpha: float, seed: int, arguments: Arguments
) -> tuple[Config, AdaptationModule, TwoBoxLoader]:
    """The recipe `best` with this contrast, and its data."""
    best = read_recipe("best")
    config = replace(
        best,
        epochs=arguments.epochs,
        seed=seed,
        method=replace(best.method, alpha=alpha if form == "seed" else 0.0),
        data=replace(best.data, input_size=arguments.input_size),
    )
    boxes = read_two_boxes(data / "train" / "two_boxes.json").with_objects()
    sam = load_sam(config.weights, input_size=arguments.input_size)
    module = build_module(sam, config)
    module.adaptation = ObjectContrast(sam, config.method, seed=seed).watch(form, alpha)
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
        contrast = alpha * terms["contrast" if form == "seed" else "object_contrast"]
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
