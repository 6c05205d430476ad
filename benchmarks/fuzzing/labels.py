"""Labels and settings: the same object on the same image in every format, and a recipe."""

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzzing.parser import Parser, function
from benchmarks.fuzzing.slips import MERGES, altered_document, altered_text
from ringsam.commands import check, import_
from ringsam.config import RECIPES, read_recipe

IMAGE = {"id": 1, "file_name": "a.png", "width": 60, "height": 40}
CATEGORIES = [{"id": 1, "name": "cell"}]
RUNS = {"size": [40, 60], "counts": [410, 20, 1970]}
POLYGON = [[10.0, 10.0, 40.0, 10.0, 40.0, 30.0]]
BIG, SMALL = [10, 10, 40, 30], [20, 15, 30, 25]


def coco(*rows: dict[str, object]) -> bytes:
    own = {"image_id": 1, "category_id": 1}
    annotations = [{"id": number, **own, **row} for number, row in enumerate(rows, start=1)]
    content = {"images": [IMAGE], "annotations": annotations, "categories": CATEGORIES}
    return json.dumps(content).encode()


TWO_BOXES = coco(
    {"big_box": BIG, "small_box": SMALL, "segmentation": RUNS},
    {"big_box": BIG, "small_box": SMALL, "segmentation": POLYGON},
    {"big_box": BIG, "small_box": SMALL, "segmentation": {"size": [40, 60], "counts": "j<d0bm1"}},
)
COCO = (
    coco({"bbox": [10, 10, 30, 20], "iscrowd": 0}, {"bbox": [20, 15, 10, 10], "segmentation": []}),
    coco({"segmentation": RUNS}, {"segmentation": POLYGON}),
)
CSV = (
    b"image,max_box_x1,max_box_y1,max_box_x2,max_box_y2,min_box_x1,min_box_y1,min_box_x2,min_box_y2\r\n"
    b"a.png,10,10,40,30,20,15,30,25\r\n",
    b"filename;class;x;y;width;height\na.png;cell;10;10;30;20\n",
    b'filename,width,height,class,group,xmin,ymin,xmax,ymax\n"a.png",60,40,cell,1,10,10,40,30\na.png,60,40,cell,1,20,15,30,25\n',
)
YOLO = (
    b"0 0.416667 0.500000 0.500000 0.500000\n1 0.416667 0.500000 0.166667 0.250000\n",
    b"0 0.1 0.2 0.8 0.2 0.8 0.9\n",
)
YOLO_NAMES = (b"path: .\ntrain: images\nnc: 2\nnames:\n  0: big\n  1: small\n", b"names: [big, small]\n")  # fmt: skip
PASCAL_VOC = (
    b"<annotation><folder>images</folder><filename>a.png</filename><size><width>60</width><height>40</height><depth>3</depth></size>"
    b"<object><name>big</name><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>"
    b"<object><name>small</name><bndbox><xmin>20</xmin><ymin>15</ymin><xmax>30</xmax><ymax>25</ymax></bndbox></object></annotation>"
)
CVAT = (
    b'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><image id="0" name="a.png" width="60" height="40">'
    b'<box label="cell" xtl="10.00" ytl="10.00" xbr="40.00" ybr="30.00" group_id="1" rotation="0.0"></box>'
    b'<box label="cell" xtl="20.00" ytl="15.00" xbr="30.00" ybr="25.00" group_id="1"></box>'
    b'<polygon label="cell" points="10.00,10.00;40.00,10.00;40.00,30.00" group_id="2"></polygon></image></annotations>'
)
LABELME = {
    "version": "5.5.0",
    "imagePath": "a.png",
    "imageHeight": 40,
    "imageWidth": 60,
    "shapes": [
        {"label": "cell", "points": points, "group_id": group, "shape_type": kind}
        for points, group, kind in (
            ([[10.0, 10.0], [40.0, 30.0]], 1, "rectangle"),
            ([[20.0, 15.0], [30.0, 25.0]], 1, "rectangle"),
            ([[10.0, 10.0], [40.0, 10.0], [40.0, 30.0]], None, "polygon"),
        )
    ],
}


def label_studio() -> bytes:
    """Two boxes tied by a relation."""
    own = {"original_width": 60, "original_height": 40, "image_rotation": 0}
    values = {
        "b": {"x": 16.7, "y": 25.0, "width": 50.0, "height": 50.0, "rotation": 0},
        "s": {"x": 33.3, "y": 37.5, "width": 16.7, "height": 25.0, "rectanglelabels": ["cell"]},
    }
    results: list[dict[str, object]] = [
        {**own, "id": name, "type": "rectanglelabels", "value": value}
        for name, value in values.items()
    ]
    results.append({"type": "relation", "from_id": "b", "to_id": "s"})
    annotation = {"id": 1, "result": results, "was_cancelled": False}
    task = {
        "id": 1,
        "data": {"image": "/data/upload/1/3f2a1b9c-a.png"},
        "annotations": [annotation],
    }
    return json.dumps([task]).encode()


def beside_an_image(folder: Path) -> None:
    (folder / "images").mkdir()
    Image.linear_gradient("L").resize((60, 40)).save(folder / "images" / "a.png")


def with_yolo_labels(folder: Path) -> None:
    beside_an_image(folder)
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_bytes(YOLO[0])


def imported(path: Path, source: Path) -> bool:
    """Through `ringsam import`; what was written goes again."""
    out = path.parent if (path.parent / "images").is_dir() else path.parent.parent
    try:
        return function(lambda source: import_(source, out))(source)
    finally:
        (out / "two_boxes.json").unlink(missing_ok=True)


def tool(name: str, file: str, inputs: st.SearchStrategy[bytes]) -> Parser:
    return Parser(name, file, inputs, lambda path: imported(path, path), beside_an_image)


nothing: Callable[[Path], object] = lambda folder: None  # noqa: E731
PARSERS = (
    Parser("two boxes", "two_boxes.json", altered_document(TWO_BOXES), function(check), beside_an_image),
    tool("COCO", "labels.json", altered_document(*COCO)),
    tool("CSV", "labels.csv", altered_text(*CSV)),
    tool("YOLO", "labels/a.txt", altered_text(*YOLO)),
    Parser("YOLO names", "data.yaml", altered_text(*YOLO_NAMES), lambda path: imported(path, path.parent / "labels"), with_yolo_labels),
    tool("Pascal VOC", "labels.xml", altered_text(PASCAL_VOC)),
    tool("LabelMe", "labels.json", altered_document(json.dumps(LABELME).encode())),
    tool("Label Studio", "labels.json", altered_document(label_studio())),
    tool("CVAT", "labels.xml", altered_text(CVAT)),
    Parser(
        "recipe",
        "mine.yaml",
        altered_text(MERGES.encode(), *(path.read_bytes() for path in sorted(RECIPES.glob("*.yaml")))),
        function(lambda path: read_recipe(str(path))),
        nothing,
    ),
)  # fmt: skip
