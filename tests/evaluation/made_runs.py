"""Data sets and runs small enough for tests of the evaluation."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from tiny import tiny_sam

from ringsam.config import Config
from ringsam.files import write_json
from ringsam.runs import RunFolder
from ringsam.sam.weights import save_folder

HOSTILE_NAME = "<img src=x onerror=alert(1)>.png"


def make_data(folder: Path, *, num_images: int = 3, masks: bool = True) -> Path:
    """Images of 72 x 96 with two bright discs each; the last object has no mask, one file has a hostile name."""
    (folder / "images").mkdir(parents=True)
    content: dict[str, list[object]] = {"images": [], "annotations": []}
    content["categories"] = [{"id": 1, "name": "<b>disc</b>"}]
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:72, :96]
    for image_id in range(1, num_images + 1):
        name = HOSTILE_NAME if image_id == 1 else f"image_{image_id}.png"
        pixels = generator.integers(0, 60, (72, 96, 3))
        for place, (u, v) in enumerate(((25, 30), (66, 40))):
            disc = (x - u) ** 2 + (y - v) ** 2 < (8 + 3 * place) ** 2
            pixels[disc] += 150
            is_last = image_id == num_images and place == 1
            row = annotation(10 * image_id + place, image_id, u, v, 8 + 3 * place)
            if masks and not is_last:
                row["segmentation"] = run_lengths(disc)
            content["annotations"].append(row)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / name)
        content["images"].append({"id": image_id, "file_name": name, "width": 96, "height": 72})
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def annotation(object_id: int, image_id: int, x: int, y: int, radius: int) -> dict[str, object]:
    reach, core = radius + 3, radius // 2
    return {
        "id": object_id,
        "image_id": image_id,
        "category_id": 1,
        "big_box": [x - reach, y - reach, x + reach, y + reach],
        "small_box": [x - core, y - core, x + core, y + core],
    }


def run_lengths(mask: np.ndarray) -> dict[str, object]:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


def make_run(
    folder: Path, config: Config, *, data: str = "somewhere/train", num_epochs: int = 2
) -> RunFolder:
    """A run folder as training leaves it: random weights before, other random weights after."""
    run = RunFolder(folder)
    run.create()
    torch.manual_seed(0)
    save_folder(tiny_sam(seed=0), run.original)
    save_folder(tiny_sam(seed=1), run.adapted)
    write_json(run.data_note, {"data": data, "labels": {}, "images": {}, "settings": {}})
    rows = [epoch(number) for number in range(1, num_epochs + 1)]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run.write_config(config)
    return run


def draw_sheets(run: RunFolder, *, num_epochs: int) -> None:
    """A picture before training and after each epoch, as training draws them."""
    for number in range(num_epochs + 1):
        run.sheet(number).parent.mkdir(exist_ok=True)
        Image.new("RGB", (1028, 168), (10 * number, 90, 140)).save(run.sheet(number))


def epoch(number: int, **changes: float) -> dict[str, float]:
    """A healthy epoch's log."""
    row = {
        "epoch": number, "seconds": 3.2, "contrast": 3.0 / number, "distill": 1e-5 * number, "miou_pseudo": 0.6,
        "mask_loss_pseudo": 0.5, "iou_loss_pseudo": 0.1, "total_pseudo": 4.0, "num_steps": 10, "num_objects": 100,
        "num_trusted": 60, "num_anchors": 500, "num_missed": 20, "num_spurious": 30, "num_background": 0,
        "num_steps_without_signal": 0, "entropy": 0.15,
    }  # fmt: skip
    return row | changes
