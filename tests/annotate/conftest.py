"""A folder of images and the page's server over it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tiny import tiny_sam

from ringsam.annotate.doubts import Doubts
from ringsam.annotate.server import create_app, open_project
from ringsam.pages.kept import KeptAnswers
from ringsam.pages.preview import Preview
from ringsam.predict import Predictor
from ringsam.sam.preprocess import Preprocess


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    sam = tiny_sam()
    return Predictor(sam, preprocess=Preprocess(sam.input_size))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A data set without annotations: two images of 90 x 60."""
    (tmp_path / "images").mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(seed).integers(0, 255, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    return tmp_path


@pytest.fixture
def token() -> str:
    return "a-token"


@pytest.fixture
def connect(folder, predictor, token):
    """Starts a server over the folder as it is now, and a client of it."""

    def start(*, local: bool = True, knows_token: bool = True) -> TestClient:
        pictures, boxes = open_project(folder / "images", folder / "two_boxes.json")
        kept = KeptAnswers(folder / "two_boxes.json", kind="doubts")
        doubts = Doubts(Preview(predictor, pictures), kept)
        app = create_app(boxes, pictures, doubts, token=token, local=local)
        headers = {"x-ringsam-token": token} if knows_token else {}
        return TestClient(
            app, base_url="http://localhost" if local else "http://lab.example", headers=headers
        )

    return start


@pytest.fixture
def client(connect) -> TestClient:
    return connect()
