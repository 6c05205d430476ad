"""The same three objects as tools write them into tables and text: CSV and the kinds of YOLO."""

import json
from pathlib import Path

from data.formats.drawn_boxes import PAIRS, ROLES, SIZES, drawn, put


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
    put(root / "data.yaml", f"path: .\ntrain: images\nval: images\n\n{names}")
    for name in PAIRS:
        put(root / "labels" / f"{Path(name).stem}.txt", yolo_lines(name))
    return root


def yolo_labelimg(root: Path) -> Path:
    """labelImg: the text files and classes.txt together."""
    put(root / "text" / "classes.txt", "big\nsmall\n")
    for name in PAIRS:
        put(root / "text" / f"{Path(name).stem}.txt", yolo_lines(name))
    return root / "text"


def yolo_label_studio(root: Path) -> Path:
    """Label Studio's YOLO: notes beside the names, and an upload's name before each image's."""
    folder = root / "project-1"
    put(folder / "classes.txt", "big\nsmall\n")
    categories = [{"id": n, "name": name} for n, name in enumerate(ROLES)]
    info = {"year": 2026, "version": "1.0", "contributor": "Label Studio"}
    put(folder / "notes.json", json.dumps({"categories": categories, "info": info}, indent=2))
    for name in PAIRS:
        put(folder / "labels" / f"3f2a1b9c-{Path(name).stem}.txt", yolo_lines(name))
    return folder


def yolo_cvat(root: Path) -> Path:
    """CVAT's YOLO 1.1: Darknet's list of names, list of images, and a folder of labels."""
    folder = root / "cvat"
    put(folder / "obj.names", "big\nsmall\n")
    lines = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    put(folder / "obj.data", lines)
    put(folder / "train.txt", "".join(f"data/obj_train_data/{name}\n" for name in PAIRS))
    for name in PAIRS:
        put(folder / "obj_train_data" / f"{Path(name).stem}.txt", yolo_lines(name))
    return folder


def yolo_lines(name: str) -> str:
    width, height = SIZES[name]
    lines = []
    for _, role, (x1, y1, x2, y2) in drawn(name):
        x, y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
        sides = (x2 - x1) / width, (y2 - y1) / height
        lines.append(f"{ROLES.index(role)} {x:.6f} {y:.6f} {sides[0]:.6f} {sides[1]:.6f}\n")
    return "".join(lines)
