"""Large annotation files: read in blocks, judged once, mapped from disk from then on."""

import json
import shutil

import numpy as np
import pytest
from written_rows import an_object

from ringsam.data import check, index, json_rows, read_two_boxes, rows
from ringsam.data.places import Places
from ringsam.errors import InputError

MASK = [[20, 15, 30, 15, 30, 25]]


@pytest.fixture
def large(make_data, monkeypatch):
    """Three images whose objects stand in no order, in a file that counts as large."""
    monkeypatch.setattr(index, "LARGE_BYTES", 0)
    images = [{"id": i, "file_name": f"{i}.png"} for i in (7, 3, 5)]
    objects = [
        an_object(1, image=5, segmentation=MASK),
        an_object(2, image=7, big_box=[-5, 10, 40, 30]),
        an_object(3, image=5),
    ]
    return make_data(objects, images=images, categories=[{"id": 1, "name": "cell"}])


def judged_again(monkeypatch):
    asked = []
    monkeypatch.setattr(rows, "image_size", lambda path: asked.append(path) or (40, 60))
    return asked


def contents(data):
    records = [
        [value.tolist() if isinstance(value, np.ndarray) else value for value in vars(r).values()]
        for r in data.images
    ]
    return records, data.categories, data.warnings, data.num_objects, data.root, data.source


def test_a_large_file_is_judged_once_and_read_from_disk_as_it_was_judged(large, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(index, "LARGE_BYTES", 1 << 40)
        judged = contents(read_two_boxes(large))
    assert contents(read_two_boxes(large)) == judged
    asked = judged_again(monkeypatch)
    known = read_two_boxes(large)
    assert contents(known) == judged and not asked
    assert isinstance(known.images.table.boxes, np.memmap)
    assert [r.object_ids.tolist() for r in known.images] == [[2], [], [1, 3]]
    assert known.images[2].segmentations == (MASK, None) and not known.has_masks


def test_a_changed_file_is_judged_again_and_leaves_no_old_index(large, monkeypatch):
    read_two_boxes(large)
    path = large / "two_boxes.json"
    path.write_text(path.read_text() + "\n")
    asked = judged_again(monkeypatch)
    read_two_boxes(large)
    assert len(asked) == 3 and len([*large.glob(".two_boxes.json.*")]) == 1


def test_images_from_elsewhere_are_judged_there(large, monkeypatch, tmp_path_factory):
    read_two_boxes(large)
    elsewhere = shutil.copytree(large / "images", tmp_path_factory.mktemp("else") / "images")
    asked = judged_again(monkeypatch)
    assert read_two_boxes(large, images_in=elsewhere).images[0].path == elsewhere / "7.png"
    assert len(asked) == 3


def test_check_judges_anew_and_renews_the_index(large, monkeypatch):
    read_two_boxes(large)
    asked = judged_again(monkeypatch)
    assert not check(large).errors and len(asked) == 3
    assert read_two_boxes(large).num_objects == 3 and len(asked) == 3


def test_a_damaged_index_is_judged_again(large, monkeypatch):
    read_two_boxes(large)
    (kept,) = large.glob(".two_boxes.json.*.index")
    (kept / "boxes.npy").write_bytes(b"")
    asked = judged_again(monkeypatch)
    assert read_two_boxes(large).num_objects == 3 and len(asked) == 3


def test_bad_rows_are_named_each_time(large):
    path = large / "two_boxes.json"
    path.write_text(path.read_text().replace('"image_id": 7', '"image_id": 8'))
    for _ in range(2):
        with pytest.raises(InputError, match="annotation 2: no image has the id 8"):
            read_two_boxes(large)


def test_a_folder_that_cannot_be_written_is_told(large, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(index.tempfile, "mkdtemp", refuse)
    data = read_two_boxes(large)
    assert data.num_objects == 3 and "no index can be kept" in data.warnings[-1].reason


def test_small_files_leave_nothing_beside_them(make_data):
    folder = make_data()
    read_two_boxes(folder)
    assert not [*folder.glob(".*")]


@pytest.mark.parametrize("block_bytes", [1, 2, 7, 64])
def test_rows_are_the_same_in_blocks_of_any_size(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", block_bytes)
    content = {"a": [1, -25, {"é": [1.5, None, "\n𝄞"]}], "b": {"c": []}, "d": [], "e": 12}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    read = json_rows.read_members(path, json_rows.Slips())
    lists = {key: value if key in "be" else list(value) for key, value in read}
    assert lists == content


BROKEN = [
    '{"a": [1 2]}',
    '{"a": [1,]}',
    '{"a" 1}',
    '{"a": [{"b": tru}]}',
    '{"a": 1} x',
    '{"a": "',
    "{1: 2}",
]


@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 20])
@pytest.mark.parametrize("text", BROKEN)
def test_broken_json_is_told_at_the_place_that_python_names(
    tmp_path, monkeypatch, text, block_bytes
):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "x.json"
    path.write_text("\n " + text)
    with pytest.raises(json.JSONDecodeError) as told:
        json.loads(path.read_text())
    where = f"line {told.value.lineno}, column {told.value.colno}"
    with pytest.raises(InputError, match=where):
        for _, value in json_rows.read_members(path, json_rows.Slips()):
            if not isinstance(value, int):
                list(value)


def test_places_find_what_a_dictionary_finds():
    numbers = np.random.default_rng(0).integers(-(2**63), 2**63, 150_000, dtype=np.int64)
    numbers = np.unique(np.append(numbers, [0, -1, 2**63 - 1, -(2**63)]))
    np.random.default_rng(1).shuffle(numbers)
    places = Places()
    for place, number in enumerate(numbers.tolist()):
        places.add(number, place)
    assert all(places.find(n) == i for i, n in enumerate(numbers[:1000].tolist()))
    assert all(places.find(n) == i + 149_000 for i, n in enumerate(numbers[149_000:].tolist()))
    assert places.find(12345) is None
