"""The page on taking masks and weights away: what its snippets give are the masks of the run."""

import numpy as np
import pytest
from documents.pages import ROOT, Fence, fences
from PIL import Image

from ringsam.predict import load

PAGE = fences(ROOT / "docs/take-away.md")
LEAST_IOU = {"transformers": 0.97, "onnxruntime": 0.97, "segment_anything": 0.97, "peft": 0.9}


def fences_below(heading: str) -> list[Fence]:
    return [fence for fence in PAGE if fence.heading == heading]


def assert_masks_of_the_run(masks, boxes, *, least_iou: float) -> None:
    image, found = np.array(Image.open("image.png")), np.asarray(masks)
    expected = load("runs/first").predict(image, boxes[: len(found)]).masks.numpy()
    assert found.shape == expected.shape
    assert (found & expected).sum() / (found | expected).sum() >= least_iou


def test_the_masks_are_written_and_read_as_the_page_says(walk, capsys):
    command, snippet = fences_below("Masks")
    walk.type(command)
    assert "18 masks on 6 images" in capsys.readouterr().out
    walk.type(snippet)
    assert capsys.readouterr().out.count("disc") == 3


@pytest.mark.slow
def test_the_exports_are_loaded_as_the_page_says(walk):
    boxes = walk.names["big_boxes"]
    (command,) = fences_below("Weights")
    walk.type(command)
    for heading, least_iou in LEAST_IOU.items():
        (snippet,) = fences_below(heading)
        walk.type(snippet)
        assert_masks_of_the_run(walk.names.pop("masks"), boxes, least_iou=least_iou)
    assert walk.num_run == 4 + len(LEAST_IOU)


def test_no_block_of_the_page_is_left_out():
    assert {fence.heading for fence in PAGE} == {"Masks", "Weights", *LEAST_IOU}
