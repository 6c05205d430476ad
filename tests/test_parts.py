"""Many objects on one image: their masks are drawn, written and judged some at a time."""

import weakref

import pytest
import torch
from disc_data import write_disc_data
from tiny import tiny_sam

from ringsam import predict
from ringsam.bulk import ask_for_masks
from ringsam.bulk.formats import Classes
from ringsam.data.dataset import read_two_boxes
from ringsam.data.images import read_image
from ringsam.evaluation.evaluate import score_image
from ringsam.predict import Predictor, joined
from ringsam.sam.preprocess import Preprocess

NUM_OBJECTS = 12


@pytest.fixture(scope="module")
def predictor():
    sam = tiny_sam()
    return Predictor(sam, preprocess=Preprocess(sam.input_size))


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    return read_two_boxes(write_disc_data(tmp_path_factory.mktemp("discs")) / "annotations.json")


@pytest.fixture
def record(boxes):
    first = boxes.images[0]
    return first.choose([place % first.num_objects for place in range(NUM_OBJECTS)])


@pytest.fixture
def in_parts(monkeypatch):
    """Has every object be a part of its own; holds how many parts' masks were alive as each came."""
    alive, made = [], []

    def watched(*args, ask=Predictor.predict_in_parts, **kwargs):
        for part in ask(*args, **kwargs):
            assert len(part.masks) == 1
            made.append(weakref.ref(part.masks))
            alive.append(sum(masks() is not None for masks in made))
            yield part
            del part

    monkeypatch.setattr(predict, "_DRAWING_BYTES", 1)
    monkeypatch.setattr(Predictor, "predict_in_parts", watched)
    return alive


@pytest.mark.parametrize("refine", ["none", "big_box", "both_boxes"])
def test_the_parts_are_the_whole(predictor, record, monkeypatch, refine):
    asked = (read_image(record.path), record.big_boxes, record.small_boxes)
    settings = {"prompts": "box+core", "refine": refine, "object_ids": record.object_ids}
    whole = predictor.predict(*asked, **settings)
    monkeypatch.setattr(predict, "_DRAWING_BYTES", 5 * 4 * record.height * record.width)
    parts = list(predictor.predict_in_parts(*asked, **settings))
    assert [len(part.iou) for part in parts] == [5, 5, 2]
    for found, expected in zip(joined(parts), whole, strict=True):
        assert torch.equal(found, expected)


def test_a_prediction_holds_few_of_an_images_masks(predictor, record, boxes, in_parts):
    settings = {"prompts": "box", "refine": "none"}
    (found,) = ask_for_masks([record], predictor, Classes.of(boxes), **settings)
    assert len(found.rows) == len(in_parts) == NUM_OBJECTS
    assert max(in_parts) <= 2


def test_an_evaluation_holds_few_of_an_images_masks(predictor, record, in_parts):
    models = {"zero_shot": predictor, "adapted": predictor}
    rows = list(score_image(record, models, prompts="box", categories={}))
    assert [row.object_id for row in rows] == record.object_ids.tolist()
    assert all(row.zero_shot == row.adapted for row in rows)
    assert len(in_parts) == 2 * NUM_OBJECTS
    assert max(in_parts) <= 6  # of two models
