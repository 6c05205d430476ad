"""The drawn discs as a data set on disk."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from tiny import disc_batch, tiny_sam

from ringsam.sam.weights import save_folder


def write_disc_data(folder: Path, *, num_images: int = 6, per_image: int = 3) -> Path:
    """`images/`, `two_boxes.json` and `annotations.json` (with masks)."""
    batch = disc_batch(num_images=num_images, per_image=per_image)
    (folder / "images").mkdir(parents=True)
    for i, image in enumerate(batch.images):
        pixels = ((image.permute(1, 2, 0).clamp(-2, 2) + 2) / 4 * 255).byte().numpy()
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
    rows = [
        {
            "id": i + 1,
            "image_id": int(batch.image_index[i]) + 1,
            "category_id": 1,
            "big_box": batch.big_boxes[i].tolist(),
            "small_box": batch.small_boxes[i].tolist(),
        }
        for i in range(batch.num_objects)
    ]
    images = [
        {"id": i + 1, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(num_images)
    ]
    content = {"images": images, "categories": [{"id": 1, "name": "disc"}]}
    _write(folder / "two_boxes.json", {**content, "annotations": rows})
    for row, mask in zip(rows, batch.gt_masks.numpy(), strict=True):
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        row["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
    _write(folder / "annotations.json", {**content, "annotations": rows})
    return folder


def write_tiny_sam(folder: Path) -> Path:
    save_folder(tiny_sam(), folder)
    return folder


def _write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
