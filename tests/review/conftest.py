"""A run, a data set, and the review of the one on the other."""

from pathlib import Path

import pytest
from evaluation.made_runs import make_data, make_run
from starlette.testclient import TestClient

from ringsam.config import Config, Refinement
from ringsam.review.server import create_app, open_review
from ringsam.runs import RunFolder


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("run") / "run", Config())


@pytest.fixture
def data(tmp_path) -> Path:
    """Three images with two objects each."""
    return make_data(tmp_path / "data", masks=False)


@pytest.fixture
def connect(run, data):
    """Starts a server over the data as it is now, and a client of it."""

    def start(out: str = "accepted.json", refine: Refinement = "none") -> TestClient:
        boxes = data / "annotations.json"
        review = open_review(run, data / "images", boxes, data / out, refine=refine)
        app = create_app(review, token="a-token", local=True)
        return TestClient(app, base_url="http://localhost", headers={"x-ringsam-token": "a-token"})

    return start


@pytest.fixture
def client(connect) -> TestClient:
    return connect()
