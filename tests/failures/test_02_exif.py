"""Row 2: an image is turned as its EXIF says before anything else; boxes are in displayed coordinates, for all eight orientations."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image

BOX = [30, 4, 44, 12]  # of a bright patch, as displayed
TURNED = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}  # what undoes each


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_box_lies_on_its_pixels_whatever_the_orientation(make_data, orientation):
    displayed = np.zeros((40, 60, 3), dtype=np.uint8)
    displayed[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    undo = Image.new("L", (1, 1)).getexif()
    undo[0x0112] = TURNED[orientation]
    image = Image.fromarray(displayed)
    image.info["exif"] = undo.tobytes()
    image.getexif()[0x0112] = TURNED[orientation]
    stored = ImageOps.exif_transpose(image)
    tag = Image.Exif()
    tag[0x0112] = orientation
    small = [BOX[0] + 4, BOX[1] + 2, BOX[2] - 4, BOX[3] - 2]
    row = {"id": 1, "image_id": 1, "big_box": BOX, "small_box": small}
    folder = make_data([row])
    stored.save(folder / "images" / "a.png", exif=tag)
    (record,) = read_two_boxes(folder).images
    pixels = read_image(record.path)
    assert (record.height, record.width) == pixels.shape[:2] == (40, 60)
    x1, y1, x2, y2 = record.big_boxes[0].astype(int)
    assert (pixels[y1:y2, x1:x2] == 255).all() and pixels.sum() == 255 * 3 * 14 * 8
