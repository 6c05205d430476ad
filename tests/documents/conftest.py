"""A folder where the documents' commands can run, and a person in it."""

import csv
import json
import shutil
import sys
from itertools import chain
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from documents.pages import ROOT
from documents.visits import visit_pages
from documents.walk import LOCAL_SAM, Walk, train_quickly
from PIL import Image
from tiny import disc_batch

from benchmarks.models import metas_predictor, metas_sam, randomize, transformers_sam
from ringsam.config import Config
from ringsam.files import write_json
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.build import build_module
from ringsam.training.non_finite import write_capture

SIZE = 64
SAMPLE = Path("src/ringsam/assets/sample")


@pytest.fixture(autouse=True, scope="package")
def shapes_unchecked():
    """A tracer's sizes are tensors, which the checks of shapes refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, disc_data) -> Path:
    """What the pages take for granted: images with boxes, others with masks, new ones, labels of a tool, weights, a finished run."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("my_images", "my_test_images", "new_images"):
        shutil.copytree(disc_data, folder / name)
    (folder / "my_test_images/two_boxes.json").unlink()
    write_labels_of_tools(folder)
    sam = Sam(randomize(transformers_sam("small", image_size=SIZE), seed=0))
    save_folder(sam, folder / LOCAL_SAM)
    write_run(folder / "runs/first", sam)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((180, 140)).resize((90, 70)).save(folder / "image.png")
    for part, labels in (("train", "two_boxes.json"), ("test", "annotations.json")):
        cut_sample(folder, part, labels)
    return folder


def cut_sample(folder: Path, part: str, labels: str, *, per_image: int = 3) -> Path:
    """The bundled sample where the pages name it: some of its images, with few objects each."""
    whole, cut = ROOT / SAMPLE / part, folder / SAMPLE / part
    content = json.loads((whole / labels).read_text(encoding="utf-8"))
    wanted = [row for row in content["images"] if row["file_name"][:2] in ("a0", "b4", "2e", "b6")]
    rows = [
        [row for row in content["annotations"] if row["image_id"] == image["id"]][:per_image]
        for image in wanted
    ]
    content |= {"images": wanted, "annotations": list(chain(*rows))}
    (cut / "images").mkdir(parents=True)
    for row in wanted:
        shutil.copy(whole / "images" / row["file_name"], cut / "images")
    write_json(cut / labels, content)
    return cut


def write_labels_of_tools(folder: Path) -> None:
    """Tables with both boxes and with one box of each object, COCO with one box of each, and COCO with their outlines."""
    content = json.loads((folder / "my_images/two_boxes.json").read_text(encoding="utf-8"))
    names = {row["id"]: row["file_name"] for row in content["images"]}
    corners = ("x1", "y1", "x2", "y2")
    both = ["file_name", *(f"{name}_{corner}" for name in ("big", "small") for corner in corners)]
    for name, columns in (("labels.csv", both), ("boxes.csv", ["file_name", *corners])):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(columns)
            for row in content["annotations"]:
                cells = [names[row["image_id"]], *row["big_box"], *row["small_box"]]
                table.writerow(cells[: len(columns)])
    outlines = json.loads((folder / "my_test_images/annotations.json").read_text(encoding="utf-8"))
    for row in outlines["annotations"]:
        del row["big_box"], row["small_box"]
    write_json(folder / "outlines.json", outlines)
    for row in content["annotations"]:
        x1, y1, x2, y2 = row.pop("big_box")
        row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        del row["small_box"]
    write_json(folder / "export.json", content)


def write_run(folder: Path, sam: Sam) -> RunFolder:
    """A run as training leaves it, whose encoder has moved a little."""
    run = RunFolder(folder)
    run.create()
    save_folder(sam, run.original)
    with torch.no_grad():
        for weight in sam.model.vision_encoder.parameters():
            weight.mul_(1.02)
    save_folder(sam, run.adapted)
    write_json(run.data_note, {"data": "my_images", "labels": {}, "images": {}, "settings": {}})
    config = Config(weights=LOCAL_SAM)
    run.write_config(config)
    capture = run.path / "not_finite_rank0.pt"
    write_capture(capture, build_module(load_sam(run.original), config), disc_batch(), epoch=0)
    return run


@pytest.fixture
def walk(prepared, tmp_path, monkeypatch, capsys) -> Walk:
    """Stands in a copy of the prepared folder."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    train_quickly(monkeypatch)
    visit_pages(monkeypatch, lambda: capsys.readouterr().out)
    lend_metas_package(monkeypatch)
    image = np.asarray(Image.open("image.png"))
    given = {"image": image, "big_boxes": [[20.0, 16.0, 60.0, 52.0], [5.0, 5.0, 30.0, 30.0]]}
    return Walk(monkeypatch, given)


def lend_metas_package(monkeypatch) -> None:
    """`segment_anything` is imported without torchvision; the folder's small SAM stands for vit_b."""

    def build(checkpoint):
        built = metas_sam("small", image_size=SIZE)
        built.load_state_dict(torch.load(checkpoint, weights_only=True))
        return built

    predictor = type(metas_predictor(metas_sam("small", image_size=SIZE)))
    package = sys.modules["segment_anything"]
    monkeypatch.setattr(package, "SamPredictor", predictor, raising=False)
    monkeypatch.setattr(package, "sam_model_registry", {"vit_b": build}, raising=False)
