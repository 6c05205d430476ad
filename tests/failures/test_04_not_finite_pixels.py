"""Row 4: float images are windowed over their finite values; one without any is a bad image."""

import numpy as np
import pytest
import tifffile

from ringsam.cli import main
from ringsam.data.images import read_image


def test_pixels_that_are_not_finite_leave_the_others_as_they_are(tmp_path):
    values = np.linspace(-5, 5, 40 * 60, dtype=np.float32).reshape(40, 60)
    tifffile.imwrite(tmp_path / "whole.tif", values)
    expected = read_image(tmp_path / "whole.tif").astype(int)
    values[0, :3] = np.nan, np.inf, -np.inf
    tifffile.imwrite(tmp_path / "holes.tif", values)
    found = read_image(tmp_path / "holes.tif").astype(int)
    assert abs(found[1:] - expected[1:]).max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_without_a_finite_pixel_is_a_bad_image(make_data, capsys, value):
    folder = make_data(images=[{"id": 1, "file_name": "a.tif"}])
    tifffile.imwrite(folder / "images" / "a.tif", np.full((40, 60), value, np.float32))
    assert main(["check", str(folder)]) == 2
    said = capsys.readouterr().out
    assert "a.tif: image 1: the image cannot be read: no pixel is a finite number" in said
