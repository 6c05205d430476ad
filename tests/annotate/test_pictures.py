"""Pixels and masks as the page gets them."""

import base64
import io
import os
import threading

import numpy as np
import pytest
from PIL import Image
from test_saving import opened

from ringsam.data import read_image
from ringsam.pages.pictures import find_pictures
from ringsam.pages.preview import Preview


def image_of(answer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_an_image_of_16_bits_is_sent_as_it_is_displayed(folder, connect):
    deep = np.add.outer(np.arange(30), np.arange(30)).astype(np.uint16) * 1000
    Image.fromarray(deep).save(folder / "images" / "deep.tif")
    client = connect()
    path, _ = opened(client, "deep.tif")
    shown = image_of(client.get(f"{path}/pixels"))
    expected = read_image(folder / "images" / "deep.tif")
    assert np.abs(shown.astype(int) - expected).max() <= 4


def test_a_large_image_is_sent_small_and_its_parts_sharp(folder, connect):
    pixels = np.zeros((100, 5000, 3), dtype=np.uint8)
    pixels[:, 4000:4100, 0] = 255
    Image.fromarray(pixels).save(folder / "images" / "wide.png")
    client = connect()
    path, image = opened(client, "wide.png")
    assert (image["width"], image["height"]) == (5000, 100)
    assert image_of(client.get(f"{path}/pixels")).shape == (41, 2048, 3)
    part = {"left": 3990, "top": 10, "right": 4110, "bottom": 60}
    red = image_of(client.get(f"{path}/pixels", params=part))[..., 0]
    assert red.shape == (50, 120)
    assert red[:, :10].max() < 40 and red[:, 10:110].min() > 215


@pytest.mark.parametrize("part", [{"left": 90}, {"left": 10, "right": 10}])
def test_a_part_beyond_the_image_is_refused(client, part):
    path, _ = opened(client)
    assert client.get(f"{path}/pixels", params=part).status_code == 422


def test_the_preview_is_the_predictors_mask(client, folder, predictor):
    path, _ = opened(client)
    box = [10, 5, 70, 50]
    answer = client.post(f"{path}/mask", json={"big_box": box}).json()
    expected = predictor.predict(read_image(folder / "images" / "a.png"), [box]).masks[0].numpy()
    shown = Image.open(io.BytesIO(base64.b64decode(answer["image"].partition(",")[2])))
    x1, y1, x2, y2 = (round(side) for side in answer["box"])
    found = np.zeros((60, 90), dtype=bool)
    found[y1:y2, x1:x2] = np.asarray(shown) > 0
    assert expected.any() and np.array_equal(found, expected)


def test_an_image_is_encoded_once(client, predictor, monkeypatch):
    calls = []
    encode = predictor.sam.encode
    monkeypatch.setattr(predictor.sam, "encode", lambda images: calls.append(1) or encode(images))
    path, _ = opened(client)
    for shift in range(3):
        body = {"big_box": [10 + shift, 5, 70, 50]}
        assert client.post(f"{path}/mask", json=body).status_code == 200
    assert len(calls) == 1


def test_a_box_off_the_image_is_told(client):
    path, _ = opened(client)
    answer = client.post(f"{path}/mask", json={"big_box": [95, 5, 99, 50]})
    assert answer.status_code == 422 and "wholly outside" in answer.json()["detail"]


def test_of_images_passed_by_while_one_is_encoded_only_the_newest_is_encoded(
    folder, predictor, monkeypatch
):
    for name in "cdef":
        Image.new("RGB", (9, 9)).save(folder / "images" / f"{name}.png")
    pictures = find_pictures(folder / "images", named_from=folder / "images")
    preview, encoded = Preview(predictor, pictures), []
    begun, go_on = threading.Event(), threading.Event()

    def encode(picture):
        encoded.append(picture.name)
        begun.set()
        assert go_on.wait(20)

    monkeypatch.setattr(preview, "_encoded", encode)
    first, *later = [
        threading.Thread(target=preview.prepare, args=[each]) for each in pictures.by_key.values()
    ]
    first.start()
    assert begun.wait(20)
    for each in later:
        each.start()
    for each in later[1:]:
        each.join(timeout=20)
        assert not each.is_alive()  # one waits, the others hold no thread
    go_on.set()
    for each in (first, later[0]):
        each.join(timeout=20)
    assert encoded == ["a.png", "f.png"]


def test_a_name_that_is_not_utf8_is_left_out_and_told(folder, connect):
    (folder / "images" / "b.png").rename(folder / "images" / os.fsdecode(b"caf\xe9.png"))
    pictures = find_pictures(folder / "images", named_from=folder / "images")
    assert pictures.left_out == [
        r"'caf\udce9.png': its name is not UTF-8; rename the file or its folder"
    ]
    assert [each["name"] for each in connect().get("/api/project").json()["images"]] == ["a.png"]
