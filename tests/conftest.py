"""What many tests start from."""

from pathlib import Path

import pytest
from disc_data import write_disc_data, write_tiny_sam


@pytest.fixture(scope="session")
def disc_data(tmp_path_factory) -> Path:
    """A data set of six drawn images with three discs each."""
    return write_disc_data(tmp_path_factory.mktemp("data") / "discs")


@pytest.fixture(scope="session")
def sam_folder(tmp_path_factory) -> Path:
    """A tiny random SAM as a transformers folder."""
    return write_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny")
