"""What other boxes than the labelled ones do at test time, and what is forgotten of the images SAM came from.

python -m benchmarks.robustness ROOT --runs runs/recipes --recipe best --seeds 0 1 2

Takes finished runs of `benchmarks.recipes`; nothing is trained. Box noise: each side of the big box moved by a share of the
box's extent, outwards where positive. Forgetting, on drawn images as nano was pretrained on: IoU of the adapted model's masks
with the original's, the same boxes, and of both with the truth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import tyro

from benchmarks.tables import RESULTS, data_sets, finished_runs, publish
from pretrain.batches import tight_box
from pretrain.drawn import draw
from ringsam.bench.plot import Gain
from ringsam.config import Refinement
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import ImageRecord, decode_masks, read_pixels
from ringsam.evaluation.evaluate import load_models, scorable
from ringsam.metrics import iou
from ringsam.predict import Predictor

MOVES = {
    "as labelled": (0.0, 0.0),
    "every side 5 % in": (-0.05, 0.0),
    "every side 10 % out": (0.1, 0.0),
    "every side 25 % out": (0.25, 0.0),
    "sides moved by up to 5 %": (0.0, 0.05),
    "sides moved by up to 10 %": (0.0, 0.1),
    "sides moved by up to 20 %": (0.0, 0.2),
}
NUM_DRAWN = 40
DRAWN_SEED = 12_345  # never trained on


@dataclass
class Arguments:
    """Which runs to look at."""

    root: tyro.conf.Positional[Path]
    runs: Path
    recipe: str = "best"
    seeds: tuple[int, ...] = (0, 1, 2)
    refine: Literal["none", "big_box"] = "none"
    """Refine the masks of both SAMs, before and after."""
    table: Path = RESULTS / "robustness.md"


def moved(record: ImageRecord, outwards: float, jitter: float) -> npt.NDArray[np.float32]:
    """The big boxes with their sides moved, in the image and not thinner than 2 px, (n, 4)."""
    random = np.random.default_rng(record.image_id)
    extent = np.tile(record.big_boxes[:, 2:] - record.big_boxes[:, :2], 2)
    sign = np.array([-1, -1, 1, 1])
    boxes = record.big_boxes + extent * (
        sign * outwards + random.uniform(-jitter, jitter, extent.shape)
    )
    limits = np.array([record.width, record.height])
    low = np.clip(boxes[:, :2], 0, limits - 2)
    high = np.clip(boxes[:, 2:], low + 2, limits)
    return np.concatenate([low, high], axis=1).astype(np.float32)


def box_noise(
    data: Path, models: Mapping[str, Predictor], refine: Refinement
) -> Iterator[dict[str, float]]:
    """For each move of the boxes: mIoU of each model."""
    records = scorable(read_two_boxes(data / "test" / "annotations.json"))
    for outwards, jitter in MOVES.values():
        found: dict[str, list[torch.Tensor]] = {model: [] for model in models}
        for record in records:
            boxes = moved(record, outwards, jitter)
            truth, pixels = decode_masks(record), read_pixels(record)
            assert truth is not None
            for model, predictor in models.items():
                masks = predictor.predict(pixels, boxes, refine=refine).masks
                found[model].append(iou(masks, truth))
        yield {model: float(torch.cat(scores).mean()) for model, scores in found.items()}


def forgetting(run: Path, refine: Refinement) -> tuple[float, float, float]:
    """On drawn images: mIoU with the truth before and after, and of the two SAMs' masks with one another."""
    models = load_models(run)
    before, after, agreement = [], [], []
    for index in range(NUM_DRAWN):
        drawn = draw(DRAWN_SEED, index, size=256, max_objects=8)
        boxes = np.array([tight_box(mask) for mask in drawn.masks], dtype=np.float32)
        old, new = (
            models[name].predict(drawn.pixels, boxes, refine=refine).masks
            for name in ("zero_shot", "adapted")
        )
        truth = torch.from_numpy(drawn.masks)
        before.append(iou(old, truth))
        after.append(iou(new, truth))
        agreement.append(iou(old, new))
    means = [float(torch.cat(found).mean()) for found in (before, after, agreement)]
    return means[0], means[1], means[2]


def lines(arguments: Arguments, gains: dict[str, list[Gain]]) -> Iterator[str]:
    """Two tables, row by row; `gains` is told what the first shows."""
    finished = {
        data: finished_runs(arguments.runs, data, arguments.recipe, arguments.seeds)
        for data in data_sets(arguments.root, "test")
    }
    runs = {data: [run.path for run in found.values()] for data, found in finished.items() if found}
    seeds = " ".join(map(str, arguments.seeds))
    refined = "" if arguments.refine == "none" else f" --refine {arguments.refine}"
    yield "# Other boxes, other images\n"
    yield f"`python -m benchmarks.robustness ROOT --runs RUNS --recipe {arguments.recipe} --seeds {seeds}{refined}`\n"
    yield "mIoU by the big box, before and after the adaptation, means over seeds; the worst is of one seed.\n"
    yield f"![what is gained by other boxes]({arguments.table.stem}.svg)\n"
    yield "| data | boxes at test | seeds | zero-shot | adapted | difference | the worst |"
    yield "|---|---|---|---|---|---|---|"
    for data, found in runs.items():
        models = load_models(found[0])  # its zero-shot is that of every seed
        models |= {str(run): load_models(run)["adapted"] for run in found[1:]}
        for name, mious in zip(MOVES, box_noise(data, models, arguments.refine), strict=True):
            before = mious.pop("zero_shot")
            reached = list(mious.values())
            after, worst = mean(reached), min(reached) - before
            spread = stdev(reached) if len(reached) > 1 else None
            gains[f"{data.name}, {name}"] = [(arguments.recipe, after - before, spread)]
            yield (
                f"| {data.name} | {name} | {len(found)} | {before:.4f} | {after:.4f} | "
                f"{after - before:+.4f} | {worst:+.4f} |"
            )
    yield f"\nForgetting: {NUM_DRAWN} drawn images as nano was pretrained on, tight boxes, the first seed.\n"
    yield "| adapted to | original, mIoU | adapted, mIoU | their masks' IoU |"
    yield "|---|---|---|---|"
    for data, found in runs.items():
        for run in found[:1]:
            before, after, agreement = forgetting(run, arguments.refine)
            yield f"| {data.name} | {before:.4f} | {after:.4f} | {agreement:.4f} |"


def main(arguments: Arguments) -> None:
    """Print the tables as they grow, then write them."""
    gains: dict[str, list[Gain]] = {}
    publish(lines(arguments, gains), arguments.table, gains)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
