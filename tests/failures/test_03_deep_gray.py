"""Row 3: 16-bit gray is shown through a percentile window, never cut to its high or low bytes: a ramp keeps 250 levels and more."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from ringsam.data.images import read_image


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("top", [1000, 4095, 65535])
def test_a_ramp_keeps_its_levels(tmp_path, suffix, top):
    ramp = np.linspace(0, top, 64 * 64).reshape(64, 64).astype(np.uint16)
    path = tmp_path / f"ramp{suffix}"
    tifffile.imwrite(path, ramp) if suffix == ".tif" else Image.fromarray(ramp).save(path)
    levels = read_image(path)[..., 0]
    assert len(np.unique(levels)) >= 250
    assert (np.diff(levels.ravel().astype(int)) >= 0).all()
