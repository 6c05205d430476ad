"""What is drawn is in the file, and nothing that anybody else put there is lost."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from ringsam.annotate.server import open_project
from ringsam.annotate.store import BoxFile
from ringsam.data import check
from ringsam.errors import InputError
from ringsam.pages import shared_file

DRAWN = {
    "id": None,
    "category_id": 1,
    "big_box": [10, 5, 40, 35],
    "small_box": [20, 15, 30, 25],
}


def keys_of(client) -> dict[str, str]:
    """The images' opaque keys by their names."""
    return {image["name"]: image["key"] for image in client.get("/api/project").json()["images"]}


def opened(client, name="a.png") -> tuple[str, dict]:
    path = f"/api/images/{keys_of(client)[name]}"
    return path, client.get(path).json()


def save(client, objects, name="a.png"):
    path, image = opened(client, name)
    return client.put(path, json={"revision": image["revision"], "objects": objects})


def content_of(folder) -> dict:
    return json.loads((folder / "two_boxes.json").read_text())


def test_nothing_is_written_before_something_is_drawn(client, folder):
    _, image = opened(client)
    assert (image["width"], image["height"], image["objects"]) == (90, 60, [])
    assert not (folder / "two_boxes.json").exists()


def test_what_is_drawn_is_read_by_check_as_it_is(client, folder):
    assert save(client, [DRAWN]).status_code == 200
    row = {"id": 1, "image_id": 1, **{key: DRAWN[key] for key in DRAWN if key != "id"}}
    assert content_of(folder) == {
        "images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 60}],
        "annotations": [row],
        "categories": [{"id": 1, "name": "object"}],
    }
    result = check(folder)
    assert (result.num_images, result.num_objects, result.errors) == (1, 1, ())
    names = {path.name for path in folder.iterdir()}
    assert names == {"images", "two_boxes.json", ".two_boxes.json.lock", ".two_boxes.json.journal"}


def test_an_image_saved_without_objects_counts_as_seen(client, folder):
    assert save(client, []).json()["seen"]
    assert [row["file_name"] for row in content_of(folder)["images"]] == ["a.png"]
    progress = client.get("/api/project").json()["images"]
    assert [image["seen"] for image in progress] == [True, False]


def test_an_old_revision_is_refused_and_changes_nothing(client, folder):
    path, image = opened(client)
    mine = {"revision": image["revision"], "objects": [DRAWN]}
    theirs = {"revision": image["revision"], "objects": []}
    assert client.put(path, json=mine).status_code == 200
    before = content_of(folder)
    answer = client.put(path, json=theirs)
    assert answer.status_code == 409 and "changed elsewhere" in answer.json()["detail"]
    assert content_of(folder) == before


def test_two_servers_of_one_file_do_not_overwrite_each_other(connect, folder):
    one, other = connect(), connect()
    path, image = opened(one)
    assert save(other, [DRAWN]).status_code == 200
    stale = {"revision": image["revision"], "objects": []}
    assert one.put(path, json=stale).status_code == 409
    assert save(one, [DRAWN], "b.png").status_code == 200
    assert [row["image_id"] for row in content_of(folder)["annotations"]] == [1, 2]


def test_two_servers_that_write_at_once_lose_nothing(connect, folder, monkeypatch):
    def write_slowly(path, content, write=shared_file.write_json):
        time.sleep(0.3)
        write(path, content)

    monkeypatch.setattr(shared_file, "write_json", write_slowly)
    servers = connect(), connect(), connect()
    with ThreadPoolExecutor() as pool:
        saves = [
            pool.submit(save, servers[n], [DRAWN], name)
            for n, name in enumerate(("a.png", "b.png"))
        ]
        named = pool.submit(servers[2].post, "/api/classes", json={"name": "nucleus"})
        assert {each.result().status_code for each in [*saves, named]} == {200}
    content = content_of(folder)
    assert [len(content[kind]) for kind in ("images", "annotations", "categories")] == [2, 2, 2]


def test_two_people_on_two_images_do_not_disturb_each_other(client, folder):
    first, second = opened(client, "a.png"), opened(client, "b.png")
    for path, image in (first, second):
        body = {"revision": image["revision"], "objects": [DRAWN]}
        assert client.put(path, json=body).status_code == 200
    assert [row["image_id"] for row in content_of(folder)["annotations"]] == [1, 2]


def test_unknown_fields_and_foreign_rows_stay(folder, connect):
    mine = {"id": 7, "image_id": 5, "category_id": 3, "big_box": [1.5, 2, 30, 40], "note": "keep"}
    other = {"id": 2, "image_id": 9, "bbox": [1, 2, 3, 4]}
    content = {
        "info": {"lab": "X"},
        "images": [{"id": 9, "file_name": "gone.png"}, {"id": 5, "file_name": "b.png", "x": 1}],
        "annotations": [mine, other],
        "categories": [{"id": 3, "name": "cell", "supercategory": "tissue"}],
    }
    (folder / "two_boxes.json").write_text(json.dumps(content))
    client = connect()
    _, image = opened(client, "b.png")
    (known,) = image["objects"]
    assert "no small_box" in known.pop("problems")[0]
    small = {"small_box": [5, 6, 20, 30]}
    assert save(client, [known | small], "b.png").json()["objects"][0]["problems"] == []
    assert content_of(folder) == content | {"annotations": [mine | small, other]}


def test_an_object_that_is_brought_back_has_all_its_fields(folder, connect):
    row = {"id": 4, "image_id": 1, "category_id": 1, "score": 0.5}
    row |= {"big_box": [1, 1, 9, 9], "small_box": [3, 3, 6, 6]}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [row]}
    (folder / "two_boxes.json").write_text(json.dumps(content))
    client = connect()
    _, image = opened(client)
    known = {key: value for key, value in image["objects"][0].items() if key != "problems"}
    assert save(client, []).status_code == 200
    assert content_of(folder)["annotations"] == []
    assert save(client, [DRAWN, known]).status_code == 200
    assert [each["id"] for each in content_of(folder)["annotations"]] == [5, 4]
    assert content_of(folder)["annotations"][1] == row


@pytest.mark.parametrize(
    ("redrawn", "derived"),
    [
        ({}, {"derived": ["big_box", "small_box"]}),
        ({"category_id": 2}, {"derived": ["big_box", "small_box"]}),
        ({"small_box": [4, 4, 6, 6]}, {"derived": ["big_box"]}),
        ({"small_box": [4, 4, 6, 6], "big_box": [1, 1, 8, 8]}, {}),
    ],
)
def test_a_proposed_box_that_is_redrawn_counts_as_drawn(folder, connect, redrawn, derived):
    known = {"id": 1, "category_id": 1, "big_box": [1, 1, 9, 9], "small_box": [3, 3, 6, 6]}
    row = {"image_id": 1, **known}
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [row | {"derived": ["big_box", "small_box"]}],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"}],
    }
    (folder / "two_boxes.json").write_text(json.dumps(content))
    assert save(connect(), [known | redrawn]).status_code == 200
    assert content_of(folder)["annotations"] == [row | redrawn | derived]


def test_an_undone_redraw_of_a_proposed_box_is_proposed_again(folder, connect):
    known = {"id": 1, "category_id": 1, "big_box": [1, 1, 9, 9], "small_box": [3, 3, 6, 6]}
    row = {"image_id": 1, **known, "derived": ["small_box"]}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [row]}
    (folder / "two_boxes.json").write_text(json.dumps(content))
    client = connect()
    assert save(client, [known | {"small_box": [4, 4, 6, 6]}]).status_code == 200
    assert "derived" not in content_of(folder)["annotations"][0]
    assert save(client, [known]).status_code == 200
    assert content_of(folder)["annotations"] == [row]


def test_bad_boxes_are_saved_and_marked(client, folder):
    bad = DRAWN | {"small_box": [20, 15, 60, 25]}
    (saved,) = save(client, [bad]).json()["objects"]
    assert "leaves big_box" in saved["problems"][0]
    assert client.get("/api/project").json()["images"][0]["num_problems"] == 1
    assert len(check(folder).errors) == 2  # the row, and that nothing else is there


def test_a_class_is_added_once(client, folder):
    for _ in range(2):
        classes = client.post("/api/classes", json={"name": " nucleus "}).json()
        assert classes == [{"id": 1, "name": "object"}, {"id": 2, "name": "nucleus"}]
    assert content_of(folder)["categories"] == classes


@pytest.mark.parametrize(
    "objects",
    [
        [DRAWN | {"big_box": [1, 2, 3]}],
        [DRAWN | {"big_box": ["1", 2, 3, 4]}],
        [DRAWN | {"id": True}],
        [DRAWN | {"category_id": 2**63}],
        [DRAWN | {"file_name": "/etc/passwd"}],
    ],
)
def test_what_is_no_object_is_refused(client, folder, objects):
    assert save(client, objects).status_code == 422
    assert not (folder / "two_boxes.json").exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(client, folder, number):
    path, image = opened(client)
    body = json.dumps({"revision": image["revision"], "objects": [DRAWN]}).replace("40", number)
    headers = {"content-type": "application/json"}
    assert client.put(path, content=body, headers=headers).status_code == 422
    assert not (folder / "two_boxes.json").exists()


def test_a_file_that_cannot_be_written_is_told_and_loses_nothing(client, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    save(client, [DRAWN])
    before = content_of(folder)
    monkeypatch.setattr("ringsam.pages.shared_file.write_json", full)
    answer = save(client, [])
    assert answer.status_code == 422 and "No space left" in answer.json()["detail"]
    assert content_of(folder) == before
    assert len(opened(client)[1]["objects"]) == 1


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ({"images": [{"id": 1}]}, r"images\[0\]: file_name is None"),
        ({"images": [{"id": 1, "file_name": "a"}] * 2}, r"images\[1\]: the id 1 stands twice"),
        ({"annotations": [{"id": 1, "image_id": 3}]}, r"annotations\[0\]: no image has the id 3"),
        ({"annotations": [4]}, r"annotations\[0\]: is 4, not a JSON object"),
        ({"categories": {"1": "cell"}}, "categories: is not a list"),
        ({"images": [{"id": 1, "file_name": "a", "width": float("nan")}]}, "NaN is not a number"),
    ],
)
def test_a_file_that_cannot_be_edited_is_refused_with_its_rows(folder, rows, found):
    path = folder / "two_boxes.json"
    path.write_text(json.dumps({"images": [], "annotations": [], **rows}))
    with pytest.raises(InputError, match=found):
        BoxFile(path)


def test_an_image_of_another_size_than_the_file_states_is_not_drawn_on(folder, connect):
    images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 90}]
    (folder / "two_boxes.json").write_text(json.dumps({"images": images, "annotations": []}))
    client = connect()
    answer = client.get(f"/api/images/{keys_of(client)['a.png']}")
    assert answer.status_code == 422 and "says 60 x 90" in answer.json()["detail"]


def test_a_place_from_which_train_would_not_find_the_images_is_refused(folder):
    (folder / "elsewhere").mkdir()
    for out in (folder / "elsewhere" / "boxes.json", folder / "images" / "images" / "boxes.json"):
        with pytest.raises(InputError, match=rf"give --out {folder}/two_boxes.json"):
            open_project(folder / "images", out)


def test_images_in_folders_below_are_named_as_check_finds_them(folder):
    (folder / "images" / "deep").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "images" / "deep" / "c.png")
    for out in (folder / "images" / "boxes.json", folder / "two_boxes.json"):
        pictures, _ = open_project(folder / "images", out)
        assert [each.name for each in pictures.by_key.values()] == ["a.png", "b.png", "deep/c.png"]


def test_a_linked_folder_of_images_is_the_one_that_the_file_names(folder, tmp_path):
    elsewhere = tmp_path / "pictures"
    (folder / "images").rename(elsewhere)
    (folder / "images").symlink_to(elsewhere)
    pictures, _ = open_project(folder / "images", folder / "two_boxes.json")
    assert [picture.name for picture in pictures.by_key.values()] == ["a.png", "b.png"]


def test_a_folder_that_is_not_there_is_told_first(folder):
    with pytest.raises(InputError, match="imgs: no such folder; name the folder of the images"):
        open_project(folder / "imgs", folder / "two_boxes.json")
