"""Row 14: Label Studio's percents become pixels of the original image; a box or an image that is rotated is refused with its id."""

import json

import pytest
from data.formats.drawn_boxes import PAIRS, write_images
from data.formats.written_json import label_studio

from ringsam.data.formats import import_labels
from ringsam.errors import InputError


def test_percents_become_pixels(tmp_path):
    source = label_studio(write_images(tmp_path))
    first = json.loads(source.read_text())[0]["annotations"][0]["result"][0]
    assert first["value"]["x"] != PAIRS["a.png"][0][0][0]  # they are no pixels there
    import_labels(source, tmp_path)
    rows = json.loads((tmp_path / "two_boxes.json").read_text())["annotations"]
    found = [(row["big_box"], row["small_box"]) for row in rows]
    expected = [pair for pairs in PAIRS.values() for pair in pairs]
    for one, other in zip(found, expected, strict=True):
        for box, wanted in zip(one, other, strict=True):
            assert box == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("field", ["rotation", "image_rotation"])
def test_what_is_rotated_is_refused_with_its_id(tmp_path, field):
    source = label_studio(write_images(tmp_path))
    tasks = json.loads(source.read_text())
    result = tasks[0]["annotations"][0]["result"][1]
    place = result["value"] if field == "rotation" else result
    place[field] = 12.5
    source.write_text(json.dumps(tasks))
    with pytest.raises(InputError) as refusal:
        import_labels(source, tmp_path)
    (row,) = str(refusal.value).splitlines()[1:]
    assert "is rotated; draw it upright" in row and str(result["id"]) in row
    assert not (tmp_path / "two_boxes.json").exists()
