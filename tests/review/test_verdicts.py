"""What a person lets pass is in the file, with its mask and its boxes, and nothing else is."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch

from ringsam.cli import main
from ringsam.data import read_two_boxes
from ringsam.data.images import read_image
from ringsam.data.masks import decode_mask
from ringsam.errors import InputError
from ringsam.method.self_training import BoxRegions
from ringsam.pages.preview import preview_of
from ringsam.predict import load
from ringsam.review import proposals
from ringsam.review.proposals import doubt
from ringsam.review.server import open_review
from ringsam.runs import RunFolder


def objects_of(client) -> list[dict]:
    return client.get("/api/project").json()["objects"]


def judge(client, object_id, verdict, **changes):
    known = client.get(f"/api/objects/{object_id}").json()
    body = {"revision": known["revision"], "verdict": verdict, **known["boxes"], **changes}
    return client.put(f"/api/objects/{object_id}", json=body)


def content_of(data) -> dict:
    return json.loads((data / "accepted.json").read_text())


def rows_of(data) -> dict[int, str]:
    content = content_of(data)
    return {row["id"]: row["verdict"] for row in (*content["annotations"], *content["rejected"])}


def test_the_most_doubtful_object_comes_first(client):
    doubts = [each["doubt"] for each in objects_of(client)]
    assert len(doubts) == 6 and doubts == sorted(doubts, reverse=True)
    assert all(0 <= each <= 1 for each in doubts)


def test_an_accepted_mask_is_the_adapted_one_and_can_be_evaluated_with(client, run, data):
    assert judge(client, 20, "accepted").json()["verdict"] == "accepted"
    (row,) = content_of(data)["annotations"]
    record = next(r for r in read_two_boxes(data / "accepted.json").images if r.image_id == 2)
    assert record.object_ids.tolist() == [20] and record.has_masks
    expected = load(run.path).predict(read_image(record.path), record.big_boxes).masks[0].numpy()
    mask = decode_mask(row["segmentation"], (72, 96))
    np.testing.assert_array_equal(mask, expected)
    assert row["area"] == expected.sum() and row["iscrowd"] == 0
    original = read_two_boxes(data / "annotations.json").images[1]
    np.testing.assert_array_equal(record.big_boxes[0], original.big_boxes[0])
    np.testing.assert_array_equal(record.small_boxes[0], original.small_boxes[0])


def test_changed_boxes_are_written_with_the_mask_they_give(client, run, data):
    boxes = {"big_box": [8, 12, 50, 60], "small_box": [20, 25, 30, 35]}
    assert judge(client, 20, "accepted", **boxes).json()["verdict"] == "redrawn"
    (row,) = content_of(data)["annotations"]
    assert {name: row[name] for name in boxes} == boxes
    image = read_image(data / "images" / "image_2.png")
    expected = load(run.path).predict(image, [boxes["big_box"]]).masks[0].numpy()
    np.testing.assert_array_equal(decode_mask(row["segmentation"], (72, 96)), expected)


def as_sent(mask) -> dict:
    return json.loads(json.dumps(asdict(preview_of(mask, *mask.shape))))


@pytest.mark.parametrize("refine", ["big_box", "both_boxes"])
def test_masks_are_refined_alike_when_proposed_redrawn_and_shown(connect, run, data, refine):
    client = connect(refine=refine)
    record = read_two_boxes(data / "annotations.json").images[1]
    image = read_image(record.path)
    assert record.object_ids[0] == 20

    def expected(weights, big, small):
        found = load(weights).predict(image, [big], [small], refine=refine)
        return found.masks[0].numpy()

    known = client.get("/api/objects/20").json()
    proposed = record.big_boxes[0].tolist(), record.small_boxes[0].tolist()
    for name, weights in (("zero_shot", run.original), ("adapted", run.path)):
        mask = expected(weights, *proposed)
        assert known[name] == as_sent(mask)
    judge(client, 20, "accepted")
    boxes = {"big_box": [8, 12, 50, 60], "small_box": [20, 25, 30, 35]}
    shown = client.post(f"/api/images/{known['image']}/mask", json=boxes).json()
    mask = expected(run.path, *boxes.values())
    assert shown == as_sent(mask)
    (row,) = content_of(data)["annotations"]
    accepted = decode_mask(row["segmentation"], (72, 96))
    np.testing.assert_array_equal(accepted, expected(run.path, *proposed))
    judge(client, 20, "accepted", **boxes)
    (row,) = content_of(data)["annotations"]
    np.testing.assert_array_equal(decode_mask(row["segmentation"], (72, 96)), mask)


def test_a_small_box_beside_its_big_one_is_told_before_anything_is_shown(connect):
    client = connect(refine="both_boxes")
    image = client.get("/api/objects/20").json()["image"]
    boxes = {"big_box": [8, 12, 50, 60], "small_box": [60, 2, 70, 9]}
    answer = client.post(f"/api/images/{image}/mask", json=boxes)
    assert answer.status_code == 422 and "wholly outside its big box" in answer.json()["detail"]
    boxes["small_box"] = [10**400, 2, 70, 9]
    assert client.post(f"/api/images/{image}/mask", json=boxes).status_code == 422


def test_before_the_small_box_is_drawn_the_big_one_refines(connect, run, data):
    image = read_image(data / "images" / "image_2.png")
    client = connect(refine="both_boxes")
    key = client.get("/api/objects/20").json()["image"]
    body = {"big_box": [8, 12, 50, 60], "small_box": None}
    shown = client.post(f"/api/images/{key}/mask", json=body).json()
    mask = load(run.path).predict(image, [body["big_box"]], refine="big_box").masks[0].numpy()
    assert shown == as_sent(mask)


@pytest.mark.parametrize("command", ["annotate", "review"])
def test_the_pages_commands_hand_the_refinement_on(command, monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(
        f"ringsam.{command}.server.serve", lambda *_, **options: asked.update(options) or "served"
    )
    folder = str(tmp_path)
    places = {"annotate": [folder], "review": [folder, folder, "--boxes", folder]}[command]
    assert main([command, *places, "--out", f"{folder}/a.json", "--refine", "big_box"]) == 0
    assert asked["refine"] == "big_box"


def test_a_review_refined_otherwise_asks_anew(connect, data):
    masks = [
        connect(refine=refine).get("/api/objects/20").json()["adapted"]
        for refine in ("none", "both_boxes", "none")
    ]
    assert masks[0] == masks[2] != masks[1]


def test_a_verdict_can_be_changed_and_taken_back(client, data):
    for verdict in ("accepted", "rejected", "accepted"):
        judge(client, 10, verdict)
        assert rows_of(data) == {10: verdict}
    assert judge(client, 10, None).json()["verdict"] is None
    assert rows_of(data) == {}


def test_a_new_server_goes_on_where_the_last_one_was(connect, data):
    first = connect()
    judge(first, 10, "accepted")
    judge(first, 21, "rejected")
    verdicts = {each["id"]: each["verdict"] for each in objects_of(connect())}
    assert {i: verdict for i, verdict in verdicts.items() if verdict} == rows_of(data)


def label_one_more(data) -> None:
    """A fourth image with an object of a new class, in the labels of the review."""
    labels = data / "annotations.json"
    content = json.loads(labels.read_text())
    shutil.copy(data / "images" / "image_3.png", data / "images" / "image_4.png")
    content["images"].append(content["images"][2] | {"id": 4, "file_name": "image_4.png"})
    content["categories"].append({"id": 2, "name": "ring"})
    row = content["annotations"][4]
    content["annotations"].append(row | {"id": 40, "image_id": 4, "category_id": 2})
    labels.write_text(json.dumps(content))


def test_a_review_goes_on_with_what_was_labelled_since(connect, data):
    judge(connect(), 10, "accepted")
    label_one_more(data)
    assert judge(connect(), 40, "accepted").status_code == 200
    read = read_two_boxes(data / "accepted.json")
    assert read.num_objects == 2 and read.categories == {1: "<b>disc</b>", 2: "ring"}
    assert len(read.images) == 4


@pytest.mark.parametrize(("name", "key"), [("images", "file_name"), ("categories", "name")])
def test_a_file_of_other_labels_is_refused(connect, data, name, key):
    judge(connect(), 10, "accepted")
    content = content_of(data)
    content[name][0][key] = "other"
    (data / "accepted.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"{name}: the id 1 is other here, <.* in the labels"):
        connect()


def test_a_row_without_an_id_is_refused_by_its_place(connect, data):
    judge(connect(), 10, "accepted")
    content = content_of(data)
    del content["annotations"][0]["id"]
    (data / "accepted.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"annotations\[0\]: id is missing"):
        connect()


def test_objects_drawn_into_the_file_stay_whatever_their_ids(connect, run, data):
    judge(connect(), 10, "accepted")
    judge(connect(), 11, "rejected")
    content = content_of(data)
    drawn = {"image_id": 1, "category_id": 1, "big_box": [1, 1, 9, 9], "small_box": [3, 3, 6, 6]}
    content["annotations"].append({"id": 11, **drawn})  # as `annotate` numbers them
    (data / "accepted.json").write_text(json.dumps(content))
    client = connect()
    review = open_review(run, data / "images", data / "annotations.json", data / "accepted.json")
    assert review.summary() == "1 accepted, 0 redrawn, 1 rejected of 6 objects; 1 drawn by hand"
    assert client.get("/api/objects/11").json()["verdict"] == "rejected"
    assert judge(client, 11, None).json()["verdict"] is None
    assert content_of(data)["annotations"][1] == {"id": 11, **drawn}
    judge(client, 11, "accepted")
    assert {"id": 32, **drawn} in content_of(data)["annotations"]
    assert read_two_boxes(data / "accepted.json").num_objects == 3


def test_an_old_revision_is_refused_and_changes_nothing(connect, data):
    one, other = connect(), connect()
    known = one.get("/api/objects/10").json()
    judge(other, 10, "rejected")
    body = {"revision": known["revision"], "verdict": "accepted", **known["boxes"]}
    answer = one.put("/api/objects/10", json=body)
    assert answer.status_code == 409 and "judged elsewhere" in answer.json()["detail"]
    assert rows_of(data) == {10: "rejected"}
    assert judge(one, 11, "accepted").status_code == 200
    assert rows_of(data) == {10: "rejected", 11: "accepted"}


@pytest.mark.parametrize(
    "changes",
    [
        {"small_box": [0, 0, 90, 70]},
        {"big_box": [50, 12, 8, 60]},
        {"big_box": [500, 500, 600, 600], "small_box": [520, 520, 560, 560]},
        {"big_box": [1, 2, 3]},
        {"verdict": "redrawn"},
    ],
)
def test_what_is_no_verdict_is_refused(client, data, changes):
    assert judge(client, 10, **{"verdict": "accepted"} | changes).status_code == 422
    assert not (data / "accepted.json").exists()


@pytest.mark.parametrize("path", ["/api/objects/999", "/api/images/a.png/pixels", "/../server.py"])
def test_what_is_not_of_the_review_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_nothing_is_shown_without_the_token(connect):
    client = connect()
    del client.headers["x-ringsam-token"]
    for path in ("/", "/api/project", "/api/objects/10", "/shared/stage.js"):
        assert client.get(path).status_code == 401


def test_a_file_of_something_else_is_not_written_over(run, data):
    (data / "mine.json").write_text((data / "annotations.json").read_text())
    with pytest.raises(InputError, match="was not written by `ringsam review`"):
        open_review(run, data / "images", data / "annotations.json", data / "mine.json")


def test_a_place_from_which_train_would_not_find_the_images_is_refused(run, data, tmp_path):
    with pytest.raises(InputError, match=rf"give --out {data}/accepted.json"):
        open_review(run, data / "images", data / "annotations.json", tmp_path / "accepted.json")


def test_what_was_asked_once_is_not_asked_again_at_the_next_start(
    connect, run, data, monkeypatch, tmp_path
):
    asked = []
    ask = proposals.ask
    monkeypatch.setattr(
        proposals,
        "ask",
        lambda record, **sams: asked.append(record.image_id) or ask(record, **sams),
    )
    first = connect()
    assert asked == [1, 2, 3]
    second = connect()
    assert asked == [1, 2, 3]
    assert objects_of(second) == objects_of(first)
    path = "/api/objects/20"
    assert second.get(path).json() == first.get(path).json()

    content = json.loads((data / "annotations.json").read_text())
    content["annotations"][2]["big_box"][0] -= 1
    (data / "annotations.json").write_text(json.dumps(content))
    changed = connect()
    assert asked == [1, 2, 3, 2]  # of the second image the boxes are others
    assert changed.get("/api/objects/20").json()["boxes"] != first.get(path).json()["boxes"]

    other = RunFolder(tmp_path / "other")
    shutil.copytree(run.path, other.path)
    shutil.rmtree(other.adapted)
    shutil.copytree(other.original, other.adapted)
    open_review(other, data / "images", data / "annotations.json", data / "accepted.json")
    assert asked == [1, 2, 3, 2, 1, 2, 3]  # another run
    kept = (data / ".accepted.json.proposals").read_text().split("\n")[1:]
    assert len(kept) == 3  # of the run before none


def square(left: int, right: int) -> torch.Tensor:
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[:, 5:15, left:right] = True
    return mask


def test_doubt_rises_with_each_disagreement():
    mask = square(5, 15)
    regions = BoxRegions(square(8, 12), ~square(4, 16))
    assert doubt(mask, mask, mask, regions).item() == 0
    left_zero_shot = doubt(square(0, 4), mask, mask, regions).item()
    assert left_zero_shot == 0.5
    assert doubt(mask, mask, square(0, 4), regions).item() == 1
    misses_the_core = doubt(square(5, 10), square(5, 10), square(5, 10), regions).item()
    assert 0 < misses_the_core < 1
    nothing = square(5, 5)
    assert doubt(nothing, nothing, nothing, regions).item() == 1
