"""mIoU on the test masks, measured once for the same labels."""

import json
from pathlib import Path

import numpy as np
import torch

from ringsam.bench.sets import labels_with_masks
from ringsam.config import PromptPolicy, Refinement
from ringsam.data.colour_model import Pixels, colour_mask
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import ImageRecord, decode_masks, read_pixels
from ringsam.digests import sha256
from ringsam.evaluation.evaluate import evaluate, scorable
from ringsam.files import write_json
from ringsam.metrics import Masks, iou


def grabcut(record: ImageRecord, pixels: Pixels) -> Masks:
    """The colour model's own masks, from both boxes: what a person would use without any model."""
    pairs = zip(record.big_boxes, record.small_boxes, strict=True)
    return torch.from_numpy(np.stack([colour_mask(pixels, *pair) for pair in pairs]))


def grabcut_miou(data: Path) -> float:
    """mIoU of the colour model's own masks of the test objects."""
    scores = []
    for record in scorable(read_two_boxes(labels_with_masks(data))):
        truth = decode_masks(record)
        assert truth is not None
        scores.append(iou(grabcut(record, read_pixels(record)), truth))
    return float(torch.cat(scores).mean())


def read_miou(
    path: Path, weights: Path, data: Path, prompts: PromptPolicy, refine: Refinement = "none"
) -> float:
    """mIoU of these weights on the test masks, from the file if it was measured on the same labels before; else measured and kept there."""
    labels = labels_with_masks(data)
    digest = sha256(labels)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("labels") != digest:
        evaluation = evaluate(weights, labels, prompts=prompts, refine=refine)
        kept = {"miou": evaluation.zero_shot.miou, "labels": digest}
        write_json(path, kept)
    return float(kept["miou"])
