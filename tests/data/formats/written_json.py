"""The same three objects as tools write them into JSON: COCO, LabelMe and Label Studio."""

import base64
import json
from pathlib import Path

from data.formats.drawn_boxes import PAIRS, SIZES, drawn, put


def coco_rows() -> dict:
    images = [
        {"id": n, "width": w, "height": h, "file_name": name, "license": 0}
        | {"flickr_url": "", "coco_url": "", "date_captured": 0}
        for n, (name, (w, h)) in enumerate(SIZES.items(), start=1)
    ]
    info = dict.fromkeys(
        ("contributor", "date_created", "description", "url", "version", "year"), ""
    )
    licenses = [{"name": "", "id": 0, "url": ""}]
    categories = [{"id": 1, "name": "cell", "supercategory": ""}]
    return {"licenses": licenses, "info": info, "categories": categories, "images": images}


def coco_pairs(root: Path) -> Path:
    """CVAT's COCO 1.0: bbox is x, y, width, height; a rectangle has no segmentation."""
    rows = []
    for image_id, name in enumerate(PAIRS, start=1):
        for _, _, (x1, y1, x2, y2) in drawn(name):
            bbox = [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]
            row = {"id": len(rows) + 1, "image_id": image_id, "category_id": 1}
            row |= {"segmentation": [], "area": bbox[2] * bbox[3], "bbox": bbox, "iscrowd": 0}
            rows.append(row | {"attributes": {"occluded": False, "rotation": 0.0}})
    return put(root / "instances_default.json", json.dumps(coco_rows() | {"annotations": rows}))


def coco_fields(root: Path) -> Path:
    rows = [
        {"id": 10 * n + i, "image_id": n, "category_id": 1, "big_box": big, "small_box": small}
        for n, pairs in enumerate(PAIRS.values(), start=1)
        for i, (big, small) in enumerate(pairs)
    ]
    return put(root / "fields.json", json.dumps(coco_rows() | {"annotations": rows}))


def labelme(root: Path) -> Path:
    """LabelMe 5: two corners in the order they were clicked, the image's path relative to the file, the image within."""
    for name in PAIRS:
        shapes = [
            labelme_shape([[x2, y1], [x1, y2]], group=group)
            for group, _, (x1, y1, x2, y2) in drawn(name)
        ]
        image = base64.b64encode((root / "images" / name).read_bytes()).decode()
        text = labelme_file(name, shapes, image=image)
        put(root / "labelme" / f"{Path(name).stem}.json", text)
    return root / "labelme"


def labelme_shape(points: list, *, group: int | None = None, kind: str = "rectangle") -> dict:
    row = {"label": "cell", "points": [[float(x), float(y)] for x, y in points]}
    row |= {"group_id": group, "description": "", "shape_type": kind, "flags": {}, "mask": None}
    return row


def labelme_file(name: str, shapes: list, *, image: str | None = None) -> str:
    """With the image in base64, or without it, as `labelme --nodata` writes it."""
    width, height = SIZES[name]
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"..\\images\\{name}",
    }
    content |= {"imageData": image, "imageHeight": height, "imageWidth": width}
    return json.dumps(content, ensure_ascii=False, indent=2)


LABEL_STUDIO_DATES = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T09:30:12.266779Z")


def label_studio(root: Path) -> Path:
    tasks = [label_studio_task(n, name) for n, name in enumerate(PAIRS, start=1)]
    tasks.append(tasks[0] | {"id": 9, "annotations": []})
    return put(root / "project-1-at-2026-01-01.json", json.dumps(tasks))


def label_studio_task(number: int, name: str) -> dict:
    results = []
    for group, role, (x1, y1, x2, y2) in drawn(name):
        value = percent(name, x1, y1, x2, y2) | {"rotation": 0, "rectanglelabels": ["cell"]}
        results.append(label_studio_result(name, f"{role}{group}", value))
    for group in range(1, len(PAIRS[name]) + 1):
        tie = {"from_id": f"big{group}", "to_id": f"small{group}", "type": "relation"}
        results.append(tie | {"direction": "right"})
    annotation = label_studio_annotation(number, results)
    skipped = label_studio_annotation(number + 100, []) | {"was_cancelled": True}
    return {
        "id": number,
        "annotations": [annotation, skipped],
        "file_upload": f"3f2a1b9c-{name}",
        "drafts": [],
        "predictions": [],
        "data": {"image": f"/data/upload/1/3f2a1b9c-{name}"},
        "meta": {},
        **LABEL_STUDIO_DATES,
        "inner_id": number,
        "total_annotations": 1,
        "cancelled_annotations": 1,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": 1,
        "updated_by": 1,
        "comment_authors": [],
    }


def label_studio_annotation(number: int, results: list) -> dict:
    return {
        "id": number,
        "completed_by": 1,
        "result": results,
        "was_cancelled": False,
        "ground_truth": False,
        **LABEL_STUDIO_DATES,
        "draft_created_at": None,
        "lead_time": 13.014,
        "prediction": {},
        "result_count": len(results),
        "unique_id": f"39024dba-7ab3-421b-b283-{number:012d}",
        "import_id": None,
        "last_action": None,
        "bulk_created": False,
        "task": number,
        "project": 1,
        "updated_by": 1,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
    }


def label_studio_result(name: str, region: str, value: dict, kind="rectanglelabels") -> dict:
    width, height = SIZES[name]
    row = {"original_width": width, "original_height": height, "image_rotation": 0, "value": value}
    row |= {"id": region, "from_name": "label", "to_name": "image", "type": kind}
    return row | {"origin": "manual"}


def percent(name: str, x1: float, y1: float, x2: float, y2: float) -> dict:
    width, height = SIZES[name]
    sides = {"width": (x2 - x1) / width * 100, "height": (y2 - y1) / height * 100}
    return {"x": x1 / width * 100, "y": y1 / height * 100} | sides
