"""Masks from boxes, in the image's own pixels."""

import numpy as np
import pytest
import torch
from disc_data import write_disc_data
from tiny import tiny_sam

import ringsam
from ringsam.data.images import read_image
from ringsam.errors import InputError
from ringsam.predict import Predictor
from ringsam.sam.preprocess import Preprocess

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 90, 3), dtype=np.uint8)
BOXES = [[10, 5, 40, 35], [50, 2, 88, 30], [0, 0, 90, 40]]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    sam = tiny_sam()
    return Predictor(sam, preprocess=Preprocess(sam.input_size))


def test_one_mask_a_box_in_the_images_own_pixels(predictor):
    prediction = predictor.predict(IMAGE, BOXES)
    assert prediction.masks.shape == (3, 40, 90)
    assert prediction.masks.dtype == torch.bool
    assert prediction.iou.shape == prediction.entropy.shape == (3,)


def test_a_box_gets_the_same_mask_alone_and_among_others(predictor):
    together = predictor.predict(IMAGE, BOXES)
    alone = predictor.predict(IMAGE, BOXES[1:2])
    assert (together.masks[1] ^ alone.masks[0]).float().mean() < 1e-3
    torch.testing.assert_close(together.iou[1:2], alone.iou)


def test_an_image_without_boxes_has_no_masks(predictor):
    assert predictor.predict(IMAGE, []).masks.shape == (0, 40, 90)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3]], "expected finite rows"),
        ([[1, 2, float("nan"), 4]], "expected finite rows"),
        ([[1, 2, 3, 4], [1, 2, 3]], "big_boxes: expected finite rows"),
        ([["left", "top", "right", "bottom"]], "big_boxes: expected finite rows"),
        ([[5, 2, 3, 4]], "x1 < x2"),
    ],
)
def test_boxes_that_are_none_are_refused(predictor, boxes, message):
    with pytest.raises(InputError, match=message):
        predictor.predict(IMAGE, boxes)


def test_every_box_has_its_id(predictor):
    with pytest.raises(InputError, match="2 big boxes but 1 object_ids"):
        predictor.predict(IMAGE, [[1, 2, 30, 30], [5, 5, 20, 20]], object_ids=[7])


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (IMAGE[..., 0], r"uint8 of shape \[40, 90\]"),
        (IMAGE / 255, r"float64 of shape \[40, 90, 3\]"),
        (np.dstack([IMAGE, IMAGE[..., 0]]), r"uint8 of shape \[40, 90, 4\]"),
        (IMAGE[:0], r"uint8 of shape \[0, 90, 3\]"),
        ([[1, 2], [3]], "list that is no array"),
    ],
)
def test_an_image_that_is_not_rgb_of_8_bits_is_refused(predictor, image, found):
    with pytest.raises(InputError, match=f"found {found}; read it with `ringsam.data.read_image`"):
        predictor.predict(image, BOXES)


@pytest.mark.parametrize("box", [[90, 0, 95, 10], [0, 40, 5, 50], [-5, 0, 0, 9], [0, -9, 5, 0]])
def test_a_box_wholly_outside_the_image_is_named(predictor, box):
    with pytest.raises(InputError, match=r"^big_boxes: row 1 .* 90 pixels wide and 40 high"):
        predictor.predict(IMAGE, [BOXES[0], box])
    with pytest.raises(InputError, match=r"^small_boxes: row 0 "):
        predictor.predict(IMAGE, BOXES[:1], [box], prompts="ring")


def test_a_box_partly_outside_the_image_is_taken(predictor):
    assert len(predictor.predict(IMAGE, [[-5, -5, 10, 10], [80, 30, 99, 99]]).masks) == 2


def test_prompts_with_points_need_small_boxes(predictor):
    with pytest.raises(InputError, match="need small_boxes"):
        predictor.predict(IMAGE, BOXES, prompts="box+core")
    with pytest.raises(InputError, match="give one each"):
        predictor.predict(IMAGE, BOXES, BOXES[:1], prompts="ring")


def test_weights_are_loaded_by_name_and_by_folder(sam_folder, tmp_path):
    data = write_disc_data(tmp_path / "data", num_images=1)
    image = read_image(data / "images" / "0.png")
    prediction = ringsam.load(sam_folder).predict(image, [[5, 5, 30, 30]])
    sam = tiny_sam()
    expected = Predictor(sam, preprocess=Preprocess(sam.input_size)).predict(
        image, [[5, 5, 30, 30]]
    )
    assert torch.equal(prediction.masks, expected.masks)
