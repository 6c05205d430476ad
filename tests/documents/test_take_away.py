"""The page on taking masks and weights away: its commands and snippets run as they stand."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_sam

from benchmarks.models import metas_predictor, metas_sam, randomize, transformers_sam
from ringsam.cli import main
from ringsam.config import Config, write_config
from ringsam.predict import load
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.weights import save_folder

PAGE = (Path(__file__).parent.parent / "docs/take-away.md").read_text(encoding="utf-8")
BOXES = [[20.0, 16.0, 60.0, 52.0], [5.0, 5.0, 30.0, 30.0]]


def snippets(title: str, language: str) -> list[str]:
    """The fences below a heading."""
    section = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{title}\n")]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def place(tmp_path, disc_data, monkeypatch) -> RunFolder:
    """A folder with a finished run, the images it knows, and another image."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(disc_data, "my_images")
    run = RunFolder(Path("runs/first"))
    run.create()
    save_folder(tiny_sam(), run.original)
    adapted = tiny_sam()
    with torch.no_grad():
        for weight in adapted.model.vision_encoder.parameters():
            weight.mul_(1.02)
    save_folder(adapted, run.adapted)
    write_config(Config(), run.config)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((180, 140)).resize((90, 70)).save("image.png")
    return run


def run_commands(text: str) -> None:
    for line in text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "ringsam" and main(arguments) == 0, line


def run_python(snippet: str) -> dict:
    names: dict = {}
    exec(snippet, names)
    return names


def assert_masks_of(run: RunFolder, masks, *, least_iou: float) -> None:
    image = np.array(Image.open("image.png"))
    found = np.asarray(masks)
    expected = load(run.path).predict(image, BOXES[: len(found)]).masks.numpy()
    assert found.shape == expected.shape
    assert (found & expected).sum() / (found | expected).sum() >= least_iou


def test_the_masks_are_written_and_read_as_the_page_says(place, capsys):
    run_commands(*snippets("Masks", "bash"))
    assert "18 masks on 6 images" in capsys.readouterr().out
    run_python(*snippets("Masks", "python"))
    assert capsys.readouterr().out.count("disc") == 3


@pytest.mark.slow
def test_the_exports_are_loaded_as_the_page_says(place):
    run_commands(*snippets("Weights", "bash"))
    masks = run_python(*snippets("transformers", "python"))["masks"]
    assert_masks_of(place, masks, least_iou=0.97)
    (snippet,) = snippets("onnxruntime", "python")
    masks = run_python(snippet.replace("size = 1024", "size = 64"))["masks"]
    assert_masks_of(place, masks, least_iou=0.97)
    masks = run_python(*snippets("peft", "python"))["masks"]
    assert_masks_of(place, masks, least_iou=0.9)


def test_metas_predictor_loads_what_the_page_says(place, monkeypatch):
    """Its package is imported without torchvision; a small architecture stands for vit_b."""
    sam = Sam(randomize(transformers_sam("small", image_size=64), seed=0))
    save_folder(sam, place.adapted)
    assert main(["export", "runs/first", "--to", "meta"]) == 0

    def build(checkpoint):
        built = metas_sam("small", image_size=64)
        built.load_state_dict(torch.load(checkpoint, weights_only=True))
        return built

    package = sys.modules[type(metas_sam("small", image_size=64)).__module__.split(".")[0]]
    predictor = type(metas_predictor(metas_sam("small", image_size=64)))
    monkeypatch.setattr(package, "SamPredictor", predictor, raising=False)
    monkeypatch.setattr(package, "sam_model_registry", {"vit_b": build}, raising=False)
    masks = run_python(*snippets("segment_anything", "python"))["masks"]
    assert_masks_of(place, masks, least_iou=0.97)
