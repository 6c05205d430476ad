"""The same three objects on two images, as each labelling tool writes them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"a.png": (60, 40), "b.png": (50, 30)}  # width, height
PAIRS = {
    "a.png": [([10, 10, 40, 30], [20, 15, 30, 25]), ([42, 4, 58, 20], [46, 8, 54, 16])],
    "b.png": [([5, 5, 25, 25], [10, 10, 20, 20])],
}
ROLES = ("big", "small")


def write_images(root: Path, folder: str = "images") -> Path:
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / name)
    return root


def drawn(name: str) -> list[tuple[int, str, list[int]]]:
    """(group, role, box) of an image's boxes in the order they were drawn: big, small, big, small."""
    boxes = enumerate(PAIRS[name], start=1)
    return [(n, role, box) for n, pair in boxes for role, box in zip(ROLES, pair, strict=True)]


def coco_rows() -> dict:
    images = [
        {"id": n, "width": w, "height": h, "file_name": name, "license": 0}
        for n, (name, (w, h)) in enumerate(SIZES.items(), start=1)
    ]
    categories = [{"id": 1, "name": "cell", "supercategory": ""}]
    return {"licenses": [], "info": {}, "categories": categories, "images": images}


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


def csv_two_boxes(root: Path) -> Path:
    corners = ("x1", "y1", "x2", "y2")
    header = ["image_file", *(f"{m}_boxes_{c}" for m in ("max", "min") for c in corners)]
    rows = [[name, *big, *small] for name in PAIRS for big, small in PAIRS[name]]
    return put(root / "boxes.csv", "\n".join(",".join(map(str, row)) for row in [header, *rows]))


def csv_plain(root: Path) -> Path:
    """TensorFlow's object detection CSV, where width and height are the image's; with CR LF and a BOM."""
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for name, (width, height) in SIZES.items():
        for _, role, box in drawn(name):
            lines.append(",".join(map(str, [name, width, height, f"cell_{role}_box", *box])))
    return put(root / "labels.csv", "\ufeff" + "\r\n".join(lines) + "\r\n")


def csv_sides(root: Path) -> Path:
    """A spreadsheet's CSV where the comma is the decimal sign's, and boxes have sides."""
    lines = ["image;label;x;y;width;height"]
    for name in PAIRS:
        for _, _, (x1, y1, x2, y2) in drawn(name):
            lines.append(f'"{name}";cell;{x1};{y1};{x2 - x1};{y2 - y1}')
    return put(root / "sides.csv", "\n".join(lines))


def yolo(root: Path) -> Path:
    """Ultralytics' folders; labelImg's six decimals."""
    names = "names:\n  0: big\n  1: small\n"
    put(root / "data.yaml", f"path: .\ntrain: images\nval: images\nnc: 2\n{names}")
    for name in PAIRS:
        put(root / "labels" / f"{Path(name).stem}.txt", yolo_lines(name))
    return root


def yolo_labelimg(root: Path) -> Path:
    """labelImg: the text files and classes.txt together."""
    put(root / "text" / "classes.txt", "big\nsmall\n")
    for name in PAIRS:
        put(root / "text" / f"{Path(name).stem}.txt", yolo_lines(name))
    return root / "text"


def yolo_lines(name: str) -> str:
    width, height = SIZES[name]
    lines = []
    for _, role, (x1, y1, x2, y2) in drawn(name):
        x, y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
        sides = (x2 - x1) / width, (y2 - y1) / height
        lines.append(f"{ROLES.index(role)} {x:.6f} {y:.6f} {sides[0]:.6f} {sides[1]:.6f}\n")
    return "".join(lines)


def pascal_voc(root: Path) -> Path:
    """labelImg: tabs, and the absolute path of another machine."""
    for name, (width, height) in SIZES.items():
        objects = "".join(
            f"\t<object>\n\t\t<name>{role}</name>\n\t\t<pose>Unspecified</pose>\n"
            "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
            f"\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymin>{y1}</ymin>\n"
            f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
            for _, role, (x1, y1, x2, y2) in drawn(name)
        )
        text = (
            f"<annotation>\n\t<folder>images</folder>\n\t<filename>{name}</filename>\n"
            f"\t<path>C:\\Users\\me\\images\\{name}</path>\n"
            "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
            f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n"
            f"\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
        )
        put(root / "Annotations" / f"{Path(name).stem}.xml", text)
    return root / "Annotations"


def labelme(root: Path) -> Path:
    """LabelMe 5: two corners in the order they were clicked, the image's path relative to the file."""
    for name in PAIRS:
        shapes = [
            labelme_shape([[x2, y1], [x1, y2]], group=group)
            for group, _, (x1, y1, x2, y2) in drawn(name)
        ]
        put(root / "labelme" / f"{Path(name).stem}.json", labelme_file(name, shapes))
    return root / "labelme"


def labelme_shape(points: list, *, group: int | None = None, kind: str = "rectangle") -> dict:
    row = {"label": "cell", "points": [[float(x), float(y)] for x, y in points]}
    row |= {"group_id": group, "description": "", "shape_type": kind, "flags": {}, "mask": None}
    return row


def labelme_file(name: str, shapes: list) -> str:
    width, height = SIZES[name]
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"..\\images\\{name}",
    }
    content |= {"imageData": None, "imageHeight": height, "imageWidth": width}
    return json.dumps(content, ensure_ascii=False, indent=2)


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
        results.append(tie | {"direction": "right", "labels": []})
    annotation = {"id": number, "completed_by": 1, "result": results, "was_cancelled": False}
    skipped = annotation | {"was_cancelled": True, "result": []}
    return {
        "id": number,
        "annotations": [annotation, skipped],
        "file_upload": f"3f2a1b9c-{name}",
        "predictions": [],
        "data": {"image": f"/data/upload/1/3f2a1b9c-{name}"},
        "project": 1,
    }


def label_studio_result(name: str, region: str, value: dict, kind="rectanglelabels") -> dict:
    width, height = SIZES[name]
    row = {"original_width": width, "original_height": height, "image_rotation": 0, "value": value}
    return row | {"id": region, "from_name": "label", "to_name": "image", "type": kind}


def percent(name: str, x1: float, y1: float, x2: float, y2: float) -> dict:
    width, height = SIZES[name]
    sides = {"width": (x2 - x1) / width * 100, "height": (y2 - y1) / height * 100}
    return {"x": x1 / width * 100, "y": y1 / height * 100} | sides


def cvat(root: Path) -> Path:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    lines += ["  <meta>", "    <task>", "      <id>7</id>", "    </task>", "  </meta>"]
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        lines.append(f'  <image id="{number}" name="{name}" width="{width}" height="{height}">')
        for group, _, (x1, y1, x2, y2) in drawn(name):
            corners = f'xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}"'
            start = '    <box label="cell" source="manual" occluded="0"'
            lines += [f'{start} {corners} z_order="0" group_id="{group}">', "    </box>"]
        lines.append("  </image>")
    return put(root / "annotations.xml", "\n".join([*lines, "</annotations>", ""]))


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


TOOLS = {
    "COCO pairs": coco_pairs,
    "COCO fields": coco_fields,
    "CSV two boxes": csv_two_boxes,
    "CSV plain": csv_plain,
    "CSV sides": csv_sides,
    "YOLO": yolo,
    "YOLO labelImg": yolo_labelimg,
    "Pascal VOC": pascal_voc,
    "LabelMe": labelme,
    "Label Studio": label_studio,
    "CVAT": cvat,
}
