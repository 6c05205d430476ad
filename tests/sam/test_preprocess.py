"""Images, boxes and masks reach the input frame together, and as SAM was trained."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from ringsam.sam.preprocess import PIXEL_MEAN, PIXEL_STD, Preprocess, logits_to_image, upsample

SIZE = 64
SHAPES = [(64, 64), (48, 80), (80, 48), (33, 64), (200, 31), (17, 9), (301, 300), (5, 128)]
THIN = [(1, 5000), (5000, 1)]


def processor() -> SamImageProcessorPil:
    return SamImageProcessorPil(
        size={"longest_edge": SIZE},
        pad_size={"height": SIZE, "width": SIZE},
        image_mean=[value / 255 for value in PIXEL_MEAN],
        image_std=[value / 255 for value in PIXEL_STD],
    )


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_images_are_resized_and_normalised_as_transformers_does(shape):
    pixels = noise(*shape)
    image, frame = Preprocess(SIZE).image(pixels)
    theirs = processor()(pixels, return_tensors="pt")
    assert (frame.height, frame.width) == tuple(theirs["reshaped_input_sizes"][0].tolist())
    torch.testing.assert_close(image, theirs["pixel_values"][0], rtol=0, atol=2e-5)


def test_the_statistics_are_those_sam_was_trained_with():
    assert PIXEL_MEAN == (123.675, 116.28, 103.53)
    assert PIXEL_STD == (58.395, 57.12, 57.375)
    mean = np.broadcast_to(np.array([124, 116, 104], dtype=np.uint8), (64, 64, 3))
    image, _ = Preprocess(SIZE).image(np.ascontiguousarray(mean))
    assert image.abs().max() < 0.01


@pytest.mark.parametrize("shape", SHAPES + THIN)
def test_what_is_not_image_is_zero(shape):
    image, frame = Preprocess(SIZE).image(np.full((*shape, 3), 255, dtype=np.uint8))
    assert not image[:, frame.height :].any() and not image[:, :, frame.width :].any()
    assert (image[:, : frame.height, : frame.width] > 2).all()


@pytest.mark.parametrize("shape", SHAPES + THIN)
def test_squashed_images_fill_the_frame(shape):
    image, frame = Preprocess(SIZE, "squash").image(np.full((*shape, 3), 255, dtype=np.uint8))
    assert (frame.height, frame.width) == (SIZE, SIZE)
    assert (image > 2).all()


@pytest.mark.parametrize("shape", THIN)
def test_an_image_one_pixel_thin_keeps_a_pixel(shape):
    frame = Preprocess(SIZE).frame(*shape)
    assert sorted([frame.height, frame.width]) == [1, SIZE]
    whole = torch.tensor([[0.0, 0.0, shape[1], shape[0]]])
    assert frame.boxes_to_input(whole).tolist() == [[0, 0, frame.width, frame.height]]
    masks = Preprocess(SIZE).masks(torch.ones(1, *shape, dtype=torch.bool), frame)
    assert masks.sum() == SIZE and masks[0, : frame.height, : frame.width].all()
    assert logits_to_image(torch.zeros(2, 1, SIZE // 4, SIZE // 4), frame).shape == (2, *shape)


@given(
    st.integers(8, 150),
    st.integers(8, 150),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.sampled_from(["longest_side", "squash"]),
)
@settings(deadline=None, max_examples=100)
def test_masks_and_boxes_follow_the_image(height, width, share, resize):
    preprocess = Preprocess(SIZE, resize)
    frame = preprocess.frame(height, width)
    # At least two input pixels on each side, so that something is left to see.
    least_x, least_y = -(-2 * width // frame.width), -(-2 * height // frame.height)
    x1, y1 = int(share[0] * (width - least_x)), int(share[1] * (height - least_y))
    x2 = x1 + least_x + int(share[2] * (width - x1 - least_x))
    y2 = y1 + least_y + int(share[3] * (height - y1 - least_y))
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[0, y1:y2, x1:x2] = True
    pixels = mask[0, :, :, None].expand(-1, -1, 3).byte().numpy() * 255
    moved = preprocess.masks(mask, frame)[0]
    bright = preprocess.image(pixels)[0][0] > (127.5 - PIXEL_MEAN[0]) / PIXEL_STD[0]
    expected = frame.boxes_to_input(torch.tensor([[x1, y1, x2, y2]]).float())[0]
    for seen in (moved, bright):
        rows, columns = seen.nonzero().unbind(dim=1)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (torch.stack(found) - expected).abs().max() <= 1


def test_masks_lie_as_the_image_lies_pixel_by_pixel():
    mask = torch.rand(1, 100, 70, generator=torch.Generator().manual_seed(0)) > 0.5
    mask = mask.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)
    preprocess = Preprocess(SIZE)
    image, frame = preprocess.image(mask[0, :, :, None].expand(-1, -1, 3).byte().numpy() * 255)
    bright = image[0] * PIXEL_STD[0] + PIXEL_MEAN[0]
    clear = (bright - 127.5).abs() > 2  # the image was rounded on its way
    on_image = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    on_image[: frame.height, : frame.width] = True
    moved = preprocess.masks(mask, frame)[0]
    assert torch.equal(moved[clear & on_image], (bright > 127.5)[clear & on_image])
    assert not moved[~on_image].any()


def test_no_masks_are_no_masks():
    preprocess = Preprocess(SIZE)
    none = preprocess.masks(torch.zeros(0, 30, 40, dtype=torch.bool), preprocess.frame(30, 40))
    assert none.shape == (0, SIZE, SIZE) and none.dtype == torch.bool


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_come_back_to_the_image_as_transformers_brings_them(shape):
    logits = torch.randn(3, 1, SIZE // 4, SIZE // 4, generator=torch.Generator().manual_seed(0))
    frame = Preprocess(SIZE).frame(*shape)
    (theirs,) = processor().post_process_masks(
        [logits], [list(shape)], [[frame.height, frame.width]], binarize=False
    )
    assert torch.equal(logits_to_image(logits, frame), theirs[:, 0])


def test_no_logits_are_no_masks():
    none = torch.zeros(0, 1, SIZE // 4, SIZE // 4)
    assert upsample(none, SIZE).shape == (0, SIZE, SIZE)
    assert logits_to_image(none, Preprocess(SIZE).frame(30, 40)).shape == (0, 30, 40)
