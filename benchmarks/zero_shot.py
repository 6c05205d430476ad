"""How good is a SAM before any adaptation: data sets x prompts, beside what two boxes give without a model.

python -m benchmarks.zero_shot ROOT [--weights nano]

ROOT holds one folder a data set, each with `test/annotations.json` (masks, native resolution). Tight boxes and clicks
are cut from the masks, as a person would place them; nothing is trained or chosen here.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from scipy.ndimage import distance_transform_edt
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.tables import RESULTS, data_sets, publish
from ringsam.bench.scores import grabcut
from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image
from ringsam.data.records import ImageRecord, decode_masks
from ringsam.draws import Draws
from ringsam.geometry import Frame, ellipse_radius, sample_ring_points
from ringsam.metrics import iou
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.preprocess import Preprocess, logits_to_image
from ringsam.sam.weights import load_sam


@dataclass
class Arguments:
    """What to measure."""

    root: tyro.conf.Positional[Path]
    weights: str = "nano"
    table: Path = RESULTS / "zero_shot.md"


@dataclass(frozen=True)
class Case:
    """An image's objects, in its own pixels and as SAM's input."""

    record: ImageRecord
    pixels: np.ndarray
    masks: Tensor  # (n, height, width)
    frame: Frame

    @property
    def big_boxes(self) -> Tensor:
        return self.frame.boxes_to_input(torch.from_numpy(self.record.big_boxes))

    @property
    def small_boxes(self) -> Tensor:
        return self.frame.boxes_to_input(torch.from_numpy(self.record.small_boxes))


def big_box(case: Case) -> Prompts:
    return Prompts(boxes=case.big_boxes)


def tight_box(case: Case) -> Prompts:
    boxes = []
    for mask in case.masks:
        rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return Prompts(boxes=case.frame.boxes_to_input(torch.tensor(boxes, dtype=torch.float32)))


def clicks(case: Case, *, num: int) -> Prompts:
    """The first click at the place deepest inside, the others drawn from the deeper half."""
    random = np.random.default_rng(0)
    points = []
    for mask in case.masks.numpy():
        depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        deep = np.argwhere(depth >= depth.max() / 2)
        chosen = deep[random.integers(len(deep), size=num)]
        chosen[0] = np.unravel_index(depth.argmax(), depth.shape)
        points.append(chosen[:, ::-1] + 0.5)
    placed = torch.tensor(np.array(points), dtype=torch.float32) * case.frame.scale()[:2]
    return Prompts(points=placed, labels=torch.ones_like(placed[..., 0], dtype=torch.int))


def ring_points(case: Case) -> Prompts:
    ids = torch.from_numpy(case.record.object_ids)
    uniform = Draws(0, 0).uniform(ids, 30, "ring").unflatten(1, (10, 3))
    points = sample_ring_points(case.small_boxes, case.big_boxes, uniform)
    return Prompts(points=points, labels=torch.ones_like(points[..., 0], dtype=torch.int))


PROMPTS: dict[str, Callable[[Case], Prompts]] = {
    "big box": big_box,
    "tight box": tight_box,
    "1 click": lambda case: clicks(case, num=1),
    "3 clicks": lambda case: clicks(case, num=3),
    "10 ring points": ring_points,
}


def ellipses(case: Case) -> Tensor:
    """The ellipse half way between the ellipses of the two boxes."""
    boxes = torch.from_numpy(case.record.big_boxes + case.record.small_boxes) / 2
    return ellipse_radius(boxes, height=case.record.height, width=case.record.width) <= 1


@torch.inference_mode()
def measure(data: Path, sam: Sam) -> tuple[dict[str, float], float]:
    """mIoU over all objects for each prompt and baseline; Spearman of predicted and true IoU for the big box."""
    preprocess = Preprocess(sam.input_size)
    found: dict[str, list[Tensor]] = {}
    said = []
    for record in read_two_boxes(data / "test" / "annotations.json").with_objects().images:
        masks = decode_masks(record)
        assert masks is not None
        pixels = read_image(record.path)
        tensor, frame = preprocess.image(pixels)
        case = Case(record, pixels, masks, frame)
        embedding = sam.encode(tensor[None])
        index = torch.zeros(record.num_objects, dtype=torch.long)
        for name, prompt in PROMPTS.items():
            decoded = sam.decode(embedding, index, prompt(case))
            found.setdefault(name, []).append(
                iou(logits_to_image(decoded.logits, frame) > 0, masks)
            )
            if name == "big box":
                said.append(decoded.iou)
        for name, guess in (("ellipse", ellipses(case)), ("GrabCut", grabcut(record, pixels))):
            found.setdefault(name, []).append(iou(guess, masks))
    means = {name: float(torch.cat(values).mean()) for name, values in found.items()}
    return means, float(spearmanr(torch.cat(said), torch.cat(found["big box"])).statistic)


@torch.inference_mode()
def seconds_for_32_boxes(sam: Sam) -> float:
    """One 512 x 512 image with 32 boxes, median of five, all threads of this process."""
    pixels = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    corners = torch.arange(32).float()[:, None] * 10 + torch.tensor([5.0, 5.0])
    prompts = Prompts(boxes=torch.cat([corners, corners + 60], dim=1) * sam.input_size / 512)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        tensor, frame = Preprocess(sam.input_size).image(pixels)
        index = torch.zeros(32, dtype=torch.long)
        decoded = sam.decode(sam.encode(tensor[None]), index, prompts)
        logits_to_image(decoded.logits, frame)
        times.append(time.perf_counter() - start)
    return sorted(times)[2]


def lines(arguments: Arguments) -> Iterator[str]:
    """The table, row by row as the figures come."""
    sam = load_sam(arguments.weights)
    yield "# Before any adaptation\n"
    yield "mIoU over the objects of the test images at native resolution; ellipse and GrabCut see both boxes, no model.\n"
    yield f"`python -m benchmarks.zero_shot ROOT --weights {arguments.weights}`\n"
    yield f"| data | {' | '.join([*PROMPTS, 'ellipse', 'GrabCut', 'Spearman, predicted to true IoU'])} |"
    yield "|---" * (len(PROMPTS) + 4) + "|"
    for data in data_sets(arguments.root, "test"):
        means, rank = measure(data, sam)
        yield f"| {data.name} | {' | '.join(f'{v:.3f}' for v in means.values())} | {rank:.2f} |"
    yield f"\nA 512 x 512 image with 32 boxes: {seconds_for_32_boxes(sam):.2f} s on {torch.get_num_threads()} threads."


def main(arguments: Arguments) -> None:
    """Print the table as it grows, then write it."""
    publish(lines(arguments), arguments.table)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
