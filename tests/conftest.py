"""What many tests start from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.written_rows import an_object
from disc_data import write_disc_data, write_tiny_sam
from PIL import Image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no core waits for another's long file at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def disc_data(tmp_path_factory) -> Path:
    """A data set of six drawn images with three discs each."""
    return write_disc_data(tmp_path_factory.mktemp("data") / "discs")


@pytest.fixture(scope="session")
def sam_folder(tmp_path_factory) -> Path:
    """A tiny random SAM as a transformers folder."""
    return write_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real one, for the tests of one module; playwright allows no other loop in the thread while it runs."""
    from browsing import running_browser

    with running_browser() as browser:
        yield browser


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder of images of 60 x 40 with their two_boxes.json, and gives its path."""

    def make(annotations=None, *, images=None, name="two_boxes.json", text=None, **more) -> Path:
        images = [{"id": 1, "file_name": "a.png"}] if images is None else images
        (tmp_path / "images").mkdir(exist_ok=True)
        for number, row in enumerate(images):
            pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
            path = tmp_path / "images" / str(row.get("file_name"))
            if path.parent.is_dir() and "\0" not in str(path) and ".." not in str(path):
                Image.fromarray(pixels).save(path, "PNG")
        rows = [an_object()] if annotations is None else annotations
        content = {"images": images, "annotations": rows, "categories": []} | more
        (tmp_path / name).write_text(json.dumps(content) if text is None else text)
        return tmp_path

    return make
