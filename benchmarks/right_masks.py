"""What is left of a SAM that is right already? Targets and refinement, given true masks in the place of SAM's.

python -m benchmarks.right_masks DATA/train ... --num-images 30

nano is a weak SAM; the voters that help it must not outvote a strong one. So the decoder's logits are made of the true masks:
as they are, or their outline moved in or out by 2.5 % of the root of their area, all pixels 15 log odds sure. Masks are those of any labelled
set; nothing is trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from benchmarks.tables import RESULTS, publish
from ringsam.batch import collate
from ringsam.config import MethodConfig, read_recipe
from ringsam.data.dataset import TwoBoxDataset, read_two_boxes
from ringsam.data.records import ImageRecord, decode_masks, read_pixels
from ringsam.method.self_training import make_targets
from ringsam.metrics import Masks, iou
from ringsam.refinement import refine_masks
from ringsam.sam.preprocess import Preprocess, logits_to_image

GRID = 256
SURE = 15.0  # log odds
MOVED = {"right": 0.0, "drawn too small": -0.025, "drawn too large": 0.025}
COLUMNS = ("as given", "targets of best", "refined by big_box", "refined by both_boxes")


@dataclass
class Arguments:
    """What to judge."""

    data: tyro.conf.Positional[list[Path]]
    num_images: int = 30
    most_objects: int = 24
    """Of an image."""
    table: Path = RESULTS / "right_masks.md"


def move_outline(mask: Tensor, by: float) -> Tensor:
    """The mask grown or shrunk by a share of the root of its area, a pixel at least; as it was where nothing would be left."""
    pixels = mask.numpy().astype(np.uint8)
    radius = max(1, round(abs(by) * float(np.sqrt(pixels.sum()))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    moved = cv2.dilate(pixels, disc) if by > 0 else cv2.erode(pixels, disc)
    return torch.from_numpy(moved > 0) if by and moved.any() else mask


def judge(record: ImageRecord, masks: Masks, true: Masks, method: MethodConfig) -> Tensor:
    """IoU of each object (n, 4), where SAM says these masks: by column, in the image's own pixels."""
    preprocess = Preprocess(4 * GRID)
    sample = TwoBoxDataset([record], preprocess, with_masks=False, with_colours=True)[0]
    covered = F.adaptive_avg_pool2d(preprocess.masks(masks, sample.frame).float(), GRID)
    logits = (SURE * (2 * covered - 1))[:, None]
    targets = make_targets(logits[:, 0], collate([sample]), method)
    big, small = torch.from_numpy(record.big_boxes), torch.from_numpy(record.small_boxes)
    pixels = read_pixels(record)
    found = [
        logits_to_image(logits, sample.frame) > 0,
        logits_to_image(targets[:, None] - 0.5, sample.frame) > 0,
        refine_masks(logits, pixels, sample.frame, big, small, refine="big_box"),
        refine_masks(logits, pixels, sample.frame, big, small, refine="both_boxes"),
    ]
    return torch.stack([iou(mask, true) for mask in found], dim=1)


def lines(arguments: Arguments) -> Iterator[str]:
    """The table, three lines a set."""
    method = read_recipe("best").method
    yield "# What is left of masks that are right\n"
    sets = " ".join(f"{data.parent.name}/{data.name}" for data in arguments.data)
    taken = f"--num-images {arguments.num_images} --most-objects {arguments.most_objects}"
    yield f"`python -m benchmarks.right_masks {sets} {taken}`; mIoU in the images' own pixels\n"
    yield f"| data | masks given | {' | '.join(COLUMNS)} |"
    yield "|---|---|" + "---|" * len(COLUMNS)
    for data in arguments.data:
        records = [
            record.choose(list(range(min(record.num_objects, arguments.most_objects))))
            for record in read_two_boxes(data / "annotations.json").with_objects().images
        ][: arguments.num_images]
        for name, by in MOVED.items():
            rows = [
                judge(record, torch.stack([move_outline(mask, by) for mask in true]), true, method)
                for record in records
                for true in [torch.as_tensor(decode_masks(record))]
            ]
            figures = " | ".join(f"{mean:.3f}" for mean in torch.cat(rows).mean(dim=0).tolist())
            yield f"| {data.parent.name} | {name} | {figures} |"


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    publish(lines(arguments), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
