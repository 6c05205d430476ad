"""The model card tells the truth, and its snippet runs as it stands."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.models import metas_predictor, metas_sam, transformers_sam
from ringsam.errors import InputError
from ringsam.export import export_weights
from ringsam.export.card import registry_name
from ringsam.export.checks import SAMPLE
from ringsam.predict import load
from ringsam.sam.model import Sam

BOX = [60.0, 50.0, 180.0, 160.0]


@pytest.fixture(scope="module", autouse=True)
def segment_anything():
    """Its modules, imported without torchvision."""
    metas_predictor(metas_sam("small", image_size=64))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("to", "least_iou"),
    [("hf", 0.97), ("meta", 0.97), ("lora", 0.8), pytest.param("onnx", 0.97, marks=SLOW)],
)
def test_the_snippet_gives_the_masks_of_the_run(run, to, least_iou, monkeypatch):
    """The adapter's original weights would have to be downloaded; here they lie in the run."""
    export_weights(run.path, to=to)
    out = run.path / f"export_{to}"
    image = Image.open(next((SAMPLE / "images").iterdir())).convert("RGB")
    image.save(out / "image.png")
    monkeypatch.chdir(out)
    (snippet,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(snippet.replace("facebook/sam-vit-base", str(run.original)), names)
    found = np.asarray(names["masks"])
    expected = load(run.path).predict(np.array(image), [BOX]).masks.numpy()
    assert found.shape == expected.shape and found.dtype == bool
    assert (found & expected).sum() / (found | expected).sum() > least_iou


def card_of(run) -> str:
    export_weights(run.path, to="hf")
    return (run.path / "export_hf" / "README.md").read_text()


def test_the_card_tells_where_the_weights_come_from(run):
    text = card_of(run)
    assert "base_model: facebook/sam-vit-base\n" in text
    assert "me/cells: 2 images" in text and "/home" not in text
    assert "| SHA-256 of two_boxes.json | ab12 |" in text
    assert "recipe seed, prompts ring" in text
    assert f"torch {torch.__version__}" in text and "Not evaluated" in text
    assert text.startswith("---\n") and "\n\n\n" not in text and str(run.path) not in text


def test_the_card_shows_the_figures_of_an_evaluation(run):
    summary = {"miou": 0.5, "dice": 0.6, "boundary_iou": 0.4}
    adapted = {name: value + 0.25 for name, value in summary.items()}
    evaluation = {"num_objects": 9, "num_images": 3, "prompts": "box", "zero_shot": summary}
    run.evaluation.write_text(json.dumps({**evaluation, "adapted": adapted}))
    text = card_of(run)
    assert "9 objects on 3 images, prompts box:" in text and "| mIoU | 0.500 | 0.750 |" in text


def test_the_card_says_that_figures_are_of_refined_masks(run):
    summary = {"miou": 0.5, "dice": 0.6, "boundary_iou": 0.4}
    evaluation = {"num_objects": 9, "num_images": 3, "prompts": "box", "zero_shot": summary}
    run.evaluation.write_text(json.dumps({**evaluation, "adapted": None, "refine": "both_boxes"}))
    assert "refined by `--refine both_boxes`, which is no part of the weights" in card_of(run)


def test_the_card_says_that_figures_are_of_images_learned_from(run):
    summary = {"miou": 0.5, "dice": 0.6, "boundary_iou": 0.4}
    evaluation = {"num_objects": 9, "num_images": 3, "prompts": "box", "zero_shot": summary}
    seen = {"adapted": None, "num_learned_from": 2}
    run.evaluation.write_text(json.dumps({**evaluation, **seen}))
    text = card_of(run)
    assert "The run learned from 2 of these images, which flatters it." in text
    assert "\n\n\n" not in text


def test_a_damaged_note_of_the_run_is_named(run):
    run.evaluation.write_text("{")
    with pytest.raises(InputError, match=r"evaluation\.json: was cut or altered"):
        card_of(run)
    assert not (run.path / "export_hf").exists()


def test_metas_registry_is_named_where_it_knows_the_architecture():
    with torch.device("meta"):
        base = transformers_sam("vit_b")
        assert registry_name(Sam(base)) == "vit_b"
        assert registry_name(Sam(transformers_sam("vit_h"))) == "vit_h"
        assert registry_name(Sam(transformers_sam("small"))) is None
        assert registry_name(Sam(transformers_sam("vit_b", image_size=512))) is None
