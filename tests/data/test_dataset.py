import json
import unicodedata
from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from written_rows import BIG, SMALL, an_object

from ringsam.batch import collate
from ringsam.data import (
    TwoBoxDataset,
    check,
    decode_masks,
    find_annotations,
    read_two_boxes,
)
from ringsam.data.findings import RowProblem
from ringsam.data.masks import decode_mask, run_lengths
from ringsam.errors import InputError
from ringsam.geometry import Frame


class HalfSize:
    """Stands for SAM's preprocessing: half the size, in the corner of a square of 32."""

    def image(self, pixels):
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        square = torch.zeros(3, 32, 32)
        square[:, :height, :width] = torch.from_numpy(pixels[::2, ::2]).permute(2, 0, 1) / 255
        return square, Frame(*pixels.shape[:2], height, width, 32)

    def masks(self, masks, frame):
        square = torch.zeros(len(masks), 32, 32, dtype=torch.bool)
        square[:, : frame.height, : frame.width] = masks[:, ::2, ::2]
        return square


def refusal(data: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_two_boxes(data)
    return str(caught.value)


MASK = np.zeros((40, 60), dtype=bool)
MASK[12:28, 12:38] = True
COMPRESSED = coco_mask.encode(np.asfortranarray(MASK))
SEGMENTATIONS = {
    "compressed": {"size": [40, 60], "counts": COMPRESSED["counts"].decode()},
    "counted": {"size": [40, 60], "counts": [12 * 40 + 12, *[16, 24] * 25, 16, 12 + 22 * 40]},
    "polygon": [[12, 12, 38, 12, 38, 28, 12, 28]],
    "two polygons": [[12, 12, 25, 12, 25, 28, 12, 28], [25, 12, 38, 12, 38, 28, 25, 28]],
}


def test_a_record_holds_what_the_file_says(make_data):
    rows = [an_object(7, small_box=[20.5, 15, 30, 25]), an_object(9, category_id=3)]
    data = read_two_boxes(make_data(rows, categories=[{"id": 3, "name": "cell"}]))
    (record,) = data.images
    assert (record.image_id, record.file_name, record.height, record.width) == (1, "a.png", 40, 60)
    assert record.big_boxes.tolist() == [BIG, BIG]
    assert record.small_boxes.tolist() == [[20.5, 15, 30, 25], SMALL]
    assert record.object_ids.tolist() == [7, 9] and record.category_ids.tolist() == [1, 3]
    assert (data.categories, data.num_objects, data.warnings) == ({3: "cell"}, 2, ())
    assert record.big_boxes.dtype == np.float32 and record.object_ids.dtype == np.int64


def test_data_may_be_a_folder_or_its_json(make_data):
    folder = make_data(name="annotations.json")
    assert find_annotations(folder) == folder / "annotations.json"
    make_data(name="two_boxes.json")
    assert find_annotations(folder) == folder / "two_boxes.json"
    assert read_two_boxes(folder / "annotations.json").source == folder / "annotations.json"


def test_images_may_lie_beside_the_json(make_data):
    folder = make_data()
    (folder / "two_boxes.json").rename(folder / "images" / "mine.json")
    assert read_two_boxes(folder / "images" / "mine.json").root == folder / "images"


def test_a_folder_without_annotations_is_refused_with_the_nearest_one(make_data):
    folder = make_data()
    (folder / "two_boxes.json").rename(folder / "images" / "two_boxes.json")
    assert f"did you mean {folder / 'images'}?" in refusal(folder)
    (folder / "images" / "two_boxes.json").unlink()
    assert "neither" in refusal(folder / "images")
    assert "no such" in refusal(folder / "none")


def test_images_without_objects_are_read_skipped_and_counted(make_data):
    images = [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3)]
    data = read_two_boxes(make_data([an_object(image=2)], images=images))
    assert [record.num_objects for record in data.images] == [0, 1, 0]
    training = data.with_objects()
    assert [record.image_id for record in training.images] == [2]
    assert training.num_skipped == 2


def test_a_sample_has_its_boxes_in_the_input_frame(make_data):
    data = read_two_boxes(make_data())
    sample = TwoBoxDataset(data.images, HalfSize(), with_masks=True)[0]
    assert sample.big_boxes.tolist() == [[5, 5, 20, 15]]
    assert sample.small_boxes.tolist() == [[10, 7.5, 15, 12.5]]
    assert sample.object_ids.tolist() == [1] and sample.object_ids.dtype == torch.int64
    assert sample.gt_masks is None


def test_samples_with_any_number_of_objects_make_a_batch(make_data):
    images = [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3)]
    rows = [an_object(i, image=image) for i, image in enumerate((1, 1, 3))]
    dataset = TwoBoxDataset(
        read_two_boxes(make_data(rows, images=images)).images, HalfSize(), with_masks=False
    )
    batch = collate([dataset[index] for index in range(len(dataset))])
    assert batch.image_index.tolist() == [0, 0, 2]
    assert batch.object_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", SEGMENTATIONS)
def test_masks_are_decoded_from_every_kind_of_segmentation(make_data, kind):
    data = read_two_boxes(make_data([an_object(segmentation=SEGMENTATIONS[kind])]))
    masks = decode_masks(data.images[0])
    assert masks.dtype == torch.bool
    np.testing.assert_array_equal(masks.numpy(), MASK[None])
    sample = TwoBoxDataset(data.images, HalfSize(), with_masks=True)[0]
    np.testing.assert_array_equal(sample.gt_masks[0, :20, :30].numpy(), MASK[::2, ::2])
    assert TwoBoxDataset(data.images, HalfSize(), with_masks=False)[0].gt_masks is None


def test_an_image_has_masks_only_if_all_of_its_objects_have(make_data):
    rows = [an_object(1, segmentation=SEGMENTATIONS["polygon"]), an_object(2)]
    data = read_two_boxes(make_data(rows))
    assert decode_masks(data.images[0]) is None and not data.has_masks


BAD_SEGMENTATIONS = {
    "other size": {"size": [60, 40], "counts": "0"},
    "no size": {"counts": "0"},
    "characters": {"size": [40, 60], "counts": "~~~"},
    "open end": {"size": [40, 60], "counts": "0o"},
    "endless group": {"size": [40, 60], "counts": "o" * 40 + "0"},
    "too few": {"size": [40, 60], "counts": [5, 6]},
    "negative": {"size": [40, 60], "counts": [-1, 2401]},
    "text": "somewhere",
    "two corners": [[1, 2, 3, 4]],
    "odd": [[1, 2, 3, 4, 5, 6, 7]],
    "words": [["a", 2, 3, 4, 5, 6]],
    "far away": [[0, 0, 1e9, 0, 1e9, 1e9]],
}


@pytest.mark.parametrize("kind", BAD_SEGMENTATIONS)
def test_a_bad_segmentation_is_refused(make_data, kind):
    rows = [an_object(segmentation=BAD_SEGMENTATIONS[kind])]
    assert "annotation 1: segmentation" in refusal(make_data(rows))


@settings(max_examples=200, deadline=None)
@given(counts=st.text(alphabet=[chr(c) for c in range(46, 114)], max_size=40))
def test_no_run_lengths_lead_the_decoder_astray(counts):
    try:
        mask = decode_mask({"size": [40, 60], "counts": counts}, (40, 60))
    except RowProblem:
        return
    assert mask.shape == (40, 60)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_any_mask_survives_its_compression(seed, share):
    mask = np.random.default_rng(seed).random((40, 60)) < share
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    assert sum(run_lengths(counts)) == 2400
    np.testing.assert_array_equal(decode_mask({"size": [40, 60], "counts": counts}, (40, 60)), mask)


UNSAFE = {
    "../secret.png": "climbs out",
    "sub/../../secret.png": "climbs out",
    "..\\secret.png": "climbs out",
    "/etc/passwd": "absolute",
    "\\\\server\\share\\a.png": "absolute",
    "C:\\images\\a.png": "absolute",
    "C:a.png": "absolute",
    "sub\\a.png": "backslash",
    "a\0.png": "NUL",
    "": "not a name",
    ".": "not a file",
    "\ud800.png": "not UTF-8",
    "x" * 300 + ".png": "no such file",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_file_names_that_lead_out_of_the_folder_are_refused(make_data, name):
    folder = make_data()
    (folder / "secret.png").write_bytes((folder / "images" / "a.png").read_bytes())
    content = json.loads((folder / "two_boxes.json").read_text())
    content["images"][0]["file_name"] = name
    (folder / "two_boxes.json").write_text(json.dumps(content))
    message = refusal(folder)
    assert UNSAFE[name] in message and "image 1" in message
    assert message.encode("utf-8") and "\0" not in message


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.sampled_from(["..", "/", "\\", "a", ".", "C:", "\0", "~", " "]), max_size=6)
)
def test_no_name_leads_out_of_the_folder(tmp_path_factory, parts):
    from ringsam.data.folder import ImageFolder

    folder = tmp_path_factory.mktemp("images")
    (folder / "a").write_bytes(b"")
    try:
        path = ImageFolder(folder).locate("".join(parts))
    except RowProblem:
        return
    assert path.resolve() == folder / "a"


def test_links_out_of_the_folder_are_refused(make_data, tmp_path_factory):
    folder = make_data()
    image = folder / "images" / "a.png"
    outside = tmp_path_factory.mktemp("outside") / "b.png"
    image.rename(outside)
    image.symlink_to(outside)
    assert "leads out" in refusal(folder)
    image.unlink()
    image.symlink_to(image)  # a loop
    assert "not a file" in refusal(folder)


def test_links_within_the_folder_and_a_linked_folder_are_followed(make_data, tmp_path_factory):
    folder = make_data()
    (folder / "images" / "a.png").rename(folder / "images" / "b.png")
    (folder / "images" / "a.png").symlink_to("b.png")
    linked = tmp_path_factory.mktemp("links") / "data"
    linked.symlink_to(folder)
    assert read_two_boxes(linked).num_objects == 1


@pytest.mark.parametrize(("in_json", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_match_in_either_unicode_form(make_data, in_json, on_disk):
    name = f"Zelle-ä-é 一 🔬 10.00\u202fAM {'x' * 150}.png"
    folder = make_data(images=[{"id": 1, "file_name": unicodedata.normalize(in_json, name)}])
    image = folder / "images" / unicodedata.normalize(in_json, name)
    image.rename(folder / "images" / unicodedata.normalize(on_disk, name))
    data = read_two_boxes(folder)
    (record,) = data.images
    assert record.file_name == unicodedata.normalize(in_json, name) and record.path.exists()
    (note,) = data.warnings
    assert "another Unicode form" in note.reason and str(note).isprintable()


@pytest.mark.parametrize("name", ["./a.png", "10.00\u202fAM\u3000\u00a0.png", "y" * 200])
def test_a_name_of_its_own_kind_stays_as_it_is_and_is_no_other_form(make_data, name):
    data = read_two_boxes(make_data(images=[{"id": 1, "file_name": name}]))
    assert data.images[0].file_name == name and not data.warnings


def test_long_names_that_begin_alike_stay_two_images(make_data):
    names = [f"{'x' * 150}{end}.png" for end in "ab"]
    folder = make_data(images=[{"id": i, "file_name": name} for i, name in enumerate(names)])
    (folder / "images" / names[0]).write_text("no image")
    found = check(folder).unreadable
    assert list(found) == [0] and len(str(found[0])) < 250
    assert [r.file_name for r in read_two_boxes(folder, without=found).images] == names[1:]


def test_a_name_that_differs_by_case_alone_is_refused_with_the_right_one(make_data):
    folder = make_data()
    (folder / "images" / "a.png").rename(folder / "images" / "A.PNG")
    assert "A.PNG" in refusal(folder)


def test_broken_json_is_refused_with_line_and_column(make_data):
    assert "line 2, column 12" in refusal(make_data(text='{"images": [],\n "ann": [1,]}'))


BROKEN = {
    "not utf-8": (b'{"images": ["\xff"]}', "UTF-8"),
    "a list": (b"[1, 2]", "list"),
    "no lists": (b"{}", "images"),
    "deep": (b"[" * 100_000, "cannot be read"),
    "long number": (b"[" + b"9" * 5000 + b"]", "cannot be read"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_no_coco_is_refused(make_data, kind):
    content, reason = BROKEN[kind]
    folder = make_data()
    (folder / "two_boxes.json").write_bytes(content)
    assert reason in refusal(folder)


def test_a_byte_order_mark_does_no_harm(make_data):
    folder = make_data()
    path = folder / "two_boxes.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_two_boxes(folder).num_objects == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_know_are_refused(make_data, number):
    folder = make_data()
    path = folder / "two_boxes.json"
    path.write_text(path.read_text().replace('"id": 1,', f'"id": 1, "score": {number},', 1))
    assert f"{number} is not a number" in refusal(folder)


def test_a_key_that_stands_twice_is_refused(make_data):
    folder = make_data()
    path = folder / "two_boxes.json"
    path.write_text(path.read_text().replace('"image_id": 1', '"image_id": 1, "image_id": 2'))
    assert '"image_id" stands twice in the row with id 1' in refusal(folder)


def test_ids_and_files_that_stand_twice_are_refused(make_data):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]
    assert "image id 1 stands twice" in refusal(make_data(images=images))
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}]
    assert "listed twice" in refusal(make_data(images=images))
    assert "annotation id 1 stands twice" in refusal(make_data([an_object(), an_object()]))


def test_all_bad_rows_are_listed_at_once_and_the_text_is_cut(make_data):
    rows = [an_object(number, big_box=...) for number in range(200)]
    with pytest.raises(InputError) as caught:
        read_two_boxes(make_data(rows))
    assert sum("has a small_box but no big_box" in row for row in caught.value.rows) == 200
    assert "... and 151 more" in str(caught.value)


def test_an_image_that_changed_after_reading_is_refused(make_data):
    folder = make_data()
    dataset = TwoBoxDataset(read_two_boxes(folder).images, HalfSize(), with_masks=False)
    Image.new("RGB", (40, 60)).save(folder / "images" / "a.png")
    with pytest.raises(InputError, match="40 x 60 now, was 60 x 40"):
        dataset[0]
