"""What a run proposes for each object: the mask before and after the adaptation, and how much it needs a look."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from ringsam.batch import Batch, collate
from ringsam.config import Refinement
from ringsam.data.boxes import Box
from ringsam.data.colours import Pixels
from ringsam.data.dataset import TwoBoxDataset
from ringsam.data.masks import Mask, Rle, encode_mask
from ringsam.data.records import ImageRecord, read_pixels
from ringsam.digests import sha256
from ringsam.draws import Draws
from ringsam.geometry import Frame
from ringsam.method.quality import ask_twice, mask_free_quality
from ringsam.method.self_training import BoxRegions, PerObject, box_regions
from ringsam.metrics import Masks, iou
from ringsam.pages.kept import KeptAnswers, key_of_model, key_of_question
from ringsam.predict import Predictor
from ringsam.refinement import refine_masks
from ringsam.sam.model import Decoded
from ringsam.sam.preprocess import logits_to_image

_AT_ONCE = 4  # masks in the image's own pixels


@dataclass(frozen=True)
class Proposal:
    """One object with the masks proposed for it; score and doubt are of SAM's own mask, before it is refined."""

    image: ImageRecord
    object_id: int
    category_id: int
    big_box: Box
    small_box: Box
    zero_shot: Rle
    adapted: Rle
    score: float  # the IoU that the adapted SAM predicts for its mask
    doubt: float  # 0 .. 1


Answer = dict[str, Any]  # what SAM gives of a proposal: zero_shot, adapted, score, doubt


def doubt(zero_shot: Masks, adapted: Masks, by_core: Masks, regions: BoxRegions) -> PerObject:
    """How much each adapted mask needs a look, in [0, 1]: 1 - quality * (1 + agreement with zero-shot) / 2.

    `mask_free_quality` says how far the boxes and a second prompt, `by_core`, bear the mask out. To leave the zero-shot
    mask is what the adaptation is for: that alone raises the doubt to a half at most.
    """
    return 1 - mask_free_quality(adapted, by_core, regions) * (1 + iou(adapted, zero_shot)) / 2


class Proposer:
    """A run's SAM before and after, both refined alike, and what they said at earlier starts."""

    def __init__(
        self,
        *,
        zero_shot: Predictor,
        adapted: Predictor,
        kept: KeptAnswers,
        refine: Refinement = "none",
    ) -> None:
        self.zero_shot, self.adapted, self.kept, self.refine = zero_shot, adapted, kept, refine
        self._models = key_of_model(zero_shot), key_of_model(adapted)

    def propose(self, record: ImageRecord) -> list[Proposal]:
        """A proposal for each object of the image, in the record's order; asked for again only where something changed."""
        objects = (record.big_boxes, record.small_boxes, record.object_ids)
        content = (sha256(record.path), *(array.tolist() for array in objects))
        key = key_of_question("proposals", *content, *self._models, self.refine)
        answers = self.kept.get(key)
        if answers is None:
            answers = ask(
                record, zero_shot=self.zero_shot, adapted=self.adapted, refine=self.refine
            )
            self.kept.put(key, answers)
        return [_proposal(record, place, answer) for place, answer in enumerate(answers)]


@torch.inference_mode()
def ask(
    record: ImageRecord, *, zero_shot: Predictor, adapted: Predictor, refine: Refinement
) -> list[Answer]:
    """An answer for each object of the image, in the record's order."""
    sample = TwoBoxDataset([record], adapted.preprocess, with_masks=False)[0]
    batch = collate([sample]).to(adapted.sam.device)
    (after, by_core), (before, _) = (_ask(model, batch) for model in (adapted, zero_shot))
    doubts = doubt(
        _masks(before),
        _masks(after),
        _masks(by_core),
        box_regions(batch, grid=after.logits.shape[-1]),
    )
    if refine == "none":
        masks = (_drawn(decoded.logits, sample.frame) for decoded in (before, after))
    else:
        pixels = read_pixels(record)
        masks = (
            _refined(decoded.logits, record, pixels, sample.frame, refine=refine)
            for decoded in (before, after)
        )
    found = zip(*masks, strict=True)
    return [
        {
            "zero_shot": encode_mask(old),
            "adapted": encode_mask(new),
            "score": float(after.iou[place]),
            "doubt": float(doubts[place]),
        }
        for place, (old, new) in enumerate(found)
    ]


def _proposal(record: ImageRecord, place: int, answer: Answer) -> Proposal:
    return Proposal(
        image=record,
        object_id=int(record.object_ids[place]),
        category_id=int(record.category_ids[place]),
        big_box=_box(record.big_boxes[place]),
        small_box=_box(record.small_boxes[place]),
        **answer,
    )


def _ask(predictor: Predictor, batch: Batch) -> tuple[Decoded, Decoded]:
    return ask_twice(predictor.sam, predictor.sam.encode(batch.images), batch, Draws(0, 0))


def _masks(decoded: Decoded) -> Masks:
    return decoded.logits[:, 0] > 0


def _drawn(logits: Float[Tensor, "n 1 h w"], frame: Frame) -> Iterator[Mask]:
    """Each mask in the image's own pixels, a few drawn at a time."""
    for part in logits.split(_AT_ONCE):
        yield from (logits_to_image(part, frame) > 0).cpu().numpy()


def _refined(
    logits: Float[Tensor, "n 1 h w"],
    record: ImageRecord,
    pixels: Pixels,
    frame: Frame,
    *,
    refine: Refinement,
) -> Iterator[Mask]:
    """Each mask in the image's own pixels, refined, a few at a time."""
    boxes = (torch.from_numpy(boxes) for boxes in (record.big_boxes, record.small_boxes))
    for part in zip(*(each.split(_AT_ONCE) for each in (logits, *boxes)), strict=True):
        logits, big, small = part
        yield from refine_masks(logits, pixels, frame, big, small, refine=refine).numpy()


def _box(numbers: npt.NDArray[np.float32]) -> Box:
    x1, y1, x2, y2 = (round(float(side), 3) for side in numbers)  # of single precision
    return x1, y1, x2, y2
