"""Masks refined at prediction: against loops over pixels, and what must hold for every image."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import expit, logit
from tiny import tiny_sam

from ringsam.data.colour_model import colour_masks
from ringsam.errors import InputError
from ringsam.geometry import Boxes, Frame
from ringsam.method.colours import move_odds
from ringsam.metrics import iou
from ringsam.predict import Predictor
from ringsam.refinement import ObjectWindows, object_probability, refine_masks
from ringsam.sam.preprocess import PIXEL_MEAN, PIXEL_STD, Preprocess, logits_to_image

GRID, INPUT = 16, 64
HEIGHT, WIDTH = 200, 300
CENTER, RADIUS = (150, 90), 60
BIG = torch.tensor([[80.0, 20.0, 220.0, 165.0]])
SMALL = torch.tensor([[130.0, 70.0, 170.0, 110.0]])


def disc(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The true mask of the object that the images show."""
    y, x = np.mgrid[:height, :width] + 0.5
    return (x - CENTER[0]) ** 2 + (y - CENTER[1]) ** 2 < RADIUS**2


def image_of(mask: np.ndarray, *, grain: float = 12.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, grain, (*mask.shape, 3))
    colours = np.where(mask[..., None], (190, 60, 80), (70, 110, 150))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def frame_of(pixels: np.ndarray) -> Frame:
    return Preprocess(INPUT).frame(*pixels.shape[:2])


def coarse_logits(num: int = 1) -> torch.Tensor:
    """What a decoder says that finds the place, and leaves out a side of the object."""
    y, x = torch.meshgrid(torch.arange(GRID) + 0.5, torch.arange(GRID) + 0.5, indexing="ij")
    stride = WIDTH / GRID  # image pixels; the width fills the frame
    distance = ((x * stride - 135).square() + (y * stride - 90).square()).sqrt()
    return ((45 - distance) / 20)[None].repeat(num, 1, 1)


def refined(
    logits: torch.Tensor, pixels: np.ndarray, small: Boxes | None = SMALL, big: Boxes = BIG
) -> torch.Tensor:
    """By both boxes, or by the big one where there is no small one."""
    refine = "big_box" if small is None else "both_boxes"
    core = big if small is None else small
    return refine_masks(logits[:, None], pixels, frame_of(pixels), big, core, refine=refine)


def test_colours_mend_what_the_decoder_draws_coarsely():
    truth = torch.from_numpy(disc())[None]
    pixels = image_of(disc())
    frame = frame_of(pixels)
    logits = coarse_logits()
    own = iou(logits_to_image(logits[:, None], frame) > 0, truth)
    by_big, by_both = (iou(refined(logits, pixels, small), truth) for small in (None, SMALL))
    assert own < 0.7 < 0.95 < min(by_big, by_both)


def test_windows_show_the_images_own_pixels_however_coarse_the_input_frame_is():
    pixels = image_of(disc())
    frame = frame_of(pixels)
    windows = ObjectWindows(pixels, frame, BIG, SMALL)
    colours = windows.colours().terms[0, :, 1:4].unflatten(0, (96, 96))
    left, top = BIG[0, 0] - 0.3 * 140, BIG[0, 1] - 0.3 * 145
    step_x, step_y = 1.6 * 140 / 192, 1.6 * 145 / 192
    mean, std = np.array(PIXEL_MEAN), np.array(PIXEL_STD)
    for row, column in ((0, 0), (20, 40), (48, 48), (95, 95), (60, 3)):
        looked = []
        for i in (0, 1):
            for j in (0, 1):
                y = min(max(int(top + (2 * row + i + 0.5) * step_y), 0), HEIGHT - 1)
                x = min(max(int(left + (2 * column + j + 0.5) * step_x), 0), WIDTH - 1)
                looked.append((pixels[y, x] - mean) / std)
        np.testing.assert_allclose(colours[row, column], np.mean(looked, axis=0), atol=1e-4)


def test_three_voters_log_odds_count_alike_before_the_colours_move_them():
    pixels = image_of(disc(), grain=0)
    pixels[:] = 128  # of one colour, so that colours move nothing; GrabCut still answers
    frame = frame_of(pixels)
    windows = ObjectWindows(pixels, frame, BIG, SMALL)
    found = object_probability(coarse_logits(), windows)[0]
    readings = colour_masks(pixels, BIG[0].numpy(), SMALL[0].numpy()).mean(axis=0)
    boxes = frame.boxes_to_image(windows.boxes)[0]
    between = (BIG + SMALL)[0] / 2
    for row, column in ((30, 40), (40, 62), (52, 30), (70, 50)):
        x = float(boxes[0] + (boxes[2] - boxes[0]) * (column + 0.5) / 96)
        y = float(boxes[1] + (boxes[3] - boxes[1]) * (row + 0.5) / 96)
        across = (2 * x - between[0] - between[2]) / (between[2] - between[0])
        down = (2 * y - between[1] - between[3]) / (between[3] - between[1])
        place = 4 * (1 - across**2 - down**2)
        sam = (45 - np.hypot(x - 135, y - 90)) / 20
        least = logit(0.02)
        seeded = least - 2 * least * readings[int(y), int(x)]  # both readings say the same here
        told = sum(np.clip([sam, place, seeded], least, -least)) / 3
        assert found[row, column] == pytest.approx(expit(told), abs=0.08)


def test_a_mask_is_drawn_where_the_windows_pixels_are_rather_object_than_not():
    pixels = image_of(disc())
    frame = frame_of(pixels)
    windows = ObjectWindows(pixels, frame, BIG, None)
    belief = torch.zeros(1, 96, 96)
    belief[0, :, 48:] = 1.0  # the right half of the window, whose middle is the box's
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    windows.draw(belief, mask)
    expected = torch.zeros_like(mask)
    expected[0, 20:165, 150:220] = True
    assert torch.equal(mask, expected)


def test_nothing_lies_outside_the_big_box_and_all_of_the_small_one_is_object():
    mask = disc()
    mask[70:110, 130:170] = False  # the small box has the colours of what lies around
    pixels = image_of(mask)
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[20:165, 80:220] = True
    for small in (None, SMALL):
        found = refined(torch.full((1, GRID, GRID), 9.0), pixels, small)[0]
        assert found.any() and not found[~inside].any()
    core = torch.zeros_like(inside)
    core[70:110, 130:170] = True
    assert refined(torch.full((1, GRID, GRID), -9.0), pixels)[0][core].all()
    tiny = torch.tensor([[150.0, 90.0, 152.0, 91.0]])  # no window's pixel lies in it
    assert refined(torch.full((1, GRID, GRID), -9.0), pixels, tiny)[0][90:91, 150:152].all()


def test_a_mask_reaches_its_big_box_and_the_images_border():
    pixels = np.full((HEIGHT, WIDTH, 3), 99, dtype=np.uint8)
    whole = torch.tensor([[0.0, 0.0, WIDTH, HEIGHT]])
    assert refined(torch.full((1, GRID, GRID), 0.4), pixels, None, whole).all()
    assert refined(torch.full((1, GRID, GRID), 0.4), pixels, None)[0, 20:165, 80:220].all()


def test_what_lies_beyond_the_images_border_has_no_colours():
    for height, width in ((120, 300), (300, 120)):
        pixels = image_of(disc(height, width))
        box = torch.tensor([[width - 80.0, height - 90.0, width, height]])
        windows = ObjectWindows(pixels, frame_of(pixels), box, None)
        across = width - 80 + 80 * ((torch.arange(96) + 0.5) / 96 * 1.6 - 0.3)
        down = height - 90 + 90 * ((torch.arange(96) + 0.5) / 96 * 1.6 - 0.3)
        expected = (down < height)[:, None] & (across < width) & (down > 0)[:, None] & (across > 0)
        assert torch.equal(windows.colours().on_image[0].reshape(96, 96), expected)


def test_seeded_colours_are_the_mean_of_both_readings():
    pixels = image_of(disc(), grain=120.0)
    windows = ObjectWindows(pixels, frame_of(pixels), BIG, SMALL)
    readings = colour_masks(pixels, BIG[0].numpy(), SMALL[0].numpy())
    assert (readings[0] != readings[1]).any()
    found = windows.seeded_colours(SMALL)[0]
    looked = readings.mean(axis=0)[np.ix_(windows.rows[0], windows.columns[0])]
    for row in range(96):
        for column in range(96):
            four = looked[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert found[row, column] == pytest.approx(four.mean())


def test_colours_move_what_sam_says_by_half_of_what_they_tell():
    pixels = image_of(disc())
    windows = ObjectWindows(pixels, frame_of(pixels), BIG, None)
    seen = windows.enlarge(coarse_logits()).clamp(-6, 6).sigmoid()
    moved = move_odds(seen.flatten(1), windows.colours(), weight=0.5)
    assert torch.equal(object_probability(coarse_logits(), windows).flatten(1), moved)


def test_a_sure_sam_keeps_its_mask_against_place_and_colours():
    pixels = np.full((HEIGHT, WIDTH, 3), 99, dtype=np.uint8)
    cross = torch.zeros(1, 64, 64)
    cross[0, 5:35, 29:35] = cross[0, 17:22, 18:46] = 1.0
    own = logits_to_image(2 * cross[:, None] - 1, frame_of(pixels)) > 0
    kept = {
        said: float(iou(own, refined(said * (2 * cross - 1), pixels, SMALL))) for said in (1, 12)
    }
    assert kept[12] > 0.7 > 0.5 > kept[1]


def test_where_colours_tell_nothing_the_mask_is_sams_own_within_the_big_box():
    pixels = np.full((HEIGHT, WIDTH, 3), 99, dtype=np.uint8)
    frame = frame_of(pixels)
    own = logits_to_image(coarse_logits()[:, None], frame) > 0
    found = refined(coarse_logits(), pixels, None)
    assert iou(own, found) > 0.97


def test_many_objects_are_each_refined_as_if_alone():
    pixels = image_of(disc())
    big = torch.cat([BIG, BIG + 3.0]).repeat(40, 1)  # more than are refined at once
    small = torch.cat([SMALL, SMALL + 3.0]).repeat(40, 1)
    together = refined(coarse_logits(80), pixels, small, big)
    for place in (0, 1, 63, 64, 79):
        one = slice(place, place + 1)
        alone = refined(coarse_logits(), pixels, small[one], big[one])
        assert iou(together[one], alone) > 0.99


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    "box",
    [
        [0, 0, WIDTH, HEIGHT],  # all of the image
        [-30, -20, 60, 50],  # partly outside
        [10.2, 10.3, 10.4, 10.6],  # less than a pixel
        [0, 199.5, 300, 200],  # a line at the border
        [280, 150, 320, 220],
    ],
)
def test_every_box_that_has_a_part_of_the_image_gets_a_mask_of_its_size(box, both):
    pixels = image_of(disc())
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(INPUT))
    refinement = "both_boxes" if both else "big_box"
    middle = np.array(box) * 0.8 + (np.array(box)[[2, 3, 0, 1]]) * 0.2
    assert predictor.predict(pixels, [box], middle[None], refine=refinement).masks.shape == (1, HEIGHT, WIDTH)  # fmt: skip


def test_the_big_box_alone_does_not_look_at_the_small_one():
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(INPUT))
    for refinement in ("big_box", "both_boxes"):
        here, there = (
            predictor.predict(image_of(disc()), BIG, small, refine=refinement).masks
            for small in (SMALL, SMALL + 5.0)
        )
        assert torch.equal(here, there) == (refinement == "big_box")


def test_images_as_other_libraries_hand_them_over_are_refined():
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(INPUT))
    pixels = image_of(disc())
    expected = predictor.predict(pixels, BIG, SMALL, refine="both_boxes").masks
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])  # OpenCV's
    turned = bgr[:, :, ::-1]
    for image in (turned, Image.fromarray(pixels)):
        assert torch.equal(
            predictor.predict(image, BIG, SMALL, refine="both_boxes").masks, expected
        )


def test_a_squashed_image_is_refined_in_its_own_shape():
    truth = torch.from_numpy(disc())[None]
    sam = tiny_sam()
    predictor = Predictor(sam, preprocess=Preprocess(INPUT, "squash"))
    found = predictor.predict(image_of(disc()), BIG, SMALL, refine="both_boxes").masks
    assert iou(found, truth) > 0.9  # both boxes and colours know, whatever this SAM says


def test_an_image_without_boxes_has_no_refined_masks():
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(INPUT))
    for refinement in ("big_box", "both_boxes"):
        found = predictor.predict(image_of(disc()), [], [], refine=refinement)
        assert found.masks.shape == (0, HEIGHT, WIDTH)


def test_what_sam_says_of_its_own_mask_is_not_changed():
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(INPUT))
    own, refined = (
        predictor.predict(image_of(disc()), BIG, SMALL, refine=refinement)
        for refinement in ("none", "both_boxes")
    )
    assert torch.equal(own.iou, refined.iou) and torch.equal(own.entropy, refined.entropy)
    assert not torch.equal(own.masks, refined.masks)


def test_both_boxes_must_be_given_and_have_a_part_in_common():
    predictor = Predictor(tiny_sam(), preprocess=Preprocess(INPUT))
    pixels = image_of(disc())
    with pytest.raises(InputError, match="'both_boxes' needs small_boxes; give them, or use 'big"):
        predictor.predict(pixels, BIG, refine="both_boxes")
    apart = [[0, 0, 10, 10]]
    with pytest.raises(InputError, match=r"small_boxes: row 0 \[0.0, 0.0, 10.0, 10.0\] lies"):
        predictor.predict(pixels, BIG, apart, refine="both_boxes")
