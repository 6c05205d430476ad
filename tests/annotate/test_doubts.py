"""Of the images that nobody has seen, the one that SAM is least sure of comes first; nobody waits for it."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from test_saving import DRAWN, keys_of, save

from ringsam.annotate import doubts as doubts_file
from ringsam.annotate.doubts import Doubts, doubt, grid_points
from ringsam.annotate.server import open_project, unseen
from ringsam.geometry import Frame
from ringsam.pages.kept import KeptAnswers
from ringsam.pages.preview import Preview


@pytest.fixture
def many(folder):
    """A folder with four images."""
    for seed, name in enumerate(("c.png", "d.png")):
        pixels = np.random.default_rng(10 + seed).integers(0, 255, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
    return folder


def doubts_of(folder, predictor) -> tuple[Doubts, list]:
    pictures, boxes = open_project(folder / "images", folder / "two_boxes.json")
    kept = KeptAnswers(folder / "two_boxes.json", kind="doubts")
    return Doubts(Preview(predictor, pictures), kept), unseen(boxes, pictures)


def square(left: int, right: int, *, logit: float = 9.0) -> torch.Tensor:
    logits = torch.full((20, 20), -9.0)
    logits[5:15, left:right] = logit
    return logits


def test_sharp_masks_that_agree_leave_no_doubt_and_each_disagreement_raises_it():
    cells = torch.tensor([[6, 10], [9, 10]])
    same = torch.stack([square(5, 15), square(5, 15)])
    assert doubt(same, cells) == 0
    other = torch.stack([square(5, 15), square(5, 10)])  # each holds the other's point
    assert doubt(other, cells) == pytest.approx(0.5)
    blurred = same.clone()
    blurred[:, 5:15, 10:15] = 0.5
    assert doubt(blurred, cells) == pytest.approx(0.5)
    assert doubt(torch.full((2, 20, 20), -9.0), cells) == 1


def test_masks_of_two_objects_do_not_count_as_a_disagreement():
    apart = torch.stack([square(2, 8), square(10, 16)])
    assert doubt(apart, torch.tensor([[5, 10], [12, 10]])) == 0


def test_the_points_lie_on_the_image_and_not_on_its_padding():
    points = grid_points(Frame(60, 90, 43, 64, 64))
    assert len(points) == 16 and points[:, 0].max() < 64 and points[:, 1].max() < 43
    assert points.min() > 0 and points[:4, 0].tolist() == [8.0, 24.0, 40.0, 56.0]


def test_while_nothing_is_judged_the_next_unseen_image_in_order_is_offered(many, connect):
    client = connect()
    keys = keys_of(client)

    def offered(after: str) -> str | None:
        return client.get("/api/least_sure", params={"after": keys[after]}).json()["key"]

    assert offered("a.png") == keys["b.png"]
    save(client, [DRAWN], "b.png")
    assert offered("a.png") == keys["c.png"]
    assert offered("d.png") == keys["a.png"]
    for name in ("c.png", "d.png"):
        save(client, [], name)
    assert offered("b.png") == keys["a.png"]
    assert offered("a.png") is None


def test_of_what_is_judged_the_most_doubtful_is_offered(many, predictor):
    doubts, pictures = doubts_of(many, predictor)
    doubts.judge(pictures)
    assert doubts.by_key.keys() == {picture.key for picture in pictures}
    assert all(0 <= each <= 1 for each in doubts.by_key.values())
    made = dict(zip("abcd", (0.2, 0.9, 0.5, 0.7), strict=True))
    doubts.by_key = {picture.key: made[picture.name[0]] for picture in pictures}
    offered = []
    while pictures:
        offered.append(doubts.least_sure(pictures).name[0])
        pictures = [picture for picture in pictures if picture.name[0] not in offered]
    assert offered == ["b", "d", "c", "a"]
    assert doubts.least_sure([]) is None


def test_a_doubt_is_kept_by_content_for_the_next_start(many, predictor, monkeypatch):
    doubts, pictures = doubts_of(many, predictor)
    doubts.judge(pictures)
    expected = {picture.name: doubts.by_key[picture.key] for picture in pictures}
    (many / "images" / "a.png").rename(many / "images" / "z.png")
    Image.new("RGB", (90, 60)).save(many / "images" / "b.png")
    asked = []
    ask = Doubts._ask
    monkeypatch.setattr(
        Doubts, "_ask", lambda self, picture: asked.append(picture.name) or ask(self, picture)
    )
    again, pictures = doubts_of(many, predictor)
    again.judge(pictures)
    assert asked == ["b.png"]
    found = {picture.name: again.by_key[picture.key] for picture in pictures}
    assert found["z.png"] == expected["a.png"] and found["c.png"] == expected["c.png"]


def test_an_image_that_cannot_be_read_is_passed_over(many, predictor):
    (many / "images" / "a.png").write_bytes(b"no image")
    doubts, pictures = doubts_of(many, predictor)
    doubts.judge(pictures)
    judged = {picture.name for picture in pictures if picture.key in doubts.by_key}
    assert judged == {"b.png", "c.png", "d.png"}


def test_a_persons_question_goes_first_and_the_end_stops_the_judging(many, predictor, monkeypatch):
    """The judging is held in its first breath: until it goes on, a mask can be had, and then it ends at once."""
    doubts, pictures = doubts_of(many, predictor)
    breathing, go_on = threading.Event(), threading.Event()

    def breathe(_):
        breathing.set()
        assert go_on.wait(20)

    monkeypatch.setattr(doubts_file.time, "sleep", breathe)
    with doubts.judging(pictures):
        assert breathing.wait(20)
        assert doubts.preview.mask(pictures[1], [10, 5, 70, 50]) is not None
        doubts._stopped.set()
        go_on.set()
    assert doubts.by_key == {}
    assert not any(thread.name == "doubts" for thread in threading.enumerate())
