"""What every export is asked once it is read back, and how its masks compare with those of the weights it came from."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ringsam.data.colours import Pixels
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import read_pixels
from ringsam.errors import ExportDiffers
from ringsam.geometry import Boxes, Frame, box_centers
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.preprocess import Preprocess

SAMPLE = Path(__file__).parent.parent / "assets" / "sample" / "test"
_NUM_OBJECTS = 6
_LEAST_IOU = 0.99  # of graphs, which add up in another order than torch
_NOTHING_KEPT = "other masks than expected, so nothing was kept; export again, to another disk"

Logits = Float[Tensor, "n 1 h w"]


class Question(NamedTuple):
    """A bundled image and boxes on it."""

    pixels: Pixels
    image: Float[Tensor, "1 3 s s"]
    frame: Frame
    boxes: Boxes  # in the input frame

    def prompts(self) -> list[Prompts]:
        """The boxes, then the points at their centres."""
        labels = torch.ones(len(self.boxes), 1, dtype=torch.int)
        return [Prompts(boxes=self.boxes), Prompts(box_centers(self.boxes)[:, None], labels)]


class Parity(NamedTuple):
    """How masks read back compare with those expected."""

    what: str
    iou: float  # the lowest of any object
    difference: float  # the largest of any mask logit

    def text(self) -> str:
        return f"{self.what}: IoU of masks {self.iou:.4f}, largest difference of a logit {self.difference:.3g}"


def question(input_size: int) -> Question:
    record = read_two_boxes(SAMPLE).images[0]
    pixels = read_pixels(record)
    image, frame = Preprocess(input_size).image(pixels)
    boxes = torch.from_numpy(record.big_boxes[:_NUM_OBJECTS])
    return Question(pixels, image[None], frame, frame.boxes_to_input(boxes))


@torch.inference_mode()
def answer(sam: Sam) -> Logits:
    """Every mask that the question asks for, at a quarter of the input frame."""
    asked = question(sam.input_size)
    embedding, index = sam.encode(asked.image), torch.zeros(len(asked.boxes), dtype=torch.long)
    return torch.cat([sam.decode(embedding, index, prompts).logits for prompts in asked.prompts()])


def compare(what: str, expected: Logits, found: Logits) -> Parity:
    first, second = expected > 0, found > 0
    union = (first | second).sum(dim=(1, 2, 3))
    iou = torch.where(union == 0, 1.0, (first & second).sum(dim=(1, 2, 3)) / union.clamp(min=1))
    return Parity(what, float(iou.min()), float((expected - found).abs().max()))


def refuse_any_difference(parity: Parity) -> Parity:
    """Raises ExportDiffers unless all logits are the same to the last bit; NaN is a difference."""
    if parity.difference != 0:
        raise ExportDiffers(f"{parity.text()}; {_NOTHING_KEPT}")
    return parity


def refuse_other_masks(parity: Parity) -> Parity:
    """Raises ExportDiffers unless each mask is the same but for rounding."""
    if not (parity.iou >= _LEAST_IOU and parity.difference < float("inf")):
        raise ExportDiffers(f"{parity.text()}; {_NOTHING_KEPT}")
    return parity
