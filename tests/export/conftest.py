"""Weights and a run to export."""

import jaxtyping
import pytest
from tiny import tiny_sam

from ringsam.config import Config, write_config
from ringsam.runs import RunFolder, write_json
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
    save_folder(tiny_sam(seed=0), folder.original)
    save_folder(tiny_sam(seed=1), folder.adapted)
    write_config(Config(weights="facebook/sam-vit-base"), folder.config)
    labels, images = {"two_boxes.json": "ab12"}, {"a.png": "1", "b.png": "2"}
    write_json(folder.data_note, {"data": "/home/me/cells", "labels": labels, "images": images})
    return folder
