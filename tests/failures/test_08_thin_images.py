"""Row 8: images one pixel thin or of extreme aspect are worked on or refused; nothing is resized to no size."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_sam

from ringsam.data.images import read_image
from ringsam.predict import Predictor
from ringsam.sam.preprocess import Preprocess


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_a_thin_image_keeps_a_pixel_in_the_input_frame(tmp_path, size):
    path = tmp_path / "thin.png"
    Image.fromarray(np.full((size[1], size[0], 3), 9, np.uint8)).save(path)
    image, frame = Preprocess(64).image(read_image(path))
    assert image.shape == (3, 64, 64) and image.isfinite().all()
    assert min(frame.height, frame.width) >= 1
    box = torch.tensor([[0.0, 0.0, float(size[0]), float(size[1])]])
    assert (frame.boxes_to_input(box)[0, 2:] > 0).all()


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (3, 2000)])
def test_a_thin_image_gets_masks_of_its_own_size(size):
    width, height = size
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(64))
    pixels = np.full((height, width, 3), 9, np.uint8)
    found = predictor.predict(pixels, [[0, 0, width, height]])
    assert found.masks.shape == (1, height, width)
    assert found.iou.isfinite().all() and found.entropy.isfinite().all()
