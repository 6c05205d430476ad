"""Weights and a run to export."""

import jaxtyping
import pytest
import torch
from tiny import tiny_sam

from ringsam.config import Config
from ringsam.files import write_json
from ringsam.runs import RunFolder
from ringsam.sam.weights import save_folder


@pytest.fixture(autouse=True, scope="package")
def shapes_unchecked():
    """A tracer's sizes are tensors, which the checks of shapes refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def weights(tmp_path):
    save_folder(tiny_sam(), tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    save_folder(tiny_sam(), folder.original)
    save_folder(adapted_sam(), folder.adapted)
    folder.write_config(Config(weights="facebook/sam-vit-base"))
    labels, images = {"two_boxes.json": "ab12"}, {"a.png": "1", "b.png": "2"}
    write_json(
        folder.data_note,
        {"data": "/home/me/cells", "labels": labels, "images": images, "settings": {}},
    )
    return folder


def adapted_sam():
    """The same SAM with an encoder that has learnt: every weight of it moved a little."""
    sam, generator = tiny_sam(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in sam.model.vision_encoder.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    return sam
