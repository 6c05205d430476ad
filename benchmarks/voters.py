"""How right are the voters whose blend the student learns? Each alone, and blends, against the masks of training images.

python -m benchmarks.voters shifted/speckle_one/train OTHER/train ... --num-images 24

Meant for sets other than the test sets: drawn ones (`benchmarks.shifted`), or natural images. mIoU of the voter's mask, with
the small box filled and the outside of the big box cleared, and the cross-entropy of its probabilities in the ring.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from benchmarks.tables import RESULTS, publish
from ringsam.batch import Batch, collate
from ringsam.config import read_recipe
from ringsam.data.dataset import TwoBoxDataset, read_two_boxes
from ringsam.draws import Draws
from ringsam.method.colours import follow_colours
from ringsam.method.prompts import make_prompts
from ringsam.method.self_training import box_regions, make_targets, shape_prior
from ringsam.metrics import iou
from ringsam.sam.model import Sam
from ringsam.sam.preprocess import Preprocess
from ringsam.sam.weights import load_sam

GRID = 64


@dataclass
class Arguments:
    """What to judge."""

    data: tyro.conf.Positional[list[Path]]
    num_images: int = 24
    input_size: int = 256
    table: Path = RESULTS / "voters.md"


def votes(sam: Sam, batch: Batch) -> dict[str, Tensor]:
    """Probabilities of the mask pixels, (n, GRID, GRID), by voter."""
    asked = make_prompts(batch, "box", num_points=1, draws=Draws(0, 0))
    logits = sam.decode(sam.encode(batch.images), batch.image_index, asked).logits
    teacher = F.adaptive_avg_pool2d(logits.sigmoid(), GRID)[:, 0]
    assert batch.colour_masks is not None
    sharp, smooth = F.adaptive_avg_pool2d(batch.colour_masks.float(), GRID).unbind(dim=1)
    shape = shape_prior(batch, grid=GRID)
    colours = (sharp + smooth) / 2
    thirds = (colours + shape + teacher) / 3
    best = make_targets(logits[:, 0], batch, read_recipe("best").method)
    return {
        "colours as they are": sharp,
        "colours smoothed": smooth,
        "both readings": colours,
        "place": shape,
        "teacher": teacher,
        "colours 1/2, place 1/4, teacher 1/4": colours / 2 + shape / 4 + teacher / 4,
        "thirds": thirds,
        "place, and the object's own colours": follow_colours(shape, batch, weight=0.5),
        "thirds, and the object's own colours": follow_colours(thirds, batch, weight=0.5),
        "the targets of best": F.adaptive_avg_pool2d(best, GRID),
    }


@torch.inference_mode()
def judge(data: Path, sam: Sam, num_images: int) -> dict[str, tuple[float, float]]:
    """For each voter: mIoU, and cross-entropy in the ring."""
    records = read_two_boxes(data / "annotations.json").with_objects().images[:num_images]
    samples = TwoBoxDataset(records, Preprocess(sam.input_size), with_masks=True, with_colours=True)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for index in range(len(samples)):
        batch = collate([samples[index]])
        assert batch.gt_masks is not None
        truth = F.adaptive_avg_pool2d(batch.gt_masks.float(), GRID) > 0.5
        regions = box_regions(batch, grid=GRID)
        ring = ~regions.core & ~regions.outside
        for name, vote in votes(sam, batch).items():
            mask = vote.masked_fill(regions.core, 1.0).masked_fill(regions.outside, 0.0) > 0.5
            entropy = F.binary_cross_entropy(vote.clamp(0.02, 0.98)[ring], truth[ring].float())
            found.setdefault(name, []).append((iou(mask, truth), entropy[None]))
    return {
        name: tuple(float(torch.cat(column).mean()) for column in zip(*rows, strict=True))  # type: ignore[misc]
        for name, rows in found.items()
    }


def lines(arguments: Arguments) -> Iterator[str]:
    """The table, a line a voter and set."""
    sam = load_sam("nano", input_size=arguments.input_size)
    yield "# Who is right about the ring\n"
    sets = " ".join(data.parent.name for data in arguments.data)
    yield f"`python -m benchmarks.voters {sets} --num-images {arguments.num_images}`, nano at {arguments.input_size} px\n"
    yield "| data | voter | mIoU | cross-entropy in the ring |"
    yield "|---|---|---|---|"
    for data in arguments.data:
        for name, (score, entropy) in judge(data, sam, arguments.num_images).items():
            yield f"| {data.parent.name} | {name} | {score:.3f} | {entropy:.3f} |"


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    publish(lines(arguments), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
