"""Row 5: every mode has one defined conversion to RGB; what is transparent becomes white."""

import numpy as np
import pytest
from PIL import Image

from ringsam.data.images import read_image

RED, CLEAR_RED = (200, 30, 40), (200, 30, 40, 0)
MODES = {
    "1": (1, (255, 255, 255)),
    "L": (90, (90, 90, 90)),
    "LA": ((90, 0), (255, 255, 255)),
    "P": (0, RED),
    "RGB": (RED, RED),
    "RGBA": (CLEAR_RED, (255, 255, 255)),
    "CMYK": ((0, 0, 0, 255), (0, 0, 0)),
    "I;16": (30000, (0, 0, 0)),  # of one value alone a window shows nothing
}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_becomes_the_colours_that_a_person_sees(tmp_path, mode):
    value, expected = MODES[mode]
    image = Image.new(mode, (9, 7), value)
    if mode == "P":
        image.putpalette(RED)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    pixels = read_image(path)
    assert pixels.shape == (7, 9, 3) and pixels.dtype == np.uint8
    assert (pixels == expected).all()


def test_half_transparent_is_half_way_to_white(tmp_path):
    Image.new("RGBA", (5, 5), (0, 0, 0, 128)).save(tmp_path / "half.png")
    assert abs(int(read_image(tmp_path / "half.png")[0, 0, 0]) - 127) <= 1
